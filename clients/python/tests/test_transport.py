"""The transport, by the requests that it sends to a service with given answers."""

import json
import unittest

import httpx

from lhcms import LhcmsError
from lhcms.transport import Transport

BODY = {"procedure_type": "Crown"}
LATER = {"Retry-After": "0"}


class Service(httpx.BaseTransport):
    """Gives these answers, one after the other, and remembers the requests. An exception is no answer."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def handle_request(self, request):
        self.requests.append((request.method, dict(request.headers), request.content))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status, body=None, headers=None):
    return httpx.Response(status, json=body or {}, headers=headers)


class Requests(unittest.TestCase):
    def setUp(self):
        self.pauses = []

    def client(self, *answers):
        self.service = Service(*answers)
        token = {False: "first", True: "second"}.get
        return httpx.Client(base_url="https://api.example.com", transport=Transport(self.service, token, 123, 4, self.pauses.append))

    def header(self, name):
        return [headers.get(name) for _, headers, _ in self.service.requests]

    def error(self, client, method="GET", **arguments):
        with self.assertRaises(LhcmsError) as raised:
            client.request(method, "/api/v1/cases", **arguments)
        return raised.exception

    def test_a_request_has_the_token_the_lab_and_if_it_creates_something_a_key(self):
        client = self.client(answer(201), answer(200))
        client.post("/api/v1/cases", json=BODY)
        client.get("/api/v1/cases")
        self.assertEqual(self.header("authorization"), ["Bearer first"] * 2)
        self.assertEqual(self.header("x-lab-id"), ["123"] * 2)
        key, none = self.header("idempotency-key")
        self.assertRegex(key, "^[0-9a-f-]{36}$")
        self.assertIsNone(none)

    def test_a_retry_after_a_lost_answer_has_the_same_body_and_key(self):
        client = self.client(httpx.ReadTimeout("lost"), answer(503, headers={"Retry-After": "3"}), answer(201, {"id": 1}))
        self.assertEqual(client.post("/api/v1/cases", json=BODY).json(), {"id": 1})
        self.assertEqual(len(set(self.header("idempotency-key"))), 1)
        self.assertEqual([json.loads(content) for _, _, content in self.service.requests], [BODY] * 3)
        self.assertGreaterEqual(self.pauses[1], 3)

    def test_a_change_that_is_not_harmless_twice_is_sent_again_only_if_nothing_was_done(self):
        lost = self.error(self.client(answer(503, {"code": "service_unavailable"}, LATER)), "PATCH", json=BODY)
        self.assertEqual((lost.status, lost.code, lost.retry_after, len(self.service.requests)), (503, "service_unavailable", 0, 1))
        client = self.client(answer(429, {}, LATER), answer(409, {}, LATER), answer(200, {"id": 1}))
        self.assertEqual(client.patch("/api/v1/cases/1/status", json=BODY).json(), {"id": 1})
        illegal = self.error(self.client(answer(409, {"code": "illegal_transition"})), "PATCH", json=BODY)
        self.assertEqual((illegal.status, illegal.code), (409, "illegal_transition"))
        with self.assertRaises(httpx.ConnectError):
            self.client(httpx.ConnectError("refused")).patch("/api/v1/cases/1", json=BODY)

    def test_a_service_that_stays_away_ends_the_attempts_with_its_last_answer(self):
        error = self.error(self.client(*[answer(503, {"detail": "UMS does not answer."}, LATER)] * 4))
        self.assertEqual((str(error), len(self.service.requests)), ("UMS does not answer.", 4))

    def test_a_rejected_token_is_replaced_once(self):
        client = self.client(answer(401), answer(200), answer(401), answer(401, {"code": "unauthorized"}))
        client.get("/api/v1/cases")
        self.assertEqual(self.error(client).code, "unauthorized")
        self.assertEqual(self.header("authorization"), ["Bearer first", "Bearer second"] * 2)

    def test_an_error_has_the_fields_of_the_problem(self):
        errors = [{"pointer": "/procedure_type", "code": "required", "detail": "Say which.", "params": {}}]
        problem = {"detail": "1 field is invalid.", "code": "validation_failed", "request_id": "r-1", "errors": errors}
        error = self.error(self.client(answer(422, problem)), "POST", json={})
        self.assertEqual((error.status, error.code, error.request_id, error.errors), (422, "validation_failed", "r-1", errors))

    def test_an_answer_of_the_gateway_which_has_only_a_message_is_an_error_as_well(self):
        error = self.error(self.client(answer(413, {"message": "Request Entity Too Large"})))
        self.assertEqual((error.status, error.code, str(error)), (413, None, "Request Entity Too Large"))
        error = self.error(self.client(httpx.Response(404, content=b"<html>")))
        self.assertEqual(str(error), "The answer has the status 404.")


if __name__ == "__main__":
    unittest.main()
