"""Sends the changes that the dead-letter queue names to the function again, and deletes the messages of those that succeed.

`make redrive STAGE=prod` runs it. A stream forgets its changes after a day: of an older message only its time is left, and the
changes are still in the tables.
"""

import argparse
import base64
import json
import sys

import boto3


def json_value(value):
    """What JSON has no form for, as Lambda writes it."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()


def records(streams, batch):
    """The records of a batch, as Lambda hands them to a function."""
    iterator = streams.get_shard_iterator(
        StreamArn=batch["streamArn"], ShardId=batch["shardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=batch["startSequenceNumber"])["ShardIterator"]
    last = int(batch["endSequenceNumber"])
    while iterator:
        answer = streams.get_records(ShardIterator=iterator)
        for record in answer["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > last:
                return
            record["eventSourceARN"] = batch["streamArn"]
            if "userIdentity" in record:
                identity = record.pop("userIdentity")
                record["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
            yield record
            if int(record["dynamodb"]["SequenceNumber"]) == last:
                return
        iterator = answer.get("NextShardIterator")


def redrive(batch, streams, invoke):
    """Sends the records of a batch to the function; whether all succeeded."""
    found = list(records(streams, batch))
    for start in range(0, len(found), 50):
        answer = invoke(json.dumps({"Records": found[start:start + 50]}, default=json_value))
        if "batchItemFailures" not in answer or answer["batchItemFailures"]:
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", required=True)
    it = parser.parse_args()
    queue = boto3.resource("sqs").get_queue_by_name(QueueName=f"lhcms-{it.stage}-streams-dead-letters")
    streams, functions = boto3.client("dynamodbstreams"), boto3.client("lambda")

    def invoke(event):
        answer = functions.invoke(FunctionName=f"lhcms-{it.stage}-process-streams", Qualifier="live", Payload=event)
        return json.load(answer["Payload"]) or {}

    failed = 0
    while messages := queue.receive_messages(MaxNumberOfMessages=10, VisibilityTimeout=300, WaitTimeSeconds=2):
        for message in messages:
            batch = json.loads(message.body)["DDBStreamBatchInfo"]
            place = f"{batch['shardId']} from {batch['startSequenceNumber']}"
            try:
                is_done = redrive(batch, streams, invoke)
            except streams.exceptions.TrimmedDataAccessException:
                is_done, place = False, f"{place}: the stream has forgotten it"
            if is_done:
                message.delete()
            failed += not is_done
            print(f"{'done' if is_done else 'FAILED'}: {place}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
