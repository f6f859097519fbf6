"""Causes failures in the rehearsed deployment, and shows that the metric of the alarm for each moves: `make rehearse-alarms`.

A row of FAILURES is a failure, its alarm and a function that causes it. What the metric is comes from the deployed alarm. Of an
alarm on the functions' own metrics (namespace LHCMS), the drill counts the log lines in the embedded metric format, with exactly
the alarm's dimensions; of an alarm on Lambda, the emulator counts; of one on a queue, its messages.
"""

import base64
import json
import re
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import archive
import push
import verification
from processes import ROOT, free_port
from report import Failure, say, wait_for
from stack import ALIAS

LAB = {"X-Lab-Id": "123"}


@contextmanager
def changed(client, target, code=None, **variables):
    """The function with other variables in its environment, or with other code (a zip), for the time of the block."""
    functions, name = client.stack.emulator.client("lambda"), client.stack.resources[target]
    before = functions.get_function_configuration(FunctionName=name, Qualifier=ALIAS)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": before["Environment"]["Variables"] | variables})
    if code:
        functions.update_function_code(FunctionName=name, ZipFile=code)
    # Requests go to the version that the alias names, and a version does not change.
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
    try:
        yield
    finally:
        functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=before["Version"])
        functions.update_function_configuration(FunctionName=name, Environment=before["Environment"])
        if code:
            functions.update_function_code(FunctionName=name, **client.stack.template["Resources"][target]["Properties"]["Code"])


def wrong_secret(client):
    """A function with an empty secret does not start."""
    with changed(client, "GetCaseFunction", JWT_SECRET_KEY=""):
        # Not through the gateway: the emulator does not count what its gateway starts.
        client.stack.invoke("GetCaseFunction", {})


def no_concurrency(client):
    """A function whose concurrency is used up is refused by Lambda."""
    functions, name = client.stack.emulator.client("lambda"), client.stack.resources["ListCasesFunction"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        # Not through the alias, which the emulator does not limit.
        functions.invoke(FunctionName=name, Payload="{}")
    except functions.exceptions.TooManyRequestsException:
        pass
    finally:
        functions.delete_function_concurrency(FunctionName=name)


def dead_letter(client):
    """What Lambda does with a change that failed for twelve hours."""
    sqs = client.stack.emulator.client("sqs")
    sqs.send_message(QueueUrl=client.stack.resources["StreamsDeadLetters"], MessageBody="{}")


def as_user(name, operation, headers=None, **parameters):
    """A cause: a call of a user."""
    def call(client):
        client.log_in(name)
        try:
            client.call(operation, headers=headers or {}, **parameters)
        finally:
            client.log_in("admin")

    return call


def without_token(client):
    """A request that gets 401."""
    client.token = None
    client.call("listCases", expect=401)
    client.log_in("admin")


def beyond_the_limit(client):
    """More requests in a minute than a user may send."""
    with changed(client, "ListCasesFunction", RATE_LIMIT_PER_USER="1"):
        client.call("listCases")
        client.call("listCases", expect=429)


def no_answer(target, variable, operation, expect, **parameters):
    """A cause: a service does not answer, because nobody listens at its URL."""
    def call(client):
        with changed(client, target, **{variable: f"http://127.0.0.1:{free_port()}"}):
            client.call(operation, expect=expect, **parameters)

    return call


def unrecorded(client):
    """A read whose audit record cannot be written."""
    with changed(client, "GetCaseFunction", AUDIT_TABLE_NAME="lhcms-dev-elsewhere"):
        client.request("GET", "/api/v1/cases/1")


def failing_for_many(client):
    """UMS fails for three users, one after the other, so the function stops calling it for two seconds."""
    with changed(client, "ListCasesFunction", UMS_BASE_URL=f"http://127.0.0.1:{free_port()}"):
        for user in ("admin", "viewer", "technician", "northgate", "admin"):
            client.log_in(user)
            client.call("listCases", expect=503)
    client.log_in("admin")


def lost_keys(client):
    """A provider publishes its keys once, and fails when the function looks for the unknown key of a token."""
    answers = iter([(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="), "kid": "a"}]})])

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = next(answers, (500, {}))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/keys"
        with changed(client, "ListCasesFunction", JWT_SECRET_KEY="", UMS_JWKS_URL=url):
            parts = ({"alg": "EdDSA", "kid": "b"}, {"sub": "1", "exp": 4102444800}, {})
            client.token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
            client.call("listCases", expect=401)
    finally:
        server.shutdown()
        client.log_in("admin")


def defect(client):
    """A function whose handler panics, in the place of one of the service."""
    with changed(client, "GetCaseFunction", code=client.panicking):
        client.call("getCase", expect=500, id=1)


def without_archive(client):
    """A change reaches the function on the streams, and the bucket of the archive is gone."""
    stack = client.stack
    case = client.call("createCase", 201, {"procedure_type": "Crown"}).json["id"]
    key = {"lab_id": {"S": "123"}, "sk": {"S": f"EVENT#{case:010}#000001"}}
    item = stack.emulator.client("dynamodb").get_item(TableName=stack.resources["Table"], Key=key)["Item"]
    record = archive.stream_record(stack.resources["Table"], "INSERT", key, NewImage=item)
    with changed(client, "ProcessStreamsFunction", ARCHIVE_BUCKET_NAME="lhcms-dev-elsewhere"):
        answer = json.load(stack.invoke("ProcessStreamsFunction", {"Records": [record]})["Payload"])
        if not answer["batchItemFailures"]:
            raise Failure(f"ProcessStreamsFunction: without a bucket it answers {answer}")


def unsent(client):
    """A change while a page is connected, and the function cannot reach API Gateway."""
    case = client.call("createCase", 201, {"procedure_type": "Crown"}).json["id"]
    page = push.Socket(push.ticket(client))
    page.ask({"action": "subscribe", "lab_id": push.LAB})
    with changed(client, "PushChangesFunction", REALTIME_ENDPOINT=f"http://127.0.0.1:{free_port()}"):
        client.call("updateCase", id=case, body={"notes": "a signal that cannot be sent"})
        log = f"/aws/lambda/{client.stack.resources['PushChangesFunction']}"
        wait_for("PushChangesFunction: it reports no failure", 30, lambda: client.stack.emulator.client("logs").filter_log_events(
            logGroupName=log, filterPattern='"PushFailures"')["events"])
    page.close()


FAILURES = (
    ("a defect ends a request", "panics", defect),
    ("the provider of token keys fails", "stale-keys", lost_keys),
    ("UMS fails for several users", "circuit-open", failing_for_many),
    ("the bucket of the archive is gone", "archive-failures", without_archive),
    ("API Gateway cannot be reached for a signal", "push-failures", unsent),
    ("a client that sends too much", "rate-limited-burst", beyond_the_limit),
    ("UMS does not answer", "ums-failures", no_answer("ListCasesFunction", "UMS_BASE_URL", "listCases", 503)),
    ("LinksHub does not answer", "linkshub-failures", no_answer("GetDoctorFunction", "LINKSHUB_BASE_URL", "getDoctor", 503, doctor_id="doctor_77")),
    ("an audit record that cannot be written", "audit-failures", unrecorded),
    ("a function with an empty secret", "get-case-errors", wrong_secret),
    ("a function at its limit of executions", "function-throttles", no_concurrency),
    ("a change that failed for twelve hours", "streams-dead-letters", dead_letter),
    ("a request without a token", "unauthorized-burst", without_token),
    ("a viewer exports", "forbidden-burst", as_user("viewer", "exportCases", expect=403)),
    ("a user names another lab", "lab-forbidden-burst", as_user("northgate", "listCases", LAB, expect=403)),
    ("a system administrator reads a lab", "break-glass",
     as_user("sysadmin", "caseStats", {**LAB, "X-Break-Glass": "support; the drill of the alarms"})),
    ("a case is changed in the table", "verification-failed", verification.run),
)


def embedded(stack, alarm):
    """The sum of an alarm's metric in the log lines of all functions."""
    wanted = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    logs, total = stack.emulator.client("logs"), 0
    for group in [stack.resources[target] for target, _ in stack.functions()]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{group}")
        for line in (line for page in pages for event in page["events"] for line in event["message"].splitlines()):
            if f'"{alarm["MetricName"]}"' not in line:
                continue
            entry = json.loads(line)
            for directive in entry["_aws"]["CloudWatchMetrics"]:
                if (directive["Namespace"] == alarm["Namespace"] and any(it["Name"] == alarm["MetricName"] for it in directive["Metrics"])
                        and any(set(names) == set(wanted) for names in directive["Dimensions"])
                        and all(entry[name] == value for name, value in wanted.items())):
                    total += entry[alarm["MetricName"]]
    return total


def of_lambda(stack, alarm):
    """The sum of an alarm's metric as the emulator counts it. It has no metric of the account, which is the sum of the functions'."""
    cloudwatch, total, now = stack.emulator.client("cloudwatch"), 0, datetime.now(timezone.utc)
    for metric in cloudwatch.list_metrics(Namespace=alarm["Namespace"], MetricName=alarm["MetricName"])["Metrics"]:
        if all(dimension in metric["Dimensions"] for dimension in alarm["Dimensions"]):
            points = cloudwatch.get_metric_statistics(
                **metric, StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1), Period=60, Statistics=["Sum"])
            total += sum(point["Sum"] for point in points["Datapoints"])
    return total


def of_queue(stack, alarm):
    """The messages in the queue of an alarm."""
    attribute = alarm["MetricName"].replace("Visible", "")
    queue = stack.emulator.client("sqs").get_queue_url(QueueName=alarm["Dimensions"][0]["Value"])["QueueUrl"]
    return int(stack.emulator.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=[attribute])["Attributes"][attribute])


SOURCES = {"LHCMS": embedded, "AWS/Lambda": of_lambda, "AWS/SQS": of_queue}


def in_runbook(name):
    """Whether docs/operations.md has a row for the alarm."""
    rows = [line for line in (ROOT / "docs/operations.md").read_text().splitlines() if line.startswith("| `")]
    return any(f"`{name}`" in row or (name.endswith("-errors") and "`<function>-errors`" in row) for row in rows)


def run(client):
    """Causes each failure, and prints the table of failures, metrics, alarms and runbook rows."""
    stack = client.stack
    prefix = "lhcms-dev-"
    pages = stack.emulator.client("cloudwatch").get_paginator("describe_alarms").paginate()
    alarms = {alarm["AlarmName"].removeprefix(prefix): alarm for page in pages for alarm in page["MetricAlarms"]}
    rows, missed = [], []
    for failure, name, cause in FAILURES:
        if name not in alarms:
            raise Failure(f"the stack has no alarm {prefix}{name}")
        alarm, runbook = alarms[name], in_runbook(name)
        read = SOURCES[alarm["Namespace"]]
        before = read(stack, alarm)
        say(f"causes {failure}")
        cause(client)
        try:
            after = wait_for(f"{name}: the metric stays at {before}", 20,
                             lambda: (now := read(stack, alarm)) > before and now, stack.emulator.check)
        except Failure as failed:
            missed.append(str(failed))
            after = before
        if not runbook:
            missed.append(f"{name}: docs/operations.md has no row for it")
        dimensions = ", ".join(re.sub(rf"^{prefix}", "", it["Value"]) for it in alarm["Dimensions"]) or "the account"
        rows.append((failure, f"{alarm['MetricName']} ({dimensions})", f"{before:g} -> {after:g}", f"{name} (at {alarm['Threshold']:g})",
                     "yes" if runbook else "NO"))
    print()
    for row in (("failure", "metric", "moves", "alarm", "runbook"), ("---",) * 5, *rows):
        print("| " + " | ".join(row) + " |")
    print()
    if missed:
        raise Failure("\n".join(missed))
    say(f"{len(rows)} failures moved the metrics of their alarms, and {len(alarms) - len(rows)} of the alarms in the emulator have no drill")
