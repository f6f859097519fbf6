"""The client against a running service, which `make check-clients` starts."""

import os
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from lhcms import LhcmsError, cases, connect, upload
from lhcms.generated.api.attachments import get_attachment
from lhcms.generated.api.cases import create_case, get_case
from lhcms.generated.models import CaseCreate, FileKind, ProcedureType

URL, TOKEN = os.environ.get("LHCMS_URL"), os.environ.get("LHCMS_TOKEN")


@unittest.skipUnless(URL and TOKEN, "LHCMS_URL and LHCMS_TOKEN are not set")
class Stack(unittest.TestCase):
    def setUp(self):
        self.client = self.enterContext(connect(URL, lambda is_rejected: TOKEN))

    def test_all_cases_of_a_list_are_read_page_by_page(self):
        doctor = "doctor_654"
        ids = []
        for procedure in (ProcedureType.CROWN, ProcedureType.BRIDGE, ProcedureType.VENEER):
            ids.append(create_case.sync(client=self.client, body=CaseCreate(procedure_type=procedure, doctor_id=doctor)).id)
        found = [one.id for one in cases(self.client, doctor_id=[doctor], limit=2)]
        self.assertEqual(found[:3], ids[::-1])

    def test_errors_have_the_codes_of_the_service(self):
        with self.assertRaises(LhcmsError) as raised:
            get_case.sync(client=self.client, id=9_999_999)
        self.assertEqual((raised.exception.status, raised.exception.code), (404, "case_not_found"))

    def test_a_file_in_parts_is_sent_and_can_be_downloaded_when_it_is_scanned(self):
        case = create_case.sync(client=self.client, body=CaseCreate(procedure_type=ProcedureType.CROWN)).id
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "jaw.stl"
            with path.open("wb") as file:
                file.write(b"solid jaw")
                file.truncate(110_000_000)
            sent = upload(self.client, case, path, kind=FileKind.SCAN)
            deadline = time.monotonic() + 60
            while (found := get_attachment.sync(case, sent.id, client=self.client)).attachment.state in ("pending", "scanning"):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            self.assertEqual(found.attachment.state, "clean")
            with urllib.request.urlopen(found.download.url) as answer:
                self.assertTrue(answer.read() == path.read_bytes(), "the download is another file")


if __name__ == "__main__":
    unittest.main()
