"""Push in the rehearsed deployment: a ticket opens a WebSocket, and a change of a case becomes a signal at it."""

import json
import socket
import time
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

from report import Failure, say, wait_for

LAB = 123
SECONDS = 60


class Socket:
    """A client of the WebSocket API. `refused` is the status with which it was refused."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.refused, self.is_open = None, False
        self.messages = []
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=0.05)
        self.connection = WSConnection(ConnectionType.CLIENT)
        self._send(Request(host=parts.netloc, target=f"{parts.path}?{parts.query}"))
        wait_for("the WebSocket API does not answer", SECONDS, lambda: self._read() or self.refused or self.is_open)

    def ask(self, message):
        """Sends a message, and returns the next one that is no signal."""
        self._send(TextMessage(json.dumps(message)))
        return self.wait(f"no answer to {message['action']}", lambda it: it["type"] != "changes")

    def wait(self, what, fits, alive=lambda: None):
        """The first message that fits; drops those before it."""
        def found():
            self._read()
            while self.messages:
                if fits(message := self.messages.pop(0)):
                    return message

        return wait_for(what, SECONDS, found, alive)

    def close(self):
        """Ends the connection."""
        self._send(CloseConnection(1000))
        self.socket.close()

    def _send(self, event):
        self.socket.sendall(self.connection.send(event))

    def _read(self):
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return
        self.connection.receive_data(data or None)
        for event in self.connection.events():
            match event:
                case AcceptConnection():
                    self.is_open = True
                case RejectConnection(status_code=status):
                    self.refused = status
                case TextMessage(data=text):
                    self.messages.append(json.loads(text))
                case Ping():
                    self._send(event.response())


def ticket(client):
    """A new ticket: its URL."""
    return client.call("createRealtimeTicket", expect=201).json["url"]


def connections(client):
    """The items of connections of the lab."""
    answer = client.stack.emulator.client("dynamodb").query(
        TableName=client.stack.resources["ConnectionsTable"], KeyConditionExpression="lab_id = :lab AND begins_with(sk, :kind)",
        ExpressionAttributeValues={":lab": {"S": str(LAB)}, ":kind": {"S": "CONNECTION#"}})
    return answer["Items"]


def explained(client, call):
    """The result of a call; a failure has the logs of the functions."""
    try:
        return call()
    except Failure as failure:
        logs = [f"  the log of {name}: {line}" for name in ("RealtimeFunction", "PushChangesFunction")
                for line in client.stack.log_of(name)]
        refusals = [f"  DynamoDB refuses {refusal}" for refusal in dict.fromkeys(client.relay.refusals)]
        raise Failure("\n".join([str(failure), *logs, *refusals])) from None


def run(client, case):
    """Connects, subscribes, and gets signals; what is gone is removed."""
    explained(client, lambda: follow(client, case))


def follow(client, case):
    url = ticket(client)
    client.relay.caller = "RealtimeFunction"
    page = Socket(url)
    if not page.is_open:
        raise Failure(f"createRealtimeTicket: the WebSocket API refuses its ticket with {page.refused}")
    if Socket(url).is_open:
        raise Failure("RealtimeFunction: a ticket opens two connections")
    subscribed = page.ask({"action": "subscribe", "lab_id": LAB})
    pong = page.ask({"action": "ping"})
    renewal = ticket(client).split("ticket=")[1]
    client.relay.caller = "RealtimeFunction"
    renewed = page.ask({"action": "renew", "ticket": renewal})
    if [it["type"] for it in (subscribed, pong, renewed)] != ["subscribed", "pong", "renewed"]:
        raise Failure(f"RealtimeFunction: it answers {subscribed}, {pong}, {renewed}")
    refused = Socket(ticket(client))
    client.relay.caller = "RealtimeFunction"
    answer = refused.ask({"action": "subscribe", "lab_id": LAB + 1})
    if answer.get("code") != "unauthorized":
        raise Failure(f"RealtimeFunction: a subscription of another lab is answered {answer}")
    wait_for("RealtimeFunction: a connection that was refused stays", SECONDS, lambda: len(connections(client)) == 1)

    signal = changed(client, page, case)
    if set(signal) != {"type", "lab_id", "changes", "cursor"} or signal["lab_id"] != LAB:
        raise Failure(f"PushChangesFunction: the signal is {signal}")
    client.call("caseChanges", query={"since": signal["cursor"]})
    gone(client, page, case)

    client.relay.caller = "RealtimeFunction"
    page.close()
    wait_for("RealtimeFunction: the item of a closed connection stays", SECONDS, lambda: not connections(client))
    say(f"a change of case {case} was a signal at a WebSocket")


def changed(client, page, case):
    """Changes a case; returns its signal."""
    version = client.call("updateCase", id=case, body={"notes": f"rehearsal {time.time()}"}).json["version"]
    client.relay.caller = "PushChangesFunction"
    return page.wait("PushChangesFunction: no signal of a change", lambda it: {"case_id": case, "version": version} in it.get("changes", []),
                     client.stack.emulator.check)


def gone(client, page, case):
    """A connection that API Gateway does not know any more is removed at the next signal."""
    [item] = connections(client)
    item |= {"sk": {"S": "CONNECTION#gone"}, "connection_id": {"S": "gone"}}
    client.stack.emulator.client("dynamodb").put_item(TableName=client.stack.resources["ConnectionsTable"], Item=item)
    changed(client, page, case)
    wait_for("PushChangesFunction: the item of a connection that is gone stays", SECONDS, lambda: len(connections(client)) == 1)
