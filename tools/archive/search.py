"""Searches the archive of the audit trail: prints the entries of a lab between two days as lines of JSON, in the order of time.

`make audit-search` runs it. AWS credentials and the endpoint come from the environment, as for every tool of AWS.
"""

import argparse
import datetime
import gzip
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3

CONCURRENCY = 16


def days(first, last):
    """Every day from `first` to `last`."""
    return [first + datetime.timedelta(days=number) for number in range((last - first).days + 1)]


def entries(s3, bucket, lab, day):
    """The entries of a lab and day, in the order of their times, without repeated deliveries."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"lab={lab}/day={day}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]

    def read(key):
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return [json.loads(line) for line in gzip.decompress(body).splitlines()]

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        found = {entry["stream_id"]: entry for part in pool.map(read, keys) for entry in part}
    return sorted(found.values(), key=lambda entry: (entry["at"], entry["sk"], entry["changed_at"], entry["stream_id"]))


def matches(entry, user, case):
    """Whether an entry is of the user and about the case; None means any."""
    cases = [entry["case_id"]] if "case_id" in entry else entry.get("case_ids", [])
    return (user is None or entry.get("user_id") == user) and (case is None or case in cases)


def search(s3, bucket, lab, first, last, user=None, case=None):
    """Yields the entries that match."""
    for day in days(first, last):
        yield from (entry for entry in entries(s3, bucket, lab, day) if matches(entry, user, case))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--lab", type=int, required=True)
    parser.add_argument("--from", dest="first", type=datetime.date.fromisoformat, required=True)
    parser.add_argument("--to", dest="last", type=datetime.date.fromisoformat, required=True)
    parser.add_argument("--user", help="the user's id in UMS")
    parser.add_argument("--case", type=int)
    it = parser.parse_args()
    count = 0
    for entry in search(boto3.client("s3"), it.bucket, it.lab, it.first, it.last, it.user, it.case):
        print(json.dumps(entry, ensure_ascii=False))
        count += 1
    print(f"{count} entries", file=sys.stderr)


if __name__ == "__main__":
    main()
