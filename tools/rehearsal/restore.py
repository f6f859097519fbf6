"""The drill of a restore: `make rehearse-restore`. The steps are those of docs/operations.md.

It uses the service, takes a backup, uses the service further, destroys the table of cases, restores the backup into a new table,
begins an epoch, and updates the stack with ExistingTableName. Then it verifies everything.
"""

import os
import re
import shlex
import subprocess
import time
from datetime import datetime, timedelta, timezone

import archive
import checks
import sequence
import verification
from processes import REGION, ROOT_KEY, ROOT_SECRET
from reader import Reader
from report import Failure, say, wait_for
from stack import SEAL_KEYS

LAB = 123
RESTORED = "lhcms-dev-restored"
# One machine has one clock.
MARGIN = 1
CASE = {"procedure_type": "Bridge", "patient_name": "Erika Muster"}


class Steps:
    """The steps of the drill, with what each of them took."""

    def __init__(self):
        self.rows = []

    def step(self, what, act):
        """Takes a step; returns its result."""
        say(what)
        started = time.monotonic()
        result = act()
        self.rows.append((what, time.monotonic() - started))
        return result

    def seconds(self, *names):
        """The sum of some steps."""
        return sum(seconds for what, seconds in self.rows if what in names)


def tool(rehearsal, command, table, **variables):
    """Runs tools/lab-data on a table; returns its output."""
    environment = {
        "PATH": os.environ["PATH"], "STAGE": "dev", "TABLE_NAME": table, "AUDIT_TABLE_NAME": "lhcms-dev-audit", "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": rehearsal.emulator.url, "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "SEAL_KEYS": SEAL_KEYS, **{name: str(value) for name, value in variables.items()}}
    result = subprocess.run([rehearsal.target / "debug/lab-data", command], env=environment, capture_output=True, text=True)
    if result.returncode:
        raise Failure(f"lab-data {command}: {result.stdout}{result.stderr}")
    return result.stdout


def run_commands(dynamodb, output):
    """Runs the commands of the AWS CLI in an output, with botocore; returns the result of the last one."""
    answer = None
    for line in output.splitlines():
        if not line.startswith("aws dynamodb "):
            continue
        name, *words = shlex.split(line.removeprefix("aws dynamodb "))
        if name == "wait":
            dynamodb.get_waiter(words.pop(0).replace("-", "_")).wait(TableName=words[1])
            continue
        answer = getattr(dynamodb, name.replace("-", "_"))(**arguments(words))
    return answer


def arguments(words):
    """The arguments of a command as botocore wants them."""
    def value(text):
        if "=" in text:
            return {key: value(part) for key, part in (pair.split("=") for pair in text.split(","))}
        return {"true": True, "false": False}.get(text, text)

    found, words = {}, list(words)
    while words:
        name = words.pop(0).removeprefix("--")
        text = words.pop(0) if words and not words[0].startswith("--") else "true"
        if name not in ("query", "output"):
            found["".join(part.capitalize() for part in name.split("-"))] = value(text)
    return found


def cases(client):
    """Every live case of the lab, by id."""
    found, query = {}, {"limit": 100}
    while True:
        page = client.call("listCases", query=query).json
        found |= {case["id"]: case for case in page["cases"]}
        if not page["pagination"]["next_cursor"]:
            return found
        query["cursor"] = page["pagination"]["next_cursor"]


def more_changes(client, changed, deleted):
    """Changes that the restore loses; returns the ids of the new cases."""
    new = [client.call("createCase", 201, CASE).json["id"] for _ in range(4)]
    client.call("updateCase", id=new[0], body={"notes": "lost"})
    for priority in ("high", "low"):
        client.call("updateCase", id=changed, body={"priority": priority})
    client.call("deleteCase", expect=204, id=deleted)
    return new


def verify(client, rehearsal, before, statistics, readers, lost):
    """Everything is as it was at the backup, and readers and ids know it."""
    if cases(client) != before:
        raise Failure("the restored cases are not those of the backup")
    for case in before:
        client.call("getCase", id=case)
        sequence.check(client, "verifyCaseHistory", client.call("verifyCaseHistory", id=case), valid=True)
    sequence.check(client, "caseStats", client.call("caseStats"), **statistics)
    for case in lost:
        client.call("getCase", expect=404, id=case)
    for name, reader, restarts in readers:
        reader.follow()
        if reader.state() != before or reader.restarts != restarts:
            raise Failure(f"the {name} reader knows {sorted(reader.state())} after {reader.restarts} restarts, not {sorted(before)} after {restarts}")
    new = client.call("createCase", 201, CASE).json["id"]
    if new <= max(lost):
        raise Failure(f"a new case gets the id {new}, although {max(lost)} was given out before the restore")
    client.call("updateCase", id=max(before), body={"notes": "after the restore"})
    for name, reader, _ in readers:
        reader.follow()
        if reader.state() != cases(client):
            raise Failure(f"the {name} reader does not follow the changes after the restore")
    report = verification.verify(client)
    if report["contradictions"] or report["unverified"]:
        raise Failure(f"the scheduled verification says {report}")
    trail = client.call("verifyAudit").json
    if not trail["valid"] or not trail["lost_events"]:
        raise Failure(f"the verification of the audit trail says {trail}")
    text = tool(rehearsal, "check", RESTORED, LAB=LAB)
    if not re.search(r"^ +0 faults$", text, re.MULTILINE):
        raise Failure(f"check-data finds faults:\n{text}")
    return trail["lost_events"]


def destroy(dynamodb, table):
    """What an administrator could do; the table is protected from less."""
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)


def replace(stack, dynamodb):
    """A new stack over the tables, the archive and the files of the old one."""
    identity = stack.emulator.client("sts").get_caller_identity()
    tables = {name: dynamodb.describe_table(TableName=stack.resources[name])["Table"] for name in ("Table", "AuditTable")}
    parameters = {f"Existing{name}{part}": table[member] for name, table in tables.items()
                  for part, member in (("Name", "TableName"), ("StreamLabel", "LatestStreamLabel"))}
    stack.replace(ArchiveBucketName=stack.resources["ArchiveBucket"], ArchiveAccount=identity["Account"],
                  ArchiveKeyId=stack.resources["ArchiveKey"], FilesBucketName=stack.resources["FilesBucket"],
                  FilesKeyId=stack.resources["FilesKey"], **parameters)


def run(rehearsal, template):
    """The drill. Prints what was lost, and what each step took."""
    steps = Steps()
    client = rehearsal.deploy(template)
    stack, dynamodb = client.stack, client.stack.emulator.client("dynamodb")
    steps.step("use the service: the sequence of all operations", lambda: sequence.run(client))
    changed, deleted = (client.call("createCase", 201, CASE).json["id"] for _ in range(2))
    early, late = Reader(client), Reader(client)
    for reader in (early, late):
        reader.follow()
    before, statistics = cases(client), client.call("caseStats").json
    restored_to = datetime.now(timezone.utc) + timedelta(seconds=MARGIN)
    wait_for("the margin", 10 + MARGIN, lambda: datetime.now(timezone.utc) > restored_to)
    items = len(archive.items(stack, "Table"))
    backup = steps.step("back up", lambda: dynamodb.create_backup(TableName=stack.resources["Table"], BackupName="drill"))

    lost = steps.step("change more", lambda: more_changes(client, changed, deleted))
    late.follow()
    archive.compare(stack)
    lost_items = len(archive.items(stack, "Table")) - items
    lost_seconds = (datetime.now(timezone.utc) - restored_to).total_seconds()
    steps.step("destroy the table", lambda: destroy(dynamodb, stack.resources["Table"]))
    client.call("getCase", expect=503, id=changed)

    arn = backup["BackupDetails"]["BackupArn"]
    restore = "restore the backup into a new table"
    steps.step(restore, lambda: dynamodb.restore_table_from_backup(TargetTableName=RESTORED, BackupArn=arn))
    begin = "make begin-epoch"
    facts = {"RESTORED_TO": restored_to.isoformat(), "MARGIN_SECONDS": MARGIN}
    output = steps.step(begin, lambda: tool(rehearsal, "begin-epoch", RESTORED, **facts))
    print(output)
    if "is in this epoch already" not in tool(rehearsal, "begin-epoch", RESTORED, **facts):
        raise Failure("a second run of begin-epoch begins another epoch")
    settings = "turn on what a restored table does not have"
    stream = steps.step(settings, lambda: run_commands(dynamodb, output))["Table"]["LatestStreamLabel"]
    if not dynamodb.describe_continuous_backups(TableName=RESTORED)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"][
            "PointInTimeRecoveryStatus"] == "ENABLED":
        raise Failure("the restored table has no point-in-time recovery")
    repair = "make repair"
    steps.step(repair, lambda: tool(rehearsal, "repair", RESTORED, LAB=LAB))
    update = "update the stack with ExistingTableName"
    steps.step(update, lambda: stack.update(ExistingTableName=RESTORED, ExistingTableStreamLabel=stream, Release="restored"))
    client.call("getCase", id=changed)

    events = steps.step("verify the data, feed, ids, histories and trail", lambda: verify(
        client, rehearsal, before, statistics, [("early", early, 0), ("late", late, 1)], lost))
    steps.step("use the service: the sequence again, in the restored table", lambda: sequence.run(client))
    checks.run(stack)
    tool(rehearsal, "check", RESTORED, LAB=LAB)
    steps.step("delete the stack, and deploy a new one over what it leaves", lambda: replace(stack, dynamodb))
    sequence.run(client)

    print("\n| step | seconds |\n| --- | --- |")
    for what, seconds in steps.rows:
        print(f"| {what} | {seconds:.1f} |")
    print(f"\nrestored: {items} items with {len(before)} live cases of lab {LAB}"
          f"\nlost (RPO of the drill): {lost_seconds:.0f} s, {events} changes, {len(lost)} new cases, {lost_items} items"
          f"\nwithout service (RTO of the drill): {steps.seconds(restore, begin, settings, repair, update):.0f} s")
    say("the drill of the restore passed")
