"""A relay between the functions and the emulated DynamoDB. It notes which rights each function uses, and every refusal.

The functions log that DynamoDB refused a call, but not which right was missing: the answer says that.
"""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The rights that the parts of a transaction need.
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


def rights(call, request):
    """(action, table, index or None) of each right that a call needs."""
    if call == "TransactWriteItems":
        parts = [part for item in request["TransactItems"] for part in item.items()]
        return {(f"dynamodb:{PARTS[kind]}", part["TableName"], None) for kind, part in parts}
    if "RequestItems" in request:
        return {(f"dynamodb:{call}", table, None) for table in request["RequestItems"]}
    return {(f"dynamodb:{call}", request["TableName"], request.get("IndexName"))}


def resources(request):
    """The table or index of a call, or the tables of its parts."""
    if "TableName" in request:
        index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
        return {f"table/{request['TableName']}{index}"}
    if "RequestItems" in request:
        return {f"table/{name}" for name in request["RequestItems"]}
    return {f"table/{part['TableName']}" for item in request.get("TransactItems", []) for part in item.values()}


class Server(ThreadingHTTPServer):
    """Ignores that a function is stopped during a call."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Relay:
    """Listens on a free port of 127.0.0.1. The client sends one request at a time and sets `caller`, so each call has a known caller."""

    def __init__(self):
        self.port = None  # of the emulator
        self.caller = None
        self.used = set()
        self.refusals = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60
            # Without it, Nagle's algorithm delays each answer.
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = relay._forward(dict(self.headers), body)
                relay._note(self.headers["X-Amz-Target"].split(".")[1], body, status, answer)
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _forward(self, headers, body):
        # With the headers as they are, Host among them: they are signed.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _note(self, call, body, status, answer):
        if status == 200:
            self.used |= {(self.caller, *right) for right in rights(call, json.loads(body))}
        elif b"not authorized" in answer or b"ResourceNotFound" in answer:
            document = json.loads(answer)
            self.refusals.append(f"{call} on {', '.join(sorted(resources(json.loads(body))))}: "
                                 f"{document.get('message') or document.get('Message')}")

    def stop(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()
