"""The archive after the sequence: it holds every audit record and event, verifies, and the end of life of a case works."""

import gzip
import json
import time

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from report import Failure, say, wait_for

plain = TypeDeserializer().deserialize
# The members of an entry that the item in the table has as well.
COMPARED = ("at", "user_id", "request_id", "hash", "mac", "key_id")


def items(stack, table):
    """Every item of a table, by lab and sort key."""
    pages = stack.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=stack.resources[table])
    found = [{name: plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    return {(item["lab_id"], item["sk"]): item for item in found}


def entries(stack):
    """Every entry of the archive."""
    s3, bucket = stack.emulator.client("s3"), stack.resources["ArchiveBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    for key in [found["Key"] for page in pages for found in page.get("Contents", [])]:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        yield from (json.loads(line) for line in gzip.decompress(body).splitlines())


def expected(stack):
    """What the archive must hold: the audit records and the events."""
    events = {key: item for key, item in items(stack, "Table").items() if key[1].startswith("EVENT#")}
    return events | items(stack, "AuditTable")


def compare(stack):
    """Waits until the archive holds everything, and compares it; returns the number of entries."""
    def missing():
        added = {(entry["lab_id"], entry["sk"]) for entry in entries(stack) if entry["change"] == "added"}
        return expected(stack).keys() - added

    try:
        wait_for("the archive is not complete", 60, lambda: not missing(), stack.emulator.check)
    except Failure as failure:
        log = "\n".join(f"  its log: {line}" for line in stack.log_of("ProcessStreamsFunction"))
        raise Failure(f"ProcessStreamsFunction: {failure}; it lacks {sorted(missing())[:3]}\n{log}") from None
    found = {(entry["lab_id"], entry["sk"]): entry for entry in entries(stack) if entry["change"] == "added"}
    for key, item in expected(stack).items():
        different = [name for name in COMPARED if found[key].get(name) != item.get(name)]
        if different and "erased_at" not in item:
            raise Failure(f"ProcessStreamsFunction: the archive has another {', '.join(different)} of {key}")
    return len(found)


def stream_record(table, name, key, **images):
    """A record of a table's stream, as Lambda gives it to a function."""
    return {
        "eventID": "rehearsal", "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/rehearsal",
        "dynamodb": {"ApproximateCreationDateTime": int(time.time()), "Keys": key, **images, "SequenceNumber": "1", "SizeBytes": 1,
                     "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def end_of_life(client):
    """Ends the life of a deleted case with the event that DynamoDB's expiry makes. (The emulator does not expire items.)"""
    stack, dynamodb = client.stack, client.stack.emulator.client("dynamodb")
    case = client.call("createCase", expect=201, body={"procedure_type": "Crown", "patient_name": "Erika Muster"}).json["id"]
    file = {"file_name": "Erika Muster.stl", "content_type": "model/stl", "size": 1, "sha256": "0" * 64, "kind": "scan"}
    client.where("createAttachment").call("createAttachment", expect=201, id=case, body=file)
    client.call("deleteCase", expect=204, id=case)
    key = {"lab_id": {"S": "123"}, "sk": {"S": f"DELETED#{case:010}"}}
    table = stack.resources["Table"]
    item = dynamodb.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")["Attributes"]
    record = stream_record(table, "REMOVE", key, OldImage=item)
    record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    client.relay.caller = "ProcessStreamsFunction"
    client.relay.refusals.clear()
    answer = json.load(stack.invoke("ProcessStreamsFunction", {"Records": [record]})["Payload"])
    if answer != {"batchItemFailures": []}:
        raise Failure(f"ProcessStreamsFunction: the end of a case's life fails: {answer}; DynamoDB refuses {client.relay.refusals}")
    client.call("getCaseHistory", expect=410, id=case)
    left = [item for (lab, sk), item in items(stack, "Table").items() if f"#{case:010}" in sk and lab == "123"]
    if "Erika" in str(left) or not any(item["sk"].startswith("TOMBSTONE#") for item in left):
        raise Failure(f"ProcessStreamsFunction: after the end of its life, case {case} has left {sorted(item['sk'] for item in left)}")


def locked(stack):
    """Whether the emulator keeps a version that is locked, for its own root user as well."""
    s3, bucket = stack.emulator.client("s3"), stack.resources["ArchiveBucket"]
    version = s3.list_object_versions(Bucket=bucket, MaxKeys=1)["Versions"][0]
    try:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def run(client):
    """Fails unless the archive is complete and verifies."""
    say("the archive, and the end of a case's life")
    end_of_life(client)
    count = compare(client.stack)
    reply = client.call("verifyAudit")
    if not reply.json["valid"] or reply.json["archived_records"] == 0 or reply.json["archived_events"] == 0:
        raise Failure(client.explain(client.operations["verifyAudit"], "the trail does not verify", reply))
    if not locked(client.stack):
        raise Failure("ArchiveBucket: an object of the archive could be deleted")
    say(f"the archive holds all {count} audit records and events, and none can be deleted")
