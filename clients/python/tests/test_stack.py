"""The client against a running service, which `make check-clients` starts."""

import os
import unittest

from lhcms import LhcmsError, cases, connect
from lhcms.generated.api.cases import create_case, get_case
from lhcms.generated.models import CaseCreate, ProcedureType

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


if __name__ == "__main__":
    unittest.main()
