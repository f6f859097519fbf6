"""The scheduled verification: it accuses nothing of the sequence, and finds a case that somebody changed in the table."""

import json

from report import Failure, say, wait_for

FUNCTION = "VerifyHistoriesFunction"
LAB = "123"


def run(client):
    """Runs the function under its own role, before and after a case is changed behind the service's back."""
    stack = client.stack
    case = int(client.call("createCase", 201, {"procedure_type": "Crown", "notes": "first"}).json["id"])
    before = verify(client)
    if not before["cases"] or before["unverified"] or before["contradictions"]:
        raise Failure(f"{FUNCTION}: of the sequence's cases it says {before}")
    stack.emulator.client("dynamodb").update_item(
        TableName=stack.resources["Table"], Key={"lab_id": {"S": LAB}, "sk": {"S": f"CASE#{case:010}"}},
        UpdateExpression="SET notes = :forged", ExpressionAttributeValues={":forged": {"S": "forged"}})
    expected = [{"lab_id": int(LAB), "case_id": case, "version": 1, "fault": "case_changed"}]
    found = verify(client)["contradictions"]
    if found != expected:
        raise Failure(f"{FUNCTION}: after a change of case {case} in the table it says {found}")
    wait_for(f"{FUNCTION}: its log has no metric of the contradiction", 20, lambda: metrics(stack), stack.emulator.check)
    say(f"the scheduled verification accuses none of {before['cases']} cases, and finds the changed one; its alarm's metric moves")


def verify(client):
    """The function's report."""
    client.relay.caller = FUNCTION
    client.relay.refusals.clear()
    answer = client.stack.invoke(FUNCTION, {})
    report = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise Failure(f"{FUNCTION}: {report}; DynamoDB refuses {client.relay.refusals}")
    return report


def metrics(stack):
    """The lines of its log that count a failed verification."""
    logs = stack.emulator.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{stack.resources[FUNCTION]}")["events"]
    lines = [line for event in events for line in event["message"].splitlines() if "verification_failed" in line]
    return [line for line in lines if json.loads(line).get("SecurityEvents") == 1]
