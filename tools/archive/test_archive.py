"""The search of the archive, and the redrive of its dead letters, with stand-ins for AWS."""

import datetime
import gzip
import io
import json
import unittest

import redrive
import search


def entry(stream_id, at, **members):
    return {"stream_id": stream_id, "changed_at": at, "change": "added", "lab_id": "123", "sk": at, "at": at, **members}


class Bucket:
    """Objects by key, with two keys on a page of a list."""

    def __init__(self, objects):
        self.objects = {key: gzip.compress("\n".join(map(json.dumps, lines)).encode()) for key, lines in objects.items()}

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix):
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        yield from ({"Contents": [{"Key": key} for key in keys[at:at + 2]]} for at in range(0, len(keys), 2))
        yield {}

    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(self.objects[Key])}


class Search(unittest.TestCase):
    def setUp(self):
        self.read = entry("a", "2026-11-24T09:00:00.000Z", item="audit_record", user_id="7", case_ids=[42, 43])
        self.event = entry("b", "2026-11-24T08:00:00.000Z", item="event", user_id="8", case_id=42)
        self.later = entry("c", "2026-11-25T00:00:00.000Z", item="audit_record", user_id="7", case_ids=[])
        self.bucket = Bucket({
            "lab=123/day=2026-11-24/09-a-1.ndjson.gz": [self.read],
            "lab=123/day=2026-11-24/08-b-2.ndjson.gz": [self.event, self.event],
            "lab=123/day=2026-11-24/09-a-2.ndjson.gz": [self.read],
            "lab=123/day=2026-11-25/00-c-1.ndjson.gz": [self.later],
            "lab=1234/day=2026-11-24/09-x-1.ndjson.gz": [entry("x", "2026-11-24T09:00:00.000Z", user_id="7")],
            "lab=123/day=2026-11-26/00-y-1.ndjson.gz": [entry("y", "2026-11-26T00:00:00.000Z", user_id="7")],
        })

    def found(self, **filters):
        first, last = datetime.date(2026, 11, 24), datetime.date(2026, 11, 25)
        return list(search.search(self.bucket, "bucket", 123, first, last, **filters))

    def test_entries_of_the_days_are_in_order_and_each_once(self):
        self.assertEqual(self.found(), [self.event, self.read, self.later])

    def test_entries_are_found_by_user_and_case(self):
        self.assertEqual(self.found(user="7"), [self.read, self.later])
        self.assertEqual(self.found(case=42), [self.event, self.read])
        self.assertEqual(self.found(user="8", case=43), [])


class Streams:
    """A shard with records 1 to 120, a hundred on a page."""

    def get_shard_iterator(self, SequenceNumber, **_):
        return {"ShardIterator": SequenceNumber}

    def get_records(self, ShardIterator):
        numbers = range(int(ShardIterator), min(int(ShardIterator) + 100, 121))
        at = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)
        identity = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
        records = [{"eventName": "REMOVE", "userIdentity": identity, "dynamodb": {
            "SequenceNumber": str(number), "ApproximateCreationDateTime": at}} for number in numbers]
        return {"Records": records, "NextShardIterator": str(numbers.stop) if numbers.stop < 121 else None}


class Redrive(unittest.TestCase):
    BATCH = {"streamArn": "arn:stream", "shardId": "shard", "startSequenceNumber": "2", "endSequenceNumber": "110"}

    def test_the_records_of_a_batch_are_sent_as_lambda_sends_them(self):
        sent = []
        self.assertTrue(redrive.redrive(self.BATCH, Streams(), lambda event: sent.append(event) or {"batchItemFailures": []}))
        found = [record for event in sent for record in json.loads(event)["Records"]]
        self.assertEqual([record["dynamodb"]["SequenceNumber"] for record in found], [str(number) for number in range(2, 111)])
        self.assertEqual(found[0], {
            "eventName": "REMOVE", "eventSourceARN": "arn:stream",
            "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
            "dynamodb": {"SequenceNumber": "2", "ApproximateCreationDateTime": 1795564800.0},
        })

    def test_a_batch_that_fails_again_stays(self):
        for answer in ({"errorMessage": "panic"}, {"batchItemFailures": [{"itemIdentifier": "2"}]}):
            self.assertFalse(redrive.redrive(self.BATCH, Streams(), lambda event: answer))


if __name__ == "__main__":
    unittest.main()
