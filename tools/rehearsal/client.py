"""A client of the deployed API: calls an operation by its id, and explains an answer that is not the expected one."""

import http.client
import json
from urllib.parse import quote, urlencode

from report import Failure


class Reply:
    """An answer of the API."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """Calls the operations of a stack and remembers which were called."""

    def __init__(self, stack, relay):
        self.stack = stack
        self.relay = relay
        # Another API than that of the stack.
        self.api_id = None
        self.operations = {operation.id: operation for operation in stack.operations}
        self.called = set()
        self.token = None

    def where(self, _operation):
        """A client of an API that has an operation."""
        return self

    def log_in(self, username):
        """Logs in as a user of the stand-in UMS. The password is the name followed by 123."""
        connection = http.client.HTTPConnection(self.stack.stand_ins.ums.removeprefix("http://"), timeout=10)
        body = json.dumps({"username": username, "password": f"{username}123"})
        connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
        self.token = json.load(connection.getresponse())["access_token"]
        connection.close()

    def call(self, operation, expect=200, body=None, headers=(), query=(), **parameters):
        """The reply of an operation, which must have the status `expect`."""
        if operation not in self.operations:
            raise Failure(f"the sequence calls {operation}, but gateway.yaml has no such operation")
        operation = self.operations[operation]
        path = operation.path.format(**{name: quote(str(value)) for name, value in parameters.items()})
        if query:
            path += "?" + urlencode(query)
        reply = self.request(operation.method, path, body, headers, operation)
        self.called.add(operation.id)
        if reply.status != expect:
            raise self.failure(operation, f"answers {reply.status} instead of {expect}", reply)
        return reply

    def failure(self, operation, what, reply):
        """The failure of a wrong answer."""
        return Failure(self.explain(operation, what, reply))

    def request(self, method, path, body=None, headers=(), operation=None):
        """Any request to the API."""
        headers = {"Accept": "*/*", **dict(headers)}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        self.relay.caller = operation.target if operation else None
        self.relay.refusals.clear()
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.emulator.port, timeout=40)
        try:
            # By path: with the API's host name the emulator would take /health for itself.
            connection.request(method, f"/_aws/execute-api/{self.api_id or self.stack.api_id}/$default{path}", body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def explain(self, operation, what, reply):
        """The message about a wrong answer: the operation, its row in the template, and the causes that are known."""
        row = operation.target.removesuffix("Function")
        lines = [f"{operation.id} ({operation.route}): {what}"]
        function = self.stack.template["Resources"][operation.target]["Properties"]
        lines.append(f"  row {row} of the table Functions runs {function['Code']['S3Key']}")
        lines += [f"  DynamoDB refuses {refusal}" for refusal in dict.fromkeys(self.relay.refusals)]
        lines += [f"  its log: {line}" for line in self.stack.log_of(operation.target)]
        if len(lines) == 2:
            lines.append(f"  the answer: {reply.text[-1500:]}")
        return "\n".join(lines)

