"""Uploads, to a service and a store with given faults."""

import base64
import hashlib
import json
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import httpx

from lhcms import LhcmsError, connect, upload
from lhcms.generated.models import FileKind
from lhcms.files import PART_SIZE, UploadProgress

ID = "att_9fK2mQx7Lb3TzR5w"
ATTACHMENT = {
    "id": ID, "case_id": 1, "state": "pending", "uploaded_by": "2", "created_at": "2026-11-24T09:30:00.000Z",
    "completed_at": None, "scanned_at": None, "removed": None,
}


class Service(httpx.BaseTransport):
    """A service with one case and one file, and the store that the file is sent to."""

    def __init__(self):
        self.calls = []
        self.announced = None
        # What the store has: the number of the part, and its SHA-256.
        self.parts = {}
        self.is_complete = False
        # The signatures that the store accepts. Each answer with requests has the newest one.
        self.signature = 1
        # The answers to requests for a part, in their order, before the store works.
        self.faults = {}
        self.requested = []
        self.lock = threading.Lock()

    def handle_request(self, request):
        if request.url.host == "store.example.com":
            return self.store(request)
        path = request.url.path.replace("/api/v1/cases/1/attachments", "").replace(ID, "{id}")
        self.calls.append(f"{request.method} {path}")
        match self.calls[-1]:
            case "POST ":
                self.announced = json.loads(request.content)
                return httpx.Response(201, json=self.upload())
            case "GET /{id}/upload" if self.is_complete:
                return httpx.Response(409, json={"code": "upload_finished"})
            case "GET /{id}/upload":
                return httpx.Response(200, json=self.upload())
            case "POST /{id}/complete":
                assert len(self.parts) == len(self.hashes()), "the file is not whole"
                self.is_complete = True
                return httpx.Response(200, json=self.attachment() | {"state": "scanning"})
        raise AssertionError(self.calls[-1])

    def hashes(self):
        return self.announced.get("part_sha256") or [self.announced["sha256"]]

    def attachment(self):
        return ATTACHMENT | {name: value for name, value in self.announced.items() if name != "part_sha256"}

    def upload(self):
        hashes, size = self.hashes(), self.announced["size"]
        part_size = size if len(hashes) == 1 else PART_SIZE
        parts = []
        for index, sha256 in enumerate(hashes):
            length = min(part_size, size - index * part_size)
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            parts.append({
                "number": index + 1, "size": length, "is_sent": index + 1 in self.parts,
                "url": f"https://store.example.com/file?part={index + 1}&signature={self.signature}",
                "headers": {"content-length": str(length), "x-amz-checksum-sha256": checksum},
            })
        expires_at = "2026-11-24T10:30:00.000Z"
        return {"attachment": self.attachment(), "upload": {"method": "PUT", "part_size": part_size, "parts": parts, "expires_at": expires_at}}

    def store(self, request):
        number = int(request.url.params["part"])
        assert "authorization" not in request.headers and "transfer-encoding" not in request.headers
        sha256, length = hashlib.sha256(), 0
        for block in request.stream:
            sha256.update(block)
            length += len(block)
        with self.lock:
            self.requested.append(number)
            fault = self.faults[number].pop(0) if self.faults.get(number) else None
            if isinstance(fault, Exception):
                raise fault
            if fault or request.url.params["signature"] != str(self.signature):
                return httpx.Response(fault or 403)
            is_same = base64.b64encode(sha256.digest()).decode() == request.headers["x-amz-checksum-sha256"]
            if not is_same or str(length) != request.headers["content-length"]:
                return httpx.Response(400)
            self.parts[number] = sha256.hexdigest()
            return httpx.Response(200)


class Upload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.small = folder / "jaw.STL"
        cls.small.write_bytes(b"solid jaw")
        # Three parts, the last one small.
        cls.large = folder / "large.ply"
        with cls.large.open("wb") as file:
            for part in range(3):
                file.seek(part * PART_SIZE)
                file.write(bytes([part]) * 1000)

    def setUp(self):
        self.service = Service()
        self.client = self.enterContext(connect("https://api.example.com", lambda is_rejected: "token", transport=self.service))
        self.enterContext(mock.patch("lhcms.files.time.sleep"))
        self.progress = []

    def upload(self, path, **arguments):
        return upload(self.client, 1, path, kind=FileKind.SCAN, transport=self.service, on_progress=self.progress.append, **arguments)

    def test_a_file_is_hashed_announced_sent_with_one_request_and_completed(self):
        sent = self.upload(self.small)
        sha256 = hashlib.sha256(b"solid jaw").hexdigest()
        self.assertEqual((sent.id, sent.state), (ID, "scanning"))
        announced = {"file_name": "jaw.STL", "content_type": "model/stl", "size": 9, "sha256": sha256, "kind": "scan"}
        self.assertEqual(self.service.announced, announced)
        self.assertEqual(self.service.parts, {1: sha256})
        self.assertEqual(self.service.calls, ["POST ", "POST /{id}/complete"])
        self.assertEqual(self.progress, [
            UploadProgress("hash", 9, 9, None), UploadProgress("send", 0, 9, ID), UploadProgress("send", 9, 9, ID)])

    def test_a_large_file_is_sent_in_parts_and_each_part_is_hashed(self):
        self.upload(self.large, file_name="upper jaw.ply")
        content = self.large.read_bytes()
        parts = [hashlib.sha256(content[start:start + PART_SIZE]).hexdigest() for start in range(0, len(content), PART_SIZE)]
        self.assertEqual(self.service.announced, {
            "file_name": "upper jaw.ply", "content_type": "model/ply", "size": len(content), "kind": "scan",
            "sha256": hashlib.sha256(content).hexdigest(), "part_sha256": parts})
        self.assertEqual(self.service.parts, dict(enumerate(parts, 1)))
        self.assertEqual(self.progress[-1], UploadProgress("send", len(content), len(content), ID))

    def test_a_part_that_fails_is_sent_again(self):
        self.service.faults[1] = [httpx.ConnectError("refused"), 503, 400, 500]
        self.upload(self.small)
        self.assertEqual(self.service.calls, ["POST ", "POST /{id}/complete"])
        self.assertEqual(self.progress[-1].done, 9)

    def test_a_part_that_was_sent_and_whose_answer_was_lost_is_not_an_error(self):
        self.service.faults[1] = [httpx.ReadTimeout("lost"), 412]
        self.service.parts[1] = "sent"
        self.upload(self.small)
        self.assertTrue(self.service.is_complete)

    def test_expired_requests_are_replaced_by_new_ones(self):
        self.service.faults[1] = [403]
        self.upload(self.small)
        self.assertEqual(self.service.calls, ["POST ", "GET /{id}/upload", "POST /{id}/complete"])

    def test_an_upload_that_failed_is_resumed_with_what_is_missing_without_hashing_the_file_again(self):
        self.service.faults[2] = [503] * 5
        with self.assertRaises(LhcmsError) as raised:
            self.upload(self.large)
        self.assertEqual((raised.exception.status, str(raised.exception)), (503, "Part 2 of the file cannot be sent: the store answers 503."))
        self.assertEqual((self.progress[-1].attachment_id, self.service.is_complete), (ID, False))
        missing = {1, 2, 3} - self.service.parts.keys()
        self.assertIn(2, missing)
        self.service.requested.clear()
        self.progress.clear()
        self.assertEqual(self.upload(self.large, resume=ID).id, ID)
        self.assertEqual(set(self.service.requested), missing)
        self.assertEqual({progress.step for progress in self.progress}, {"send"})
        self.assertEqual(self.service.calls, ["POST ", "GET /{id}/upload", "POST /{id}/complete"])

    def test_an_upload_whose_completion_was_answered_to_nobody_is_resumed_by_completing_it_again(self):
        self.upload(self.small)
        self.assertEqual(self.upload(self.small, resume=ID).state, "scanning")
        self.assertEqual(self.service.calls[2:], ["GET /{id}/upload", "POST /{id}/complete"])

    def test_an_upload_is_not_resumed_with_another_file(self):
        self.service.faults[1] = [httpx.ConnectError("refused")] * 5
        with self.assertRaisesRegex(LhcmsError, "the store does not answer"):
            self.upload(self.small)
        with self.assertRaisesRegex(ValueError, "it has 9 bytes"):
            self.upload(self.large, resume=ID)
        self.assertEqual(self.service.parts, {})

    def test_a_file_of_another_type_is_rejected_before_anything_is_sent(self):
        with self.assertRaisesRegex(ValueError, "The types are: stl, "):
            self.upload(self.small, file_name="jaw.exe")
        self.assertEqual(self.service.calls, [])


if __name__ == "__main__":
    unittest.main()
