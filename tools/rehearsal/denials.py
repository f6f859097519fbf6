"""What the role of a function that reads must not do: each attempt is made with the role's own session, and refused."""

from botocore.exceptions import ClientError

from report import Failure, say

LAB = "123"
# Functions that read cases, each with other rights.
READERS = ("GetCase", "ListCases", "GetCaseHistory", "ListAccess", "CaseChanges")


def attempts(cases, audit, case, record):
    """(what, operation, arguments) of each attempt to change or remove a case, an event or a record."""
    for what, table, sk in (("a case", cases, f"CASE#{case:010}"), ("an event", cases, f"EVENT#{case:010}#000001"),
                            ("a record", audit, record)):
        key = {"lab_id": {"S": LAB}, "sk": {"S": sk}}
        change = {"UpdateExpression": "SET user_id = :forged", "ExpressionAttributeValues": {":forged": {"S": "999"}}}
        yield f"change {what}", "update_item", {"TableName": table, "Key": key, **change}
        yield f"remove {what}", "delete_item", {"TableName": table, "Key": key}
        batch = {"RequestItems": {table: [{"DeleteRequest": {"Key": key}}]}}
        yield f"remove {what} in a batch", "batch_write_item", batch
        transaction = [{"Delete": {"TableName": table, "Key": key}}]
        yield f"remove {what} in a transaction", "transact_write_items", {"TransactItems": transaction}
        if table == cases:
            yield f"replace {what}", "put_item", {"TableName": table, "Item": {**key, "user_id": {"S": "999"}}}


def run(client):
    """Makes every attempt under the role of each reading function. The items must be as before."""
    stack = client.stack
    cases, audit = stack.resources["Table"], stack.resources["AuditTable"]
    database = stack.emulator.client("dynamodb")
    case = int(client.call("createCase", 201, {"procedure_type": "Crown"}).json["id"])
    records = database.query(
        TableName=audit, KeyConditionExpression="lab_id = :lab", ExpressionAttributeValues={":lab": {"S": LAB}},
        ScanIndexForward=False, Limit=1)["Items"]
    tried = list(attempts(cases, audit, case, records[0]["sk"]["S"]))
    before = items(database, tried)
    # A session of such a role does work: GetCase can read the case.
    if not items(stack.session_of("GetCaseFunctionRole"), tried[:2])[0]:
        raise Failure("the role of GetCase cannot read a case")
    for name in READERS:
        session = stack.session_of(f"{name}FunctionRole")
        for what, operation, arguments in tried:
            try:
                getattr(session, operation)(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDeniedException":
                    raise Failure(f"{name} may not {what}, but the refusal is {error}") from None
            else:
                raise Failure(f"the role of {name} can {what}: take the right away from its row")
    if items(database, tried) != before:
        raise Failure("an item has changed although every attempt was refused")
    say(f"{len(READERS)} reading functions cannot change or remove a case, an event or a record: "
        f"{len(tried)} attempts each, all AccessDenied")


def items(database, tried):
    """The items that the attempts are about."""
    keys = [(arguments["TableName"], arguments["Key"]) for _, operation, arguments in tried if operation == "delete_item"]
    return [database.get_item(TableName=table, Key=key).get("Item") for table, key in keys]
