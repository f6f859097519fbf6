"""Static checks: what the emulator does not enforce is read from the deployed stack, or from the expanded template.

Each check yields the faults that it finds, with their place in template.yaml.
"""

import json
import time

from report import Failure
from stack import ALIAS

GATEWAY_LIMIT_MS = 30_000


def row(target):
    """How to name the row of a function."""
    return f"row {target.removesuffix('Function')} of the table Functions"


def role_of_the_gateway(stack):
    """The gateway's role may call each operation's function. (The emulator's gateway calls whatever its routes name.)"""
    iam = stack.emulator.client("iam")
    role = iam.get_role(RoleName=stack.resources["GatewayRole"])["Role"]["Arn"]
    for operation in stack.operations:
        name = f"{stack.resources[operation.target]}:{ALIAS}"
        [result] = iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=["lambda:InvokeFunction"],
            ResourceArns=[f"arn:aws:lambda:us-east-1:000000000000:function:{name}"])["EvaluationResults"]
        if result["EvalDecision"] != "allowed":
            yield f"{operation.id} ({operation.route}): the gateway may not call {name} (GatewayRole in template.yaml)"


def aliases(stack):
    """The alias of each function is a version of its own, with the code and the environment of this deployment."""
    functions = stack.emulator.client("lambda")
    for target, _ in stack.functions():
        name = stack.resources[target]
        latest = functions.get_function_configuration(FunctionName=name)
        live = functions.get_function_configuration(FunctionName=name, Qualifier=ALIAS)
        if live["Version"] == "$LATEST" or (live["CodeSha256"], live["Environment"]) != (latest["CodeSha256"], latest["Environment"]):
            yield f"{target}: its alias {ALIAS} is version {live['Version']}, which is not what was deployed"


def rights_on_keys(stack):
    """A function with an encrypted environment may decrypt it. (The emulator encrypts no environment.)"""
    iam = stack.emulator.client("iam")
    lacking = []
    for target, function in stack.functions():
        if "KmsKeyArn" not in function:
            continue
        key = stack.emulator.client("kms").describe_key(KeyId=stack.resources[function["KmsKeyArn"]["Fn::GetAtt"][0]])
        role = iam.get_role(RoleName=stack.resources[f"{target}Role"])["Role"]["Arn"]
        [result] = iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=["kms:Decrypt"], ResourceArns=[key["KeyMetadata"]["Arn"]])["EvaluationResults"]
        if result["EvalDecision"] != "allowed":
            lacking.append(target)
    if lacking:
        yield (f"{', '.join(f'{target}Role' for target in lacking)}: no kms:Decrypt on the key of the function's environment "
               f"(Policies of the loop in Resources that lists {lacking[0].removesuffix('Function')})")


# What the roles of the archive may do with an object of a lab and with one outside, and what no role may.
ARCHIVE_RIGHTS = {"ProcessStreamsFunctionRole": {"s3:PutObject"}, "VerifyAuditFunctionRole": {"s3:GetObject"}}
ARCHIVE_ACTIONS = ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention",
                   "s3:BypassGovernanceRetention", "s3:PutBucketObjectLockConfiguration")


def rights_on_the_archive(stack):
    """Only the function on the streams adds to the archive, only the verification reads it, and no role can change anything in it."""
    iam, bucket = stack.emulator.client("iam"), stack.resources["ArchiveBucket"]
    for target, _ in stack.functions():
        role = iam.get_role(RoleName=stack.resources[f"{target}Role"])["Role"]["Arn"]
        allowed = {}
        for key in ("lab=123/day=2026-11-25/09-a-1.ndjson.gz", "elsewhere"):
            results = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=list(ARCHIVE_ACTIONS),
                                                    ResourceArns=[f"arn:aws:s3:::{bucket}/{key}"])["EvaluationResults"]
            allowed[key] = {result["EvalActionName"] for result in results if result["EvalDecision"] == "allowed"}
        inside, outside = allowed.values()
        if inside != ARCHIVE_RIGHTS.get(f"{target}Role", set()) or outside:
            yield f"{target}Role: it may {sorted(inside)} in the archive, and {sorted(outside)} outside of the labs' folders"


def rights_of_the_function_on_the_streams(stack):
    """It reads both streams, but neither reads nor writes audit records, and does not read the table as a whole."""
    iam = stack.emulator.client("iam")
    role = iam.get_role(RoleName=stack.resources["ProcessStreamsFunctionRole"])["Role"]["Arn"]
    for table, refused in (("Table", ["Scan"]), ("AuditTable", ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"])):
        arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{stack.resources[table]}"
        results = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=[f"dynamodb:{name}" for name in refused],
                                                ResourceArns=[arn])["EvaluationResults"]
        for result in results:
            if result["EvalDecision"] == "allowed":
                yield f"ProcessStreamsFunctionRole: it may {result['EvalActionName']} on {table}"


def log_groups(stack):
    """Each function logs into a group of the stack, in which logs expire. (Otherwise AWS makes a group whose logs never expire.)"""
    groups = {group["logGroupName"]: group for page in stack.emulator.client("logs").get_paginator("describe_log_groups").paginate()
              for group in page["logGroups"]}
    for target, _ in stack.functions():
        name = stack.resources[target]
        configuration = stack.emulator.client("lambda").get_function_configuration(FunctionName=name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
        if "retentionInDays" not in groups.get(group, {}):
            yield (f"{target}: its log group {group} is not one of the stack's with a retention "
                   f"(LoggingConfig of the loop in Resources that lists {target.removesuffix('Function')})")


def rights_on_logs(stack):
    """Each function may write to its own log group, and to no other."""
    iam = stack.emulator.client("iam")
    names = {target: stack.resources[f"{target.removesuffix('Function')}LogGroup"] for target, _ in stack.functions()}
    other = stack.resources["ApiLogGroup"]
    for target, own in names.items():
        role = iam.get_role(RoleName=stack.resources[f"{target}Role"])["Role"]["Arn"]
        for group, expected in ((own, "allowed"), (other, "implicitDeny")):
            arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:log-stream:one"
            [result] = iam.simulate_principal_policy(
                PolicySourceArn=role, ActionNames=["logs:PutLogEvents"], ResourceArns=[arn])["EvaluationResults"]
            if result["EvalDecision"] != expected:
                yield (f"{target}Role: logs:PutLogEvents on {group} is {result['EvalDecision']} "
                       f"(the first statement of its role in template.yaml)")


def alarms_and_dashboard(stack):
    """Every alarm without metric math or a condition exists, and the dashboard is JSON."""
    cloudwatch = stack.emulator.client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    found = {alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]}
    for name, resource in stack.deployed["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource and stack.resources.get(name) not in found:
            yield f"{name}: the stack has no such alarm"
    try:
        json.loads(cloudwatch.get_dashboard(DashboardName=stack.resources["Dashboard"])["DashboardBody"])
    except ValueError as fault:
        yield f"Dashboard: DashboardBody is not JSON: {fault}"


def time_outs(stack):
    """The gateway waits longer than the function may run. (The emulator does not end a function or a request in time.)"""
    functions = dict(stack.functions())
    for operation in stack.operations:
        seconds = functions[operation.target]["Timeout"]
        if not seconds * 1000 < operation.timeout <= GATEWAY_LIMIT_MS:
            yield (f"{operation.id} ({operation.route}): {operation.target} may run {seconds} s, but the gateway waits "
                   f"{operation.timeout} ms (column Timeout in {row(operation.target)}; timeoutInMillis of the integration)")


def folders(stack):
    """Each row runs the crate that is named after it. (One handler in place of another may answer similarly.)"""
    for target, function in stack.functions():
        words = function["Code"]["S3Key"].removeprefix("functions/").split("-")
        if target != "".join(word.capitalize() for word in words) + "Function":
            yield f"{target} runs {function['Code']['S3Key']} (column Folder in {row(target)})"


def backups(stack):
    """The table can be restored. (The emulator's CloudFormation does not set this.)"""
    table = stack.template["Resources"]["Table"]["Properties"]
    if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True}:
        yield "Table: PointInTimeRecoverySpecification does not enable point-in-time recovery"


def ttl(stack, lab, case):
    """Fails unless a deleted case has the attribute at which the template lets DynamoDB remove it."""
    attribute = stack.template["Resources"]["Table"]["Properties"].get("TimeToLiveSpecification", {}).get("AttributeName")
    item = stack.emulator.client("dynamodb").get_item(
        TableName=stack.resources["Table"], Key={"lab_id": {"S": str(lab)}, "sk": {"S": f"DELETED#{case:010}"}}).get("Item")
    if item is None:
        raise Failure(f"deleteCase: the table has no item DELETED#{case:010}")
    if int(item.get(attribute, {}).get("N", 0)) < time.time():
        raise Failure(f"Table: TimeToLiveSpecification names the attribute {attribute}, but a deleted case has no time in it "
                      f"(its attributes are {', '.join(sorted(item))})")


ALL = (role_of_the_gateway, aliases, rights_on_keys, rights_on_the_archive, rights_of_the_function_on_the_streams, log_groups,
       rights_on_logs, alarms_and_dashboard, time_outs, folders, backups)


def run(stack):
    """Fails with everything that the checks find."""
    faults = [f"static check {check.__name__}: {fault}" for check in ALL for fault in check(stack)]
    if faults:
        raise Failure("\n".join(faults))
