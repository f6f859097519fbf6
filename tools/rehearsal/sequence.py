"""The end-to-end sequence: it calls every operation of gateway.yaml, as users of a lab do, and checks the answers.

It can run again: it makes new cases, and counts them.
"""

import hashlib
import json
import urllib.request
import uuid

import checks
import event_bus
import push
import webhooks
from report import Failure, say, wait_for

CASE = {"patient_name": "John Doe", "procedure_type": "Crown", "status": "in_progress", "notes": "Upper left molar",
        "doctor_id": "doctor_123", "product_id": "crown_zirconia_001"}


def check(client, operation, reply, **expected):
    """Fails unless the answer has the expected members."""
    for name, value in expected.items():
        if reply.json.get(name) != value:
            found = reply.json.get(name)
            raise Failure(client.explain(client.operations[operation], f"{name} is {found!r} instead of {value!r}", reply))


def run(client):
    """Calls every operation; fails at the first wrong answer, or if an operation was not called."""
    say("public operations")
    client.token = None
    public(client)
    say("the life of a case")
    client.log_in("admin")
    total = client.call("caseStats").json["total"]
    case, remake = life_of_a_case(client)
    say("comments")
    # Another release may not have them yet; see upgrade.py.
    comments(client.where("createComment"), case)
    say("files")
    files(client.where("createAttachment"), case)
    say("lists, exports, board, feed")
    reading(client, case, total + 2)
    say("many cases at once, records of access, other people")
    many_cases(client, case, remake)
    records(client, case)
    trail(client)
    others(client, case)
    say("webhooks")
    # Another release may not have them yet; see upgrade.py.
    webhooks.run(client.where("createWebhook"), case)
    event_bus.run(client.where("updateCase"), case)
    say("push")
    # Another release may not have it yet; see upgrade.py.
    push.run(client.where("createRealtimeTicket"), case)
    say("deleting and restoring")
    delete_and_restore(client, case)
    missing = [f"{operation.id} ({operation.route})" for operation in client.stack.operations
               if operation.id not in client.called and not operation.default]
    if missing:
        raise Failure("tools/rehearsal/sequence.py does not call " + ", ".join(missing))


def public(client):
    """What needs no token."""
    check(client, "getHealth", client.call("getHealth"), status="healthy", service="case_service")
    reply = client.call("getApiHealth")
    check(client, "getApiHealth", reply, status="healthy")
    states = {name: state["status"] for name, state in reply.json["checks"].items()}
    if states != {"table": "up", "ums": "up", "linkshub": "up"}:
        raise Failure(client.explain(client.operations["getApiHealth"], f"the services are {states}", reply))
    for operation, word in (("getDocs", "LHCMS"), ("getSpecJson", '"openapi"'), ("getSpecYaml", "openapi:")):
        reply = client.call(operation)
        if word not in reply.text:
            raise Failure(client.explain(client.operations[operation], f"{word!r} is not in the answer", reply))
    client.call("getDocsAsset", asset="init.js")
    for operation, member in (("listCaseTypes", "case_types"), ("listShades", "shade_systems"), ("listMaterials", "materials")):
        reply = client.call(operation)
        if member not in reply.text:
            raise Failure(client.explain(client.operations[operation], f"{member!r} is not in the answer", reply))
    for operation in client.stack.operations:
        if operation.method == "HEAD":
            reply = client.call(operation.id, asset="init.js")
            if reply.body:
                raise Failure(client.explain(operation, "an answer to HEAD has a body", reply))
    fallback = client.operations["$default"]
    for method, path, expected in (("GET", "/nowhere", 404), ("POST", "/health", 405), ("GET", "/api/v1/cases/", 308)):
        reply = client.request(method, path, operation=fallback)
        if reply.status != expected:
            raise Failure(client.explain(fallback, f"{method} {path} is answered {reply.status} instead of {expected}", reply))
    client.call("listCases", expect=401)


def life_of_a_case(client):
    """Creates a case and takes it through its workflow; returns its id, and that of its remake."""
    headers = key()
    reply = client.call("createCase", expect=201, body=CASE, headers=headers)
    check(client, "createCase", reply, lab_id=123, status="in_progress", procedure_type="Crown")
    case = reply.json["id"]
    again = client.call("createCase", expect=201, body=CASE, headers=headers)
    check(client, "createCase", again, id=case)
    check(client, "getCase", client.call("getCase", id=case), patient_name="John Doe", version=1)
    client.call("getCase", expect=404, id=case + 1000)
    check(client, "updateCase", client.call("updateCase", id=case, body={"priority": "high"}), priority="high", version=2)
    if "patchCase" in client.operations:
        headers = {"Content-Type": "application/merge-patch+json"}
        reply = client.call("patchCase", id=case, body={"priority": "low"}, headers=headers)
        check(client, "patchCase", reply, priority="low")
    client.call("updateCaseStatus", expect=409, id=case, body={"status": "shipped"})
    for status in ("quality_check", "completed"):
        reply = client.call("updateCaseStatus", id=case, body={"status": status})
        check(client, "updateCaseStatus", reply, status=status)
    reply = client.call("getCaseHistory", id=case)
    if len(reply.json["events"]) < 4:
        raise Failure(client.explain(client.operations["getCaseHistory"], "events are missing", reply))
    check(client, "verifyCaseHistory", client.call("verifyCaseHistory", id=case), valid=True)
    body = {"reason_code": "margin", "reason": "Open margin, mesial"}
    reply = client.call("remakeCase", expect=201, id=case, body=body, headers=key())
    check(client, "remakeCase", reply, remake_of=case)
    return case, reply.json["id"]


def key():
    """The header with a new idempotency key."""
    return {"Idempotency-Key": f"rehearsal-{uuid.uuid4()}"}


def comments(client, case):
    """A question and its answer, and an edit and the removal of a comment."""
    body = {"text": "Which shade?", "mentions": ["5"], "asks": True}
    reply = client.call("createComment", expect=201, id=case, body=body, headers=key())
    check(client, "createComment", reply, id=1, asks=True)
    reply = client.call("listCases", query={"waiting_for_answer": "true"})
    if [found["id"] for found in reply.json["cases"]] != [case]:
        raise Failure(client.explain(client.operations["listCases"], f"case {case} does not wait for an answer", reply))
    check(client, "caseStats", client.call("caseStats"), waiting_for_answer=1)
    path = {"id": case, "comment_id": 1}
    check(client, "updateComment", client.call("updateComment", body={"text": "Which shade, A2 or A3?"}, **path), id=1)
    reply = client.call("listComments", id=case)
    if [comment["text"] for comment in reply.json["comments"]] != ["Which shade, A2 or A3?"]:
        raise Failure(client.explain(client.operations["listComments"], "the comment is missing", reply))
    client.call("deleteComment", expect=204, **path)
    check(client, "getCase", client.call("getCase", id=case), comment_count=0, waiting_for_answer=False)


def files(client, case):
    """A file that is announced, sent to the store and completed; the scanner of the emulator is the rehearsal itself."""
    content = b"solid upper jaw"
    digest = hashlib.sha256(content)
    body = {"file_name": "upper jaw.stl", "content_type": "model/stl", "size": len(content), "sha256": digest.hexdigest(), "kind": "scan"}
    reply = client.call("createAttachment", expect=201, id=case, body=body)
    path = {"id": case, "attachment_id": reply.json["attachment"]["id"]}
    [part] = client.call("getAttachmentUpload", **path).json["upload"]["parts"]
    request = urllib.request.Request(part["url"], data=content, headers=part["headers"], method="PUT")
    # No proxy stands between processes of this machine.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        if answer.status != 200:
            raise Failure(f"the store answers {answer.status} to a signed PUT")
    check(client, "completeAttachment", client.call("completeAttachment", **path), state="scanning")
    if client.call("getAttachment", **path).json["download"] is not None:
        raise Failure("a file that is not scanned has a URL")
    scan_result(client, f"lab=123/case={case}/{path['attachment_id']}")
    url = client.call("getAttachment", **path).json["download"]["url"]
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        if answer.read() != content:
            raise Failure("the store has another file")
    if [found["id"] for found in client.call("listAttachments", id=case).json["attachments"]] != [path["attachment_id"]]:
        raise Failure("the file is missing in the list")
    client.call("deleteAttachment", expect=204, **path)


def scan_result(client, key):
    """The event of GuardDuty: nothing was found in an object."""
    stack = client.stack
    event = {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": "GuardDuty Malware Protection Object Scan Result", "source": "aws.guardduty",
        "account": "000000000000", "time": "2026-11-24T09:31:20Z", "region": "us-east-1", "resources": [],
        "detail": {
            "schemaVersion": "1.0", "scanStatus": "COMPLETED", "resourceType": "S3_OBJECT",
            "s3ObjectDetails": {"bucketName": stack.resources["FilesBucket"], "objectKey": key, "eTag": "", "s3Throttled": False,
                                "versionId": version_of(stack, key)},
            "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND", "threats": None},
        },
    }
    client.relay.caller = "ScanResultsFunction"
    answer = json.load(stack.invoke("ScanResultsFunction", event)["Payload"])
    if answer != "changed":
        raise Failure(f"ScanResultsFunction: it answers {answer}; DynamoDB refuses {client.relay.refusals}")


def version_of(stack, key):
    """The version of an object of the bucket of files."""
    return stack.emulator.client("s3").head_object(Bucket=stack.resources["FilesBucket"], Key=key).get("VersionId")


def reading(client, case, total):
    """Lists, exports, the board and the feed. Each way to look for cases takes another index."""
    for query in ({}, {"status": "completed"}, {"q": "doe"}, {"sort": "due_date", "status": "completed"}, {"sort": "updated_at"}):
        reply = client.call("listCases", query=query)
        if case not in [found["id"] for found in reply.json["cases"]]:
            raise Failure(client.explain(client.operations["listCases"], f"{query} does not find case {case}", reply))
        body = {**query, "status": ["completed", "shipped"]} if "status" in query else query
        reply = client.call("searchCases", body=body)
        if case not in [found["id"] for found in reply.json["cases"]]:
            raise Failure(client.explain(client.operations["searchCases"], f"{body} does not find case {case}", reply))
        reply = client.call("exportCases", query=query)
        if "John Doe" not in reply.text:
            raise Failure(client.explain(client.operations["exportCases"], f"{query} does not find case {case}", reply))
    reply = client.call("listCases", query={"page": 2, "per_page": 1})
    [listed], single = reply.json["cases"], client.call("getCase", id=case).json
    # Beside another release, only one of the two may have a member.
    if any(listed[name] != single[name] for name in listed.keys() & single.keys()):
        raise Failure(client.explain(client.operations["listCases"], f"case {case} is not {single}", reply))
    reply = client.call("caseStats")
    check(client, "caseStats", reply, total=total)
    reply = client.call("caseChanges", query={"limit": 100})
    if case not in [change["id"] for change in reply.json["changes"]]:
        raise Failure(client.explain(client.operations["caseChanges"], f"case {case} is not in the feed", reply))


def many_cases(client, case, remake):
    """Moves a case and its remake at once."""
    body = {"ids": [case, remake], "status": "in_progress"}
    reply = client.call("bulkUpdateStatus", body=body, headers=key())
    check(client, "bulkUpdateStatus", reply, succeeded=2, failed=0)


def records(client, case):
    """The records of access."""
    for operation, parameters in (("getCaseAccess", {"id": case}), ("listAccess", {})):
        reply = client.call(operation, query={"per_page": 100}, **parameters)
        if not any(record["action"] == "createCase" and case in record["case_ids"] for record in reply.json["records"]):
            raise Failure(client.explain(client.operations[operation], "the creation is not on record", reply))
    reply = client.call("listAccess", query={"format": "csv", "per_page": 100})
    if "createCase" not in reply.text:
        raise Failure(client.explain(client.operations["listAccess"], "the creation is not in the CSV", reply))


def trail(client):
    """The verification of the audit trail; archive.py waits for the archive and verifies again."""
    check(client, "verifyAudit", client.call("verifyAudit"), valid=True)


def others(client, case):
    """A system administrator gives a reason, which is recorded; a viewer may read; a user of another lab sees nothing."""
    check(client, "getDoctor", client.call("getDoctor", doctor_id="doctor_123"), doctor_id="doctor_123")
    client.log_in("sysadmin")
    lab = {"X-Lab-Id": "123"}
    client.call("getDoctor", expect=403, doctor_id="doctor_123", headers=lab)
    client.call("getDoctor", expect=400, doctor_id="doctor_123", headers={**lab, "X-Break-Glass": "rehearsal"})
    reason = {**lab, "X-Break-Glass": "support; the rehearsal of a deployment"}
    client.call("getDoctor", doctor_id="doctor_123", headers=reason)
    client.call("caseStats", headers=reason)
    client.call("verifyCaseHistory", headers=reason, id=case)
    client.call("listAccess", expect=403, headers=reason)
    client.call("exportCases", expect=403, headers=reason)
    client.log_in("viewer")
    # A viewer may not see deleted cases, so the function also reads the case.
    client.call("getCaseHistory", id=case)
    client.call("getCaseAccess", expect=403, id=case)
    client.call("exportCases", expect=403)
    client.log_in("northgate")
    client.call("listCases", expect=403, headers=lab)
    check(client, "listCases", client.call("listCases"), cases=[])
    client.log_in("admin")


def delete_and_restore(client, case):
    """Deletes a case, which then carries the table's TTL attribute, and brings it back."""
    client.call("deleteCase", expect=204, id=case)
    client.call("getCase", expect=404, id=case)
    checks.ttl(client.stack, 123, case)
    indexed(client, case)
    check(client, "restoreCase", client.call("restoreCase", id=case), id=case)
    check(client, "getCase", client.call("getCase", id=case), id=case)


def indexed(client, case):
    """A search finds the deleted case by the index of words, which the function on the stream of the table keeps. (A search for
    cases that are not deleted would also find it by its last change.)"""
    query = {"q": "doe", "deleted": "true"}
    try:
        wait_for(f"case {case} is not in the index of words", 60, lambda: case in [
            found["id"] for found in client.call("listCases", query=query).json["cases"]], client.stack.emulator.check)
    except Failure as failure:
        log = "\n".join(f"  its log: {line}" for line in client.stack.log_of("ProcessStreamsFunction"))
        raise Failure(f"ProcessStreamsFunction: {failure}\n{log}") from None
