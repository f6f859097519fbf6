"""Webhooks in the rehearsed deployment: a change of a case reaches a receiver, which verifies its signature; and every operation."""

import base64
import hashlib
import hmac
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from report import Failure, say, wait_for


class Receiver:
    """An endpoint of another system. It answers every request with `status`, and keeps the headers and the body."""

    def __init__(self):
        self.status, self.received = 200, []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def bodies(self):
        """The messages so far."""
        return [json.loads(body) for _, body in self.received]


def is_signed(headers, body, secret):
    """Whether a message has a signature `v1` of this secret."""
    headers = {name.lower(): value for name, value in headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in headers["webhook-signature"].split()


def wait(client, what, ready):
    """Waits for what the function on the queue does."""
    client.relay.caller = "DeliverWebhooksFunction"
    try:
        return wait_for(what, 60, ready, client.stack.emulator.check)
    except Failure as failure:
        logs = [f"  the log of {name}: {line}" for name in ("ProcessStreamsFunction", "DeliverWebhooksFunction")
                for line in client.stack.log_of(name)]
        raise Failure("\n".join([str(failure), *logs])) from None


def settle(client):
    """Waits until the queue is empty."""
    sqs, url = client.stack.emulator.client("sqs"), client.stack.resources["WebhookQueue"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    wait(client, "the queue of webhooks does not become empty", lambda: not any(
        int(count) for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def run(client, case):
    """Calls every operation of webhooks."""
    with Receiver() as receiver:
        headers = {"Idempotency-Key": f"rehearsal-{uuid.uuid4()}"}
        created = client.call("createWebhook", expect=201, body={"url": receiver.url}, headers=headers).json
        path = {"webhook_id": created["id"]}
        listed = client.call("listWebhooks")
        if [webhook["id"] for webhook in listed.json["webhooks"]] != [created["id"]]:
            raise Failure(client.explain(client.operations["listWebhooks"], "the webhook is missing", listed))
        client.call("getWebhook", **path)
        delivered(client, receiver, case, created["secret"])
        refused(client, path)

        sent = client.call("testWebhook", expect=202, **path).json["delivery_id"]
        wait(client, "the test did not arrive", lambda: any(body["type"] == "webhook.test" for body in receiver.bodies()))
        headers = {"Idempotency-Key": f"rehearsal-{uuid.uuid4()}"}
        rotated = client.call("rotateWebhookSecret", headers=headers, **path).json["secret"]
        receiver.received.clear()
        client.call("updateCase", id=case, body=a_change())
        headers, body = wait(client, "no message after the rotation", lambda: receiver.received and receiver.received[0])
        if not (is_signed(headers, body, rotated) and is_signed(headers, body, created["secret"])):
            raise Failure("DeliverWebhooksFunction: after a rotation, a message is not signed with both secrets")

        failed = gone(client, receiver, case, path)
        client.call("updateWebhook", body={"enabled": True}, **path)
        receiver.received.clear()
        client.call("retryWebhookDelivery", expect=202, delivery_id=failed, **path)
        wait(client, "the failed message did not arrive", lambda: receiver.received)
        since = client.call("getCase", id=case).json["created_at"]
        client.call("replayWebhook", expect=202, body={"since": since}, **path)
        client.call("deleteWebhook", expect=204, **path)
        client.call("getWebhook", expect=404, **path)
        say(f"the receiver verified the messages of case {case}; the test was {sent}")


def refused(client, path):
    """Nobody without the permission gets anything. Of a system administrator that is on record."""
    reason = {"X-Lab-Id": "123", "X-Break-Glass": "support; the rehearsal of a deployment"}
    for user, headers in (("viewer", {}), ("sysadmin", reason)):
        client.log_in(user)
        for operation in ("listWebhooks", "getWebhook", "listWebhookDeliveries"):
            client.call(operation, expect=403, headers=headers, **path)
    client.log_in("admin")


def a_change():
    """The body of an update that changes a case in any state."""
    return {"notes": f"rehearsal {uuid.uuid4()}"}


def delivered(client, receiver, case, secret):
    """A change over HTTP reaches the receiver, with a valid signature and without patient data."""
    version = client.call("updateCase", id=case, body=a_change()).json["version"]

    def arrived():
        return next((it for it in receiver.received if json.loads(it[1])["data"].get("version") == version), None)

    headers, body = wait(client, "the message of a change did not arrive", arrived)
    if not is_signed(headers, body, secret):
        raise Failure("DeliverWebhooksFunction: the signature of a message is not valid")
    if "Doe" in body.decode():
        raise Failure("DeliverWebhooksFunction: a message has the name of a patient")
    settle(client)


def gone(client, receiver, case, path):
    """An endpoint that is gone disables its webhook; returns the delivery that failed."""
    receiver.status = 410
    receiver.received.clear()
    client.call("updateCase", id=case, body=a_change())
    wait(client, "no message reached the receiver that is gone", lambda: any(
        json.loads(body)["data"].get("case_id") == case for _, body in receiver.received))
    settle(client)
    receiver.status = 200
    reply = client.call("getWebhook", **path)
    if reply.json["disabled_reason"] != "gone":
        raise Failure(client.explain(client.operations["getWebhook"], "the webhook was not disabled", reply))
    [failed] = client.call("listWebhookDeliveries", query={"state": "failed"}, **path).json["deliveries"]
    return failed["id"]
