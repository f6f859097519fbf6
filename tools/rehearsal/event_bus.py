"""The event bus in the rehearsed deployment: a rule brings its events to a queue, in which the message of a change is found."""

import json
import uuid

from report import Failure, say, wait_for

NAME = "lhcms-rehearsal"


def create(emulator):
    """Creates what belongs to the operator: the bus, a queue, and a rule between them."""
    events, sqs = emulator.client("events"), emulator.client("sqs")
    events.create_event_bus(Name=NAME)
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=NAME, EventBusName=NAME, EventPattern=json.dumps({"source": ["lhcms"], "detail-type": ["case.updated"]}))
    events.put_targets(Rule=NAME, EventBusName=NAME, Targets=[{"Id": NAME, "Arn": arn}])


def run(client, case):
    """A change over HTTP reaches the queue behind the bus."""
    sqs = client.stack.emulator.client("sqs")
    queue = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    version = client.call("updateCase", id=case, body={"notes": f"rehearsal {uuid.uuid4()}"}).json["version"]
    wanted = {"case_id": case, "version": version}

    def arrived():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if wanted.items() <= event["detail"]["data"].items():
                return event
        return None

    client.relay.caller = "ProcessStreamsFunction"
    event = wait_for("no event of a change came from the bus", 60, arrived, client.stack.emulator.check)
    if (event["source"], event["detail-type"]) != ("lhcms", "case.updated") or "Doe" in json.dumps(event):
        raise Failure(f"ProcessStreamsFunction: the event on the bus is {event}")
    say(f"the event bus had the message of version {version} of case {case}")
