"""The deployed stack: the expanded template with what the emulator needs changed, its functions, and the gateway's routes."""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import yaml
from botocore.exceptions import ClientError

import event_bus
from processes import JWT_SECRET, ROOT
from report import Failure, say, wait_for

sys.path.append(str(ROOT / "tools/template"))
from conditions import OWN_TABLES, chosen  # noqa: E402 (of another folder)

STACK = "lhcms-rehearsal"
BUCKET = "bucket"
SECRET_NAME = "lhcms/dev"
CURSOR_SECRET = "rehearsal-cursor-secret-key-0123456789abcdef"
ORIGIN_SECRET = "rehearsal-origin-secret-0123456789abcdef"
SEAL_KEYS = "rehearsal:rehearsal-seal-key-0123456789abcdef"
WEBHOOK_KEYS = "rehearsal:cmVoZWFyc2FsIGVuY3J5cHRzIHRoZSB3ZWJob29rcy4="
EXPAND = "tools/template/expand.py"
CHECK_PYTHON = ROOT / ".tools/venv-check/bin/python"
# What the stack uses in place of a resource of its own.
EXISTING = {"Table": "ExistingTableName", "AuditTable": "ExistingAuditTableName", "ArchiveBucket": "ArchiveBucketName",
            "FilesBucket": "FilesBucketName"}
# The alias of each function, which everything that calls it calls.
ALIAS = "live"
METHODS = ("get", "put", "post", "delete", "head", "options", "patch", "x-amazon-apigateway-any-method")


def expand(template, root):
    """The plain CloudFormation that SAM's transform makes of the text of the template in the folder `root`."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(template)
        file.flush()
        result = subprocess.run([CHECK_PYTHON, root / EXPAND, file.name], capture_output=True, text=True)
    if result.returncode:
        raise Failure(f"template.yaml cannot be expanded: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout)


def adapt(template, emulator):
    """The expanded template with what the emulator at this URL needs changed; differences.py has the reasons."""
    host = "://${RealtimeApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/"
    there = emulator.removeprefix("http") + "/_aws/execute-api/${RealtimeApi}/"
    text = json.dumps(template).replace(f"https{host}", f"http{there}").replace(f"wss{host}", f"ws{there}")
    template = json.loads(text)
    # An earlier release may not have it.
    if template["Resources"].pop("RealtimeMessageResponse", None):
        template["Resources"]["RealtimeStage"]["DependsOn"].remove("RealtimeMessageResponse")
    for name in ("UmsBaseUrl", "LinksHubBaseUrl"):
        del template["Parameters"][name]["AllowedPattern"]
    # The body has the API's name and kind; without it they are properties.
    api = template["Resources"]["Api"]["Properties"]
    api.update(Name=api.pop("Body")["info"]["title"], ProtocolType="HTTP")
    for name in [name for name, resource in template["Resources"].items()
                 if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]]:
        del template["Resources"][name]
    for name in ("ArchiveBucketPolicy", "FilesBucketPolicy", "MalwareScanPlan"):
        template["Resources"].pop(name, None)
    for name in [name for name, resource in template["Resources"].items()
                 if resource["Type"].startswith("AWS::CodeDeploy::") or name == "CodeDeployServiceRole"]:
        del template["Resources"][name]
    for resource in template["Resources"].values():
        resource.pop("UpdatePolicy", None)
    for statement in statements(template):
        if "dynamodb:LeadingKeys" in json.dumps(statement.get("Condition", {})):
            del statement["Condition"]
        if statement.get("Action") == "sqs:SendMessage":
            statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
    return template


def statements(template):
    """Every statement of the policies of roles."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        policies = {"AWS::IAM::Role": properties.get("Policies", []), "AWS::IAM::Policy": [properties]}.get(resource["Type"], [])
        for policy in policies:
            yield from policy["PolicyDocument"]["Statement"]


def causes(message):
    """The cause of a fault that a line of a function's log gives, or None."""
    try:
        line = json.loads(message)
    except ValueError:
        # Not a line of ours: the emulator's START, END and REPORT, or a fault before the log began.
        return None if re.match(r"(START|END|REPORT|INIT_START) ", message) else message.strip() or None
    if line.get("level") not in ("ERROR", "WARN"):
        return None
    return line.get("error.cause") or " ".join(
        str(value) for key, value in line.items() if key not in ("timestamp", "level", "function", "request.id"))


class Operation:
    """An operation of gateway.yaml: a route and the function that it goes to."""

    def __init__(self, method, path, definition):
        self.default = path == "/$default"
        self.id = definition.get("operationId", "$default")
        self.method = method.upper()
        self.path = path
        self.route = "$default" if self.default else f"{self.method} {path}"
        integration = definition["x-amazon-apigateway-integration"]
        self.timeout = integration["timeoutInMillis"]
        self.target = re.search(r"\$\{(\w+)\.(?:Alias|Arn)\}", integration["uri"]["Fn::Sub"])[1]


def operations(root):
    """The operations of the gateway.yaml in the folder `root`."""
    document = yaml.safe_load((root / "gateway.yaml").read_text())
    return [Operation(method, path, definition) for path, item in document["paths"].items()
            for method, definition in item.items() if method in METHODS]


def zips(binaries, folder, root=ROOT):
    """The zip of each function's binary in a folder, stripped, by the function's folder in the project `root`."""
    folder.mkdir(exist_ok=True)
    names = sorted(path.parent.name for path in root.glob("functions/*/Cargo.toml"))

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(lambda name: (f"functions/{name}", zipped(binaries / name, folder)), names))


def zipped(binary, folder):
    """The zip of a binary, stripped."""
    if not binary.is_file():
        raise Failure(f"{binary} is missing: make builds it")
    stripped = folder / binary.name
    subprocess.run(["strip", "-o", stripped, binary], check=True)
    file = folder / f"{binary.name}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(stripped, "bootstrap")
    stripped.unlink()
    return file


class Stack:
    """The stack in the emulator, of the project in the folder `root`."""

    def __init__(self, emulator, stand_ins, root=ROOT):
        self.emulator = emulator
        self.stand_ins = stand_ins
        self.root = root
        self.operations = operations(root)
        self.resources = self.template = self.parameters = self.api_id = None

    def upload(self, packages):
        """Puts the functions' zips and the secret where the template expects them."""
        s3 = self.emulator.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key, file in packages.items():
            with file.open("rb") as body:
                s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        secret = {"JWT_SECRET_KEY": JWT_SECRET, "CURSOR_SECRET_KEY": CURSOR_SECRET, "SEAL_KEYS": SEAL_KEYS, "WEBHOOK_KEYS": WEBHOOK_KEYS,
                  "UMS_API_KEY": "", "ORIGIN_SECRET": ORIGIN_SECRET}
        event_bus.create(self.emulator)
        self.emulator.client("secretsmanager").create_secret(Name=SECRET_NAME, SecretString=json.dumps(secret))

    def deploy(self, template):
        """Creates the stack from the text of a template, and the routes of gateway.yaml on its API."""
        self.template = expand(template, self.root)
        for operation in self.operations:
            if operation.target not in self.template["Resources"]:
                raise Failure(
                    f"route {operation.route} ({operation.id}): gateway.yaml sends it to {operation.target}, which template.yaml "
                    f"does not make; is {operation.target.removesuffix('Function')} in the table Functions and in a loop?")
        self.deployed = adapt(self.template, self.emulator.url)
        self.template = chosen(self.template, OWN_TABLES)
        self.parameters = {
            "Stage": "dev", "UmsBaseUrl": self.stand_ins.ums, "LinksHubBaseUrl": self.stand_ins.linkshub,
            "CorsOrigins": "https://app.example.com", "SecretName": SECRET_NAME, "EventBusName": event_bus.NAME,
        }
        # Too large for a request, so it is an object, as with `sam deploy`.
        self.emulator.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(self.deployed))
        self._send("create_stack", "CREATE_COMPLETE", DisableRollback=True)
        self.api_id = self.resources["Api"]
        self._create_routes()
        self._lock_the_archive()
        say(f"deployed: {len(self.resources)} resources, {len(self.operations)} routes")

    def update(self, **parameters):
        """Updates the stack with changed parameters."""
        self.parameters |= parameters
        self._send("update_stack", "UPDATE_COMPLETE")

    def replace(self, **parameters):
        """Deletes the stack and the log groups that it leaves, and creates a stack with changed parameters."""
        formation, logs = self.emulator.client("cloudformation"), self.emulator.client("logs")
        formation.delete_stack(StackName=STACK)

        def is_gone():
            try:
                return formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
            except ClientError:
                return True

        wait_for("the stack is not deleted", 60, is_gone, self.emulator.check)
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                logs.delete_log_group(logGroupName=group["logGroupName"])
        self.parameters |= parameters
        self._send("create_stack", "CREATE_COMPLETE", DisableRollback=True)
        self.api_id = self.resources["Api"]
        self._create_routes()

    def _send(self, operation, expected, **arguments):
        formation = self.emulator.client("cloudformation")
        try:
            getattr(formation, operation)(
                StackName=STACK, TemplateURL=f"{self.emulator.url}/{BUCKET}/template.json", Capabilities=["CAPABILITY_IAM"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()], **arguments)
        except ClientError as error:
            raise Failure(f"the stack is refused: {error.response['Error']['Message']}") from None
        status = wait_for("the deployment does not end", 120, lambda: self._status(formation), self.emulator.check)
        if status != expected:
            raise Failure("\n".join([f"the deployment ends with {status}:", *self._reasons(formation)]))
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        self.resources = {it["LogicalResourceId"]: it.get("PhysicalResourceId") for page in pages
                          for it in page["StackResourceSummaries"]}
        for resource, parameter in EXISTING.items():
            if self.parameters.get(parameter):
                self.resources[resource] = self.parameters[parameter]

    def invoke(self, target, event):
        """Lambda's answer to a call of a function, as its triggers call it."""
        return self.emulator.client("lambda").invoke(FunctionName=self.resources[target], Qualifier=ALIAS, Payload=json.dumps(event))

    def session_of(self, role):
        """A DynamoDB client with a session of a role of the stack, as its function has one."""
        arn = self.emulator.client("iam").get_role(RoleName=self.resources[role])["Role"]["Arn"]
        session = self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="rehearsal")["Credentials"]
        return self.emulator.client(
            "dynamodb", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"])

    def functions(self):
        """(logical id, properties) of each function of the expanded template."""
        return [(name, resource["Properties"]) for name, resource in self.template["Resources"].items()
                if resource["Type"] == "AWS::Lambda::Function"]

    def unused_rights(self, used):
        """(row, right on a table) that the template gives, but that is not in `used`, as the relay noted it."""
        for name, resource in self.template["Resources"].items():
            if not name.endswith("FunctionRole"):
                continue
            row, target = name.removesuffix("FunctionRole"), name.removesuffix("Role")
            mine = [right for user, *right in used if user == target]
            for statement in resource["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
                # Without a role for labs.
                statement = statement["Fn::If"][2] if "Fn::If" in statement else statement
                # Lambda reads the streams, not the function.
                if (statement.get("Effect") != "Allow" or "dynamodb:" not in str(statement["Action"])
                        or "stream" in str(statement["Resource"]).lower()):
                    continue
                actions, resources = (it if isinstance(it, list) else [it] for it in (statement["Action"], statement["Resource"]))
                # By the table itself, or by an index of it alone.
                [table] = {resource["Fn::GetAtt"][0] if "Fn::GetAtt" in resource else resource["Fn::Sub"][2:].split(".")[0]
                           for resource in resources}
                of_table = [(action, index) for action, name, index in mine if name == self.resources[table]]
                yield from ((row, f"{action} on {table}") for action in actions
                            if not any(action == used_action for used_action, _ in of_table))
                indexes = [arn["Fn::Sub"].rsplit("/", 1)[1] for arn in resources if "Fn::Sub" in arn]
                yield from ((row, f"index {index}") for index in indexes
                            if index != "none" and not any(used_index for _, used_index in of_table))

    @staticmethod
    def _status(formation):
        status = formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else status

    @staticmethod
    def _reasons(formation):
        events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
        return [f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in reversed(events)
                if event["ResourceStatus"].endswith("FAILED") and event["LogicalResourceId"] != STACK]

    def _lock_the_archive(self):
        properties = self.template["Resources"]["ArchiveBucket"]["Properties"]
        configuration = json.loads(json.dumps(properties["ObjectLockConfiguration"]).replace(
            '{"Ref": "ArchiveDays"}', str(self.template["Parameters"]["ArchiveDays"]["Default"])))
        if properties.get("ObjectLockEnabled"):
            self.emulator.client("s3").put_object_lock_configuration(
                Bucket=self.resources["ArchiveBucket"], ObjectLockConfiguration=configuration)

    def _create_routes(self):
        functions = self.emulator.client("lambda")
        for operation in self.operations:
            # An earlier release has no aliases.
            alias = self.resources.get(f"{operation.target}Alias{ALIAS}")
            name = self.resources[operation.target]
            self.create_route(self.api_id, operation, alias or functions.get_function_configuration(FunctionName=name)["FunctionArn"])

    def create_route(self, api, operation, function):
        """Creates the route of an operation on an API, to a function."""
        gateway = self.emulator.client("apigatewayv2")
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0",
            TimeoutInMillis=operation.timeout)["IntegrationId"]
        gateway.create_route(ApiId=api, RouteKey=operation.route, Target=f"integrations/{integration}")

    def log_of(self, target):
        """The causes of faults in the last lines of the function's log."""
        logs = self.emulator.client("logs")
        group = f"/aws/lambda/{self.resources[target]}"
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except ClientError:
            return [f"(there is no log group {group})"]
        found = [cause for event in events[-20:] for line in event["message"].splitlines() if (cause := causes(line))]
        return list(dict.fromkeys(found))[-5:]
