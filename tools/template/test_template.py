"""What template.yaml promises: it fits gateway.yaml and the crates, gives least rights and loses no data."""

import json
import re
import subprocess
import tempfile
import tomllib
import unittest
from fnmatch import fnmatchcase
from pathlib import Path

from samcli.lib.cfn_language_extensions.sam_integration import detect_dynamic_artifact_properties

from conditions import EXISTING_TABLES, OWN_TABLES, chosen
from expand import ROOT, expanded, functions, load, operations, rows, source

SECRETS = {"JWT_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEY", "CURSOR_SECRET_KEY", "SEAL_KEYS", "WEBHOOK_KEYS", "UMS_API_KEY"}

# The metrics in the lines of requests and of the functions without one (namespace LHCMS), with the sets of dimensions of each.
# A test compares them with the code.
BY_STAGE, BY_OPERATION = ("stage",), ("stage", "operation")
PUSH_METRICS = {"PushConnections", "PushMessages", "PushFailures", "PushLatency", "SocketFailures"}
WEBHOOK_METRICS = {"WebhookDeliveries", "WebhookFailures", "WebhookLatency", "WebhooksDisabled"}
METRICS = {
    **{name: {BY_STAGE, BY_OPERATION} for name in ("Requests", "Latency", "ServerErrors", "ClientErrors")},
    **{name: {BY_STAGE} for name in (
        "ColdStarts", "DynamoDbCalls", "DynamoDbTime", "ReadUnits", "WriteUnits", "DynamoDbConflicts", "DynamoDbRetries",
        "UmsCalls", "UmsTime", "UmsFailures", "LinksHubCalls", "LinksHubTime", "LinksHubFailures", "CircuitOpen",
        "AuditFailures", "StaleKeys", "RateLimited", "Panics")},
    **{name: {BY_STAGE} for name in WEBHOOK_METRICS | PUSH_METRICS},
    "Errors": {("stage", "code")}, "ArchiveFailures": {BY_OPERATION}, "SecurityEvents": {("stage", "event")},
}

# As a stack that makes its own tables has it.
SOURCE = chosen(source(), OWN_TABLES)
EXPANDED = chosen(expanded(), OWN_TABLES)
ROWS = rows()
API = load("gateway.yaml")
OPERATIONS = list(operations(API))


def of_type(template, kind):
    return {name: r["Properties"] for name, r in template["Resources"].items() if r["Type"] == kind}


# By their rows; and those that AWS calls for another reason than a request.
FUNCTIONS = {name: function for name, function in functions(SOURCE).items() if name.removesuffix("Function") in ROWS}
TRIGGERED = {name: function for name, function in functions(SOURCE).items() if name not in FUNCTIONS}
CRATES = sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml"))


def pascal(kebab):
    return "".join(word.capitalize() for word in kebab.split("-"))


def target(operation):
    """The function whose alias is in the integration's URI."""
    uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    match = re.fullmatch(
        r"arn:\$\{AWS::Partition\}:apigateway:\$\{AWS::Region\}:lambda:"
        r"path/2015-03-31/functions/\$\{(\w+)\.Alias\}/invocations",
        uri,
    )
    return match and match[1]


def route(method, path):
    """The end of the ARN with which the gateway calls: stage, method and path, or stage and $default."""
    return "$default/$default" if path == "/$default" else f"$default/{method.upper()}{path}"


def references(node):
    """Every resource or parameter that the intrinsics below `node` name."""
    if isinstance(node, list):
        for value in node:
            yield from references(value)
    elif isinstance(node, dict):
        if set(node) == {"Ref"}:
            yield node["Ref"].removesuffix(".Alias")
        elif set(node) == {"Fn::GetAtt"}:
            value = node["Fn::GetAtt"]
            yield value.split(".")[0] if isinstance(value, str) else value[0]
        elif set(node) == {"Fn::Sub"} and isinstance(node["Fn::Sub"], str):
            for name in re.findall(r"\$\{([^}!]+)\}", node["Fn::Sub"]):
                yield name.split(".")[0]
        else:
            for value in node.values():
                yield from references(value)


def has_secrets(function):
    """Whether the function is behind a login, so that it holds the secrets."""
    return bool(SECRETS & set(FUNCTIONS[function].get("Environment", {}).get("Variables", {})))


def actions(statement):
    value = statement["Action"]
    return [value] if isinstance(value, str) else value


def role_of(function):
    """The statements of the function's own role. The first is its right to write its log."""
    role = SOURCE["Resources"][f"{function}Role"]["Properties"]
    [policy] = role["Policies"]
    return policy["PolicyDocument"]["Statement"]


def statements(per_lab):
    """(function, statement) of each role's statements besides that for the log, with a role for labs or without."""
    for name in FUNCTIONS:
        for statement in role_of(name)[1:]:
            if "Fn::If" in statement:
                condition, then, otherwise = statement["Fn::If"]
                assert condition == "PerLab"
                statement = then if per_lab else otherwise
            if statement != {"Ref": "AWS::NoValue"}:
                yield name, statement


def arns(resource):
    """The ARNs of a statement as texts in which references look as in Fn::Sub."""
    match resource:
        case [*several]:
            return [arn for one in several for arn in arns(one)]
        case {"Fn::GetAtt": [str(name), "Arn"]} | {"Fn::GetAtt": str(name)}:
            return [f"${{{name.removesuffix('.Arn')}.Arn}}"]
        case {"Fn::Sub": str(text)}:
            return [text]


def security_events():
    """The namespace, metric, dimensions and events of security events, as the code has them."""
    folder = ROOT / "shared/src/telemetry"
    event, metric = (folder / "security_event.rs").read_text(), (folder / "metric.rs").read_text()
    [namespace] = re.findall(r'^const NAMESPACE: &str = "(\w+)";', metric, re.MULTILINE)
    [name] = re.findall(r'^const METRIC: &str = "(\w+)";', event, re.MULTILINE)
    [dimensions] = re.findall(r"metric::count\(METRIC, &\[(.*)\], ", event)
    [events] = re.findall(r"^    SecurityEvent \{(.*?)\}", event, re.MULTILINE | re.DOTALL)
    return namespace, name, re.findall(r'\("(\w+)", ', dimensions), set(re.findall(r'"(\w+)"', events))


def evaluate(node, parameters):
    """A rule's expression with these parameters."""
    match node:
        case {"Ref": name}:
            return parameters[name]
        case {"Fn::Equals": [left, right]}:
            return evaluate(left, parameters) == evaluate(right, parameters)
        case {"Fn::Not": [one]}:
            return not evaluate(one, parameters)
        case {"Fn::And": several}:
            return all(evaluate(one, parameters) for one in several)
        case {"Fn::Or": several}:
            return any(evaluate(one, parameters) for one in several)
        case {"Fn::Contains": [several, one]}:
            return evaluate(one, parameters) in evaluate(several, parameters)
    assert isinstance(node, (str, list)), node
    return node


def violated(parameters):
    """The descriptions of the assertions that the parameters violate."""
    return [assertion["AssertDescription"] for rule in SOURCE["Rules"].values()
            if evaluate(rule.get("RuleCondition", {"Fn::And": []}), parameters)
            for assertion in rule["Assertions"] if not evaluate(assertion["Assert"], parameters)]


def alarm_names():
    """The name of each alarm, as far as it is known before a deployment."""
    return {alarm["AlarmName"] if isinstance(alarm["AlarmName"], str) else alarm["AlarmName"]["Fn::Sub"]
            for alarm in of_type(EXPANDED, "AWS::CloudWatch::Alarm").values()}


def nulls(node, path=""):
    """The paths of all nulls below `node`."""
    if node is None:
        yield path
    elif isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from nulls(value, f"{path}/{key}")


class Fits(unittest.TestCase):
    def test_there_is_no_null_which_cloudformation_would_refuse(self):
        self.assertEqual(list(nulls(EXPANDED)), [])

    def test_cfn_lint_finds_nothing_in_the_expansion(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "expanded.json"
            file.write_text(json.dumps(expanded()))
            result = subprocess.run(["cfn-lint", "--regions", "us-east-1", "--", file], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_every_crate_has_its_row_or_trigger_and_every_row_its_crate(self):
        triggered = {name.removesuffix("Function"): function["CodeUri"].removeprefix("functions/")
                     for name, function in TRIGGERED.items()}
        self.assertEqual({pascal(crate): crate for crate in CRATES},
                         {name: row["Folder"] for name, row in ROWS.items()} | triggered)

    def test_every_row_is_listed_in_a_loop_and_makes_a_function_of_its_folder(self):
        self.assertEqual({f"{name}Function": f"functions/{row['Folder']}" for name, row in ROWS.items()},
                         {name: function["CodeUri"] for name, function in FUNCTIONS.items()})

    def test_sam_sees_that_each_row_has_code_of_its_own(self):
        # Otherwise SAM uploads the code of one row for all of a loop, without a word.
        dynamic = detect_dynamic_artifact_properties(load("template.yaml"))
        self.assertEqual([(found.loop_name, found.property_name) for found in dynamic],
                         [("LabFunctions", "CodeUri"), ("PublicFunctions", "CodeUri")])

    def test_every_row_has_what_its_loop_reads_and_nothing_else(self):
        common = {"Folder", "Route", "Memory", "Timeout"}
        for name, row in ROWS.items():
            with self.subTest(name):
                own = {"Cases", "Actions", "Index", "Audit", "Cursors"} if has_secrets(f"{name}Function") else {"Probe"}
                self.assertEqual(set(row) - {"Concurrency", "Files", "WebhookKeys", "WebhookQueue", "Realtime"}, common | own)

    def test_an_index_in_a_row_is_one_of_the_table(self):
        indexes = {index["IndexName"] for index in SOURCE["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"]}
        for name, row in ROWS.items():
            with self.subTest(name):
                self.assertIn(row.get("Index", "none"), indexes | {"by_*", "none"})

    def test_every_operation_goes_to_a_function_and_to_its_own_if_there_is_one(self):
        for method, path, operation in OPERATIONS:
            with self.subTest(f"{method} {path}"):
                integration = operation["x-amazon-apigateway-integration"]
                self.assertEqual(
                    (integration["type"], integration["httpMethod"], integration["payloadFormatVersion"]),
                    ("aws_proxy", "POST", "2.0"))
                name = target(operation)
                self.assertIn(name, FUNCTIONS)
                own = operation.get("operationId", "")
                own = f"{own[:1].upper()}{own[1:]}Function"
                if own in FUNCTIONS:
                    self.assertEqual(name, own)

    def test_every_function_serves_an_operation(self):
        self.assertEqual(set(FUNCTIONS), {target(operation) for _, _, operation in OPERATIONS})

    def test_the_gateway_calls_every_operation_with_its_role(self):
        for method, path, operation in OPERATIONS:
            with self.subTest(f"{method} {path}"):
                self.assertEqual(operation["x-amazon-apigateway-integration"]["credentials"], {"Fn::GetAtt": ["GatewayRole", "Arn"]})

    def test_the_role_of_the_gateway_calls_aliases_of_functions_and_nothing_else(self):
        role = SOURCE["Resources"]["GatewayRole"]["Properties"]
        self.assertEqual([it["Principal"] for it in role["AssumeRolePolicyDocument"]["Statement"]], [{"Service": "apigateway.amazonaws.com"}])
        [policy] = role["Policies"]
        [statement] = policy["PolicyDocument"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Action"]), ("Allow", "lambda:InvokeFunction"))
        pattern = statement["Resource"]["Fn::Sub"].split(":function:")[1]
        self.assertEqual(pattern, "lhcms-${Stage}-*:live")
        self.assertEqual({alias["Name"] for alias in of_type(EXPANDED, "AWS::Lambda::Alias").values()}, {"live"})
        for name, function in FUNCTIONS.items():
            with self.subTest(name):
                self.assertRegex(function["FunctionName"]["Fn::Sub"], r"^lhcms-\$\{Stage\}-[a-z-]+$")

    def test_the_route_in_a_row_is_one_of_the_function(self):
        for name, row in ROWS.items():
            with self.subTest(name):
                routes = [route(method, path) for method, path, operation in OPERATIONS if target(operation) == f"{name}Function"]
                self.assertTrue(any(fnmatchcase(it, f"*/{row['Route']}") for it in routes) or not routes)

    def test_the_contract_names_nothing_that_the_template_lacks(self):
        known = set(SOURCE["Parameters"]) | set(SOURCE["Resources"])
        self.assertEqual({name for name in references(API) if not name.startswith("AWS::")} - known, set())

    def test_routes_are_such_as_the_gateway_can_have(self):
        for _, path, _ in OPERATIONS:
            with self.subTest(path):
                self.assertFalse(path.endswith("/"))
                self.assertNotRegex(path, r"\+\}.")

    def test_every_deployment_sets_only_known_parameters_and_all_that_have_no_default(self):
        needed = {name for name, value in SOURCE["Parameters"].items() if "Default" not in value}
        config = tomllib.loads((ROOT / "samconfig.toml").read_text())
        for stage in ("dev", "qa", "prod"):
            with self.subTest(stage):
                pairs = config[stage]["deploy"]["parameters"]["parameter_overrides"]
                values = dict(pair.split("=", 1) for pair in pairs)
                self.assertEqual(values["Stage"], stage)
                self.assertLessEqual(needed, set(values))
                self.assertLessEqual(set(values), set(SOURCE["Parameters"]))
                self.assertEqual(config[stage]["deploy"]["parameters"]["tags"], f"project=lhcms stage={stage}")
                defaults = {name: str(value["Default"]) for name, value in SOURCE["Parameters"].items() if "Default" in value}
                self.assertEqual(violated(defaults | values | {"CorsOrigins": values["CorsOrigins"].split(",")}), [])


class Safe(unittest.TestCase):
    def test_a_panic_unwinds_so_that_the_runtime_answers_500_and_lives_on(self):
        release = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]["release"]
        self.assertEqual(release.get("panic"), "unwind", "cargo-lambda builds with abort unless the profile says unwind")

    def test_secrets_come_from_secrets_manager_into_an_environment_with_its_own_key(self):
        for name, function in FUNCTIONS.items():
            with self.subTest(name):
                variables = function.get("Environment", {}).get("Variables", {})
                self.assertLessEqual(set(variables), SECRETS | {
                    "ORIGIN_SECRET", "SESSION_POLICY", "FILES_BUCKET_NAME", "WEBHOOK_QUEUE_URL", "CONNECTIONS_TABLE", "REALTIME_URL"})
                for variable, value in variables.items():
                    if variable not in SECRETS or value == "":
                        continue
                    if variable == "JWT_PREVIOUS_SECRET_KEY":
                        # A secret without this key must not fail a deployment.
                        condition, value, otherwise = value["Fn::If"]
                        self.assertEqual((condition, otherwise), ("HasPreviousKey", ""))
                    self.assertRegex(value["Fn::Sub"], r"^\{\{resolve:secretsmanager:\$\{SecretName\}:SecretString:"
                                                       + variable + r"::\$\{SecretVersion\}\}\}$")
                self.assertEqual("KmsKeyArn" in function, bool(variables))
        self.assertFalse(SECRETS & set(SOURCE["Globals"]["Function"]["Environment"]["Variables"]))

    def test_every_function_of_the_api_gets_the_secret_of_the_cdn_and_no_other_reads_it(self):
        resolved = "{{resolve:secretsmanager:${SecretName}:SecretString:%s::${SecretVersion}}}"
        one, previous = resolved % "ORIGIN_SECRET", resolved % "ORIGIN_PREVIOUS_SECRET"
        two = {"Fn::If": ["HasPreviousOriginSecret", {"Fn::Sub": f"{one},{previous}"}, {"Fn::Sub": one}]}
        for name, function in FUNCTIONS.items():
            with self.subTest(name):
                self.assertEqual(function["Environment"]["Variables"]["ORIGIN_SECRET"], {"Fn::If": ["HasOriginSecret", two, ""]})
        self.assertEqual(SOURCE["Parameters"]["OriginSecrets"]["Default"], 0)
        self.assertNotIn("ORIGIN_SECRET", json.dumps(list(TRIGGERED.values())))

    def test_a_function_gets_the_keys_the_bucket_and_the_queue_that_its_operation_uses_and_no_others(self):
        code = (ROOT / "shared/src/auth/operation.rs").read_text()
        for method, variable in (("has_cursors", "CURSOR_SECRET_KEY"), ("uses_files", "FILES_BUCKET_NAME"),
                                 ("uses_webhook_keys", "WEBHOOK_KEYS"), ("uses_webhook_queue", "WEBHOOK_QUEUE_URL"),
                                 ("uses_realtime", "CONNECTIONS_TABLE"), ("uses_realtime", "REALTIME_URL")):
            with self.subTest(variable):
                arms = code.partition(f"fn {method}")[2].partition("\n    }\n")[0]
                using = {f"{name}Function": it == "true" for name, it in re.findall(r"Self::(\w+) => (true|false),", arms)}
                self.assertEqual(len(using), sum(has_secrets(name) for name in FUNCTIONS))
                self.assertEqual({name: FUNCTIONS[name]["Environment"]["Variables"][variable] != "" for name in using}, using)

    def test_a_function_that_sends_to_webhooks_has_the_right_to_it_and_no_other_has(self):
        policy = SOURCE["Resources"]["WebhookSenders"]["Properties"]
        senders = {role["Ref"].removesuffix("Role") for role in policy["Roles"]}
        self.assertEqual(senders, {name for name in FUNCTIONS if has_secrets(name)
                                   and FUNCTIONS[name]["Environment"]["Variables"]["WEBHOOK_QUEUE_URL"] != ""})
        [statement] = policy["PolicyDocument"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Action"], list(references(statement["Resource"]))),
                         ("Allow", "sqs:SendMessage", ["WebhookQueue"]))

    def test_expensive_functions_have_a_limit_of_their_own_with_a_parameter(self):
        reserved = {name: function.get("ReservedConcurrentExecutions") for name, function in FUNCTIONS.items() if has_secrets(name)}
        none = {"Ref": "AWS::NoValue"}
        for name, value in reserved.items():
            self.assertEqual(value, {"Fn::If": ["ReservesConcurrency", ROWS[name.removesuffix("Function")].get("Concurrency", none), none]})
        limited = {name for name, value in reserved.items() if value["Fn::If"][1] != none}
        self.assertEqual(limited, {"ExportCasesFunction", "SearchCasesFunction", "BulkUpdateStatusFunction", "VerifyAuditFunction"})
        self.assertEqual(SOURCE["Parameters"]["ReserveConcurrency"]["Default"], "false")

    def test_policies_name_single_actions_on_a_table_or_the_key(self):
        for name, statement in statements(per_lab=False):
            if statement["Effect"] == "Deny":
                continue
            with self.subTest(name):
                for action in actions(statement):
                    self.assertRegex(action, r"^(dynamodb:\w+|kms:Decrypt)$")
                    self.assertNotIn(action, {"dynamodb:Scan", "dynamodb:DeleteTable"})
                self.assertIn(set(references(statement["Resource"])), ({"Table"}, {"AuditTable"}, {"EnvironmentKey"}))

    def test_every_lab_function_adds_audit_records_and_none_changes_or_removes_one(self):
        granted = {}
        for name, statement in statements(per_lab=False):
            if list(references(statement["Resource"])) == ["AuditTable"]:
                self.assertEqual(statement["Effect"], "Allow")
                granted[name] = set(actions(statement))
        self.assertEqual(set(granted), {name for name in FUNCTIONS if has_secrets(name)})
        for name, allowed in granted.items():
            with self.subTest(name):
                self.assertIn("dynamodb:PutItem", allowed)
                self.assertLessEqual(allowed, {"dynamodb:PutItem", "dynamodb:Query"})

    def test_a_function_that_only_reads_cases_cannot_write_to_their_table(self):
        writing = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        writers = {name for name, statement in statements(per_lab=False)
                   if statement["Effect"] == "Allow" and "Table" in references(statement["Resource"])
                   and writing & set(actions(statement))}
        methods = {target(operation): method for method, _, operation in OPERATIONS if method not in ("get", "head")}
        self.assertLessEqual(writers, set(methods))

    def test_a_look_by_break_glass_raises_an_alarm(self):
        alarm = SOURCE["Resources"]["BreakGlassAlarm"]["Properties"]
        self.assertIn({"Name": "event", "Value": "break_glass"}, alarm["Dimensions"])
        self.assertEqual((alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]), (1, 300, 1))

    def test_every_alarm_of_security_events_watches_a_metric_that_the_code_emits(self):
        namespace, metric, dimensions, events = security_events()
        rows = load("template.yaml")["Mappings"]["SecurityAlarms"]
        alarms = {name: alarm for name, alarm in of_type(EXPANDED, "AWS::CloudWatch::Alarm").items()
                  if alarm.get("MetricName") == metric}
        self.assertEqual(set(alarms), {f"{kind}Alarm" for kind in rows})
        watched = set()
        for name, alarm in alarms.items():
            with self.subTest(name):
                self.assertEqual((alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]), (namespace, metric, "Sum"))
                # An alarm sees only the metric that has exactly its dimensions.
                values = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
                self.assertEqual(list(values), dimensions)
                self.assertEqual(values["stage"], {"Ref": "Stage"})
                self.assertIn(values["event"], events)
                watched.add(values["event"])
                self.assertGreaterEqual(alarm["Threshold"], 1)
                self.assertEqual(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold")
        # Exports are part of a lab's work; they are counted for a person to look at.
        self.assertEqual(events - watched, {"export"})
        self.assertEqual(SOURCE["Globals"]["Function"]["Environment"]["Variables"]["STAGE"], {"Ref": "Stage"})

    def test_the_runbook_has_a_row_for_every_alarm_and_an_alarm_for_every_row(self):
        _, _, section = (ROOT / "docs/operations.md").read_text().partition("\n## Alarms\n")
        section = section.partition("\n## ")[0]
        cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
        indexes = {row["Index"] for row in load("template.yaml")["Mappings"]["Indexes"].values()}
        rows = set()
        for name in (name for cell in cells for name in re.findall("`([^`{]+)`", cell)):
            if "<function>" in name:
                rows |= {name.replace("<function>", row["Folder"]) for row in ROWS.values()}
            elif "<index>" in name:
                rows |= {name.replace("<index>", index) for index in indexes}
            elif name not in ("process-streams", "deliver-webhooks"):
                rows.add(name)
        self.assertEqual({name.removeprefix("lhcms-${Stage}-") for name in alarm_names()}, rows)

    def test_every_alarm_has_the_topic_and_counts_missing_data_as_it_means(self):
        for name, alarm in of_type(EXPANDED, "AWS::CloudWatch::Alarm").items():
            with self.subTest(name):
                self.assertEqual(alarm["AlarmActions"]["Fn::If"][:2], ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]])
                self.assertEqual(alarm["TreatMissingData"], "breaching" if name == "NoTrafficAlarm" else "notBreaching")
                # CloudWatch takes ten metrics in an alarm.
                self.assertLessEqual(len(alarm.get("Metrics", [])), 10)

    def test_every_index_and_table_has_alarms_on_its_throttles(self):
        watched = {}
        for alarm in of_type(EXPANDED, "AWS::CloudWatch::Alarm").values():
            if "ThrottleEvents" in alarm.get("MetricName", ""):
                names = tuple(sorted((it["Name"], json.dumps(it["Value"])) for it in alarm["Dimensions"]))
                watched.setdefault(names, set()).add(alarm["MetricName"])
        tables = of_type(SOURCE, "AWS::DynamoDB::Table")
        expected = [(("TableName", json.dumps({"Ref": name})),) for name in tables]
        expected += [(("GlobalSecondaryIndexName", json.dumps(index["IndexName"])), ("TableName", json.dumps({"Ref": name})))
                     for name, table in tables.items() for index in table.get("GlobalSecondaryIndexes", [])]
        self.assertEqual(watched, {names: {"ReadThrottleEvents", "WriteThrottleEvents"} for names in expected})

    def test_the_alarms_on_requests_watch_metrics_with_exactly_their_dimensions(self):
        """A metric with other dimensions is another metric, on which no data ever arrives."""
        for name, alarm in of_type(EXPANDED, "AWS::CloudWatch::Alarm").items():
            if alarm.get("Namespace") == "LHCMS":
                with self.subTest(name):
                    dimensions = tuple(dimension["Name"] for dimension in alarm["Dimensions"])
                    self.assertIn(dimensions, METRICS[alarm["MetricName"]])
                    self.assertEqual(alarm["Dimensions"][0]["Value"], {"Ref": "Stage"})

    def test_the_metrics_are_those_that_the_functions_write(self):
        telemetry = ROOT / "shared/src/telemetry"
        line = (telemetry / "request_line.rs").read_text()
        parts = {BY_OPERATION: line.split("fn of_operation")[1].split("fn of_stage")[0], BY_STAGE: line.split("fn of_stage")[1].split("fn serialize")[0]}
        written = {dimensions: set(re.findall(r'Value::(?:count|new)\("(\w+)"', part)) for dimensions, part in parts.items()}
        self.assertEqual(written[BY_OPERATION], {name for name, sets in METRICS.items() if sets == {BY_STAGE, BY_OPERATION}})
        self.assertEqual(written[BY_STAGE], {name for name, sets in METRICS.items() if sets == {BY_STAGE}} - WEBHOOK_METRICS - PUSH_METRICS)
        files = ("mod.rs", "security_event.rs", "webhook.rs", "push.rs")
        elsewhere = set(re.findall(r'"([A-Z]\w+)"', "".join((telemetry / file).read_text() for file in files)))
        self.assertLessEqual(set(METRICS) - written[BY_OPERATION] - written[BY_STAGE] - {"Errors"}, elsewhere)
        self.assertIn('&[&["stage", "code"]], &errors', line)

    def test_the_dashboard_is_json_and_shows_metrics_that_exist(self):
        body = re.sub(r"\$\{([\w.:]+)\}", r"\1", SOURCE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
        widgets = json.loads(body)["widgets"]
        aws = {"AWS/DynamoDB": {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
               "AWS/Lambda": {"ConcurrentExecutions", "Throttles", "IteratorAge"}, "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"},
               "AWS/ApiGateway": {"ConnectCount", "MessageCount", "ClientError", "IntegrationError"}}
        shown, places = set(), set()
        for widget in widgets:
            places |= (area := {(x, y) for x in range(widget["x"], widget["x"] + widget["width"])
                                for y in range(widget["y"], widget["y"] + widget["height"])}) - places
            self.assertTrue(all(x < 24 for x, _ in area))
            for metric in widget["properties"]["metrics"]:
                with self.subTest(metric):
                    if isinstance(metric[0], dict):
                        schema, name = re.match(r"SEARCH\('\{([\w/,]+)\} MetricName=\"(\w+)\" ", metric[0]["expression"]).groups()
                        namespace, *dimensions = schema.split(",")
                    else:
                        namespace, name, *rest = (it for it in metric if not isinstance(it, dict))
                        dimensions = rest[::2]
                    if namespace == "LHCMS":
                        self.assertIn(tuple(dimensions), METRICS[name])
                        shown.add(name)
                    else:
                        self.assertIn(name, aws[namespace])
        self.assertEqual(len(places), sum(widget["width"] * widget["height"] for widget in widgets), "widgets overlap")
        self.assertEqual(shown, set(METRICS))

    def test_one_panic_and_few_server_errors_raise_an_alarm(self):
        alarms = of_type(EXPANDED, "AWS::CloudWatch::Alarm")
        for name, threshold in (("PanicsAlarm", 1), ("ServerErrorsAlarm", 3), ("AuditFailuresAlarm", 1), ("StaleKeysAlarm", 1)):
            alarm = alarms[name]
            self.assertEqual((int(alarm["Threshold"]), alarm["EvaluationPeriods"], alarm["Statistic"]), (threshold, 1, "Sum"))

    def test_who_needs_no_token_reaches_no_lab(self):
        for name, statement in statements(per_lab=False):
            if not has_secrets(name) and actions(statement) != ["kms:Decrypt"]:
                with self.subTest(name):
                    self.assertEqual(statement["Effect"], "Allow" if name == "HealthFunction" else "Deny")
                    self.assertEqual(actions(statement), ["dynamodb:GetItem"])
                    self.assertEqual(statement["Condition"], {
                        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["0"]},
                        "Null": {"dynamodb:LeadingKeys": "false"},
                    })

    def test_with_a_role_for_labs_no_function_reaches_the_table_by_itself(self):
        for name, statement in statements(per_lab=True):
            with self.subTest(name):
                if not has_secrets(name):
                    continue
                expected = {"kms:Decrypt": "EnvironmentKey", "sts:AssumeRole": "LabRole", "sts:TagSession": "LabRole"}
                for action in actions(statement):
                    self.assertEqual({expected[action]}, set(references(statement["Resource"])))

    def test_with_a_role_for_labs_a_session_has_only_the_rights_that_the_function_has_without_one(self):
        rights = {name: [statement for of, statement in statements(per_lab=False) if of == name] for name in FUNCTIONS}
        for name, function in FUNCTIONS.items():
            if not has_secrets(name):
                continue
            with self.subTest(name):
                condition, policy, otherwise = function["Environment"]["Variables"]["SESSION_POLICY"]["Fn::If"]
                self.assertEqual((condition, otherwise), ("PerLab", ""))
                text = policy["Fn::Sub"]
                session = json.loads(text)
                self.assertEqual(session["Version"], "2012-10-17")
                tables = [statement for statement in rights[name] if "kms:Decrypt" not in actions(statement)]
                self.assertEqual(
                    [(s["Effect"], set(actions(s)), arns(s["Resource"])) for s in tables],
                    [(s["Effect"], set(actions(s)), s["Resource"]) for s in session["Statement"]])
                # AWS allows 2,048 characters; the longest ARN of a table has 300.
                self.assertLessEqual(len(re.sub(r"\$\{\w+\.Arn\}", "x" * 300, text)), 2048)

    def test_the_role_for_labs_may_all_that_functions_do_in_the_partitions_of_its_tag_only(self):
        role = SOURCE["Resources"]["LabRole"]["Properties"]
        cases, audit = role["Policies"][0]["PolicyDocument"]["Statement"]
        for table, statement in (("Table", cases), ("AuditTable", audit)):
            needed = {a for _, s in statements(per_lab=False)
                      if s["Effect"] == "Allow" and set(references(s["Resource"])) == {table} for a in actions(s)}
            self.assertEqual(needed, set(statement["Action"]))
        null = {"dynamodb:LeadingKeys": "false", "aws:PrincipalTag/lab": "false"}
        self.assertEqual(cases["Condition"], {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["${aws:PrincipalTag/lab}", "${aws:PrincipalTag/lab}#*"]},
            "Null": null,
        })
        self.assertEqual(audit["Condition"], {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:PrincipalTag/lab}"]}, "Null": null,
        })
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(set(trust["Condition"]), {"ArnLike", "Null", "ForAllValues:StringEquals"})

    def test_every_function_is_small_arm64_outside_a_vpc_and_logs_into_its_own_group_with_an_end(self):
        groups = of_type(SOURCE, "AWS::Logs::LogGroup")
        for name, function in of_type(EXPANDED, "AWS::Lambda::Function").items():
            with self.subTest(name):
                self.assertEqual((function["Runtime"], function["Architectures"]), ("provided.al2023", ["arm64"]))
                self.assertNotIn("VpcConfig", function)
                self.assertLessEqual(function["Timeout"], 900 if name in TRIGGERED else 10)
                group = function["LoggingConfig"]["LogGroup"]["Ref"]
                self.assertEqual(group, name.removesuffix("Function") + "LogGroup")
                self.assertIn("RetentionInDays", groups[group])

    def test_every_function_has_an_alarm_of_its_own(self):
        alarms = of_type(EXPANDED, "AWS::CloudWatch::Alarm")
        watched = {alarm["Dimensions"][0]["Value"]["Ref"]: (alarm["Threshold"], alarm["EvaluationPeriods"])
                   for alarm in alarms.values() if alarm.get("Namespace") == "AWS/Lambda" and alarm["MetricName"] == "Errors"}
        self.assertEqual(watched, {name: (1, 1) for name in FUNCTIONS | TRIGGERED})

    def test_every_function_has_a_role_of_its_own_that_writes_to_its_own_log_group_only(self):
        for name, function in of_type(EXPANDED, "AWS::Lambda::Function").items():
            with self.subTest(name):
                self.assertEqual(function["Role"], {"Fn::GetAtt": [f"{name}Role", "Arn"]})
                self.assertNotIn("ManagedPolicyArns", EXPANDED["Resources"][f"{name}Role"]["Properties"])
                logs = [it for it in role_of(name) if "logs:" in str(it)]
                self.assertEqual(logs, [{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                                         "Resource": {"Fn::GetAtt": [function["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]}}])

    def test_every_log_group_is_encrypted_retained_and_outlives_the_stack(self):
        groups = {name: it for name, it in EXPANDED["Resources"].items() if it["Type"] == "AWS::Logs::LogGroup"}
        self.assertEqual(len(groups), len(FUNCTIONS | TRIGGERED) + 1)
        for name, group in groups.items():
            with self.subTest(name):
                self.assertEqual((group["DeletionPolicy"], group["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
                self.assertEqual(group["Properties"]["KmsKeyId"], {"Fn::GetAtt": ["LogsKey", "Arn"]})
                self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"})

    def test_every_route_with_a_throttle_of_its_own_exists_and_is_below_the_default(self):
        api = SOURCE["Resources"]["Api"]["Properties"]
        routes = {"$default" if path == "/$default" else f"{method.upper()} {path}" for method, path, _ in OPERATIONS}
        self.assertLessEqual(set(api["RouteSettings"]), routes)
        default = api["DefaultRouteSettings"]
        for name, throttle in api["RouteSettings"].items():
            with self.subTest(name):
                self.assertLess(throttle["ThrottlingRateLimit"], default["ThrottlingRateLimit"])
                self.assertLess(throttle["ThrottlingBurstLimit"], default["ThrottlingBurstLimit"])

    def test_with_a_name_of_its_own_the_api_does_not_answer_under_that_of_aws(self):
        [server] = EXPANDED["Resources"]["Api"]["Properties"]["Body"]["servers"]
        self.assertEqual(server["x-amazon-apigateway-endpoint-configuration"], {"disableExecuteApiEndpoint": {"Fn::If": ["HasDomain", True, False]}})

    def test_the_access_log_is_json_and_has_no_path_query_or_header(self):
        log = json.loads(SOURCE["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"])
        for value in log.values():
            self.assertRegex(value, r"^\$context\.")
            self.assertNotRegex(value.lower(), "path|query|header|useragent|authorizer")

    def test_the_tables_and_their_key_outlive_the_stack(self):
        for name in ("Table", "AuditTable", "TableKey", "LogsKey"):
            resource = SOURCE["Resources"][name]
            self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
        for name in ("Table", "AuditTable"):
            table = SOURCE["Resources"][name]["Properties"]
            self.assertEqual(table["DeletionProtectionEnabled"], {"Ref": "DeletionProtection"})
            self.assertTrue(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
            self.assertEqual(table["SSESpecification"]["SSEType"], "KMS")
        self.assertTrue(SOURCE["Resources"]["TableKey"]["Properties"]["EnableKeyRotation"])

    def test_with_existing_tables_the_stack_makes_none_and_uses_them_everywhere(self):
        own, existing = (chosen(expanded(), conditions) for conditions in (OWN_TABLES, EXISTING_TABLES))
        for table, condition in (("Table", "OwnTable"), ("AuditTable", "OwnAuditTable")):
            self.assertEqual(own["Resources"].pop(table)["Condition"], condition)
            del existing["Resources"][table]
            self.assertEqual(SOURCE["Conditions"][condition], {"Fn::Equals": [{"Ref": f"Existing{table}Name"}, ""]})
        parts = [[template["Resources"], template["Outputs"]] for template in (own, existing)]
        text = json.dumps(parts[1])
        self.assertNotRegex(text, r'"(Ref|Fn::GetAtt)": \[?"(Audit)?Table"|\$\{(Audit)?Table[.}]')
        # What differs is only which table it is.
        arn = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/"
        for table in ("Table", "AuditTable"):
            name = f"Existing{table}Name"
            stream = {"Fn::Sub": f"{arn}${{{name}}}/stream/${{Existing{table}StreamLabel}}"}
            for mine, theirs in ((stream, {"Fn::GetAtt": [table, "StreamArn"]}), ({"Ref": name}, {"Ref": table}),
                                 ({"Fn::Sub": f"{arn}${{{name}}}"}, {"Fn::GetAtt": [table, "Arn"]})):
                text = text.replace(json.dumps(mine), json.dumps(theirs))
            text = text.replace(f"{arn}${{{name}}}", f"${{{table}.Arn}}").replace(f"${{{name}}}", f"${{{table}}}")
        self.assertEqual(json.loads(text), parts[0])

    def test_the_key_of_tables_does_not_depend_on_who_made_them(self):
        """A restored table has the stack's key. Its policy lets those with rights on a table use it, so no role names the key."""
        self.assertNotIn("Condition", SOURCE["Resources"]["TableKey"])
        users = {name for name, resource in EXPANDED["Resources"].items() if "TableKey" in references(resource)}
        self.assertEqual(users, {"Table", "AuditTable", "ConnectionsTable", "BackupVault"})

    def test_the_archive_cannot_be_changed_and_outlives_the_stack(self):
        bucket, key = SOURCE["Resources"]["ArchiveBucket"], SOURCE["Resources"]["ArchiveKey"]
        for resource in (bucket, key):
            self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
        bucket = bucket["Properties"]
        self.assertTrue(bucket["ObjectLockEnabled"])
        self.assertEqual(bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"],
                         {"Mode": "COMPLIANCE", "Days": {"Ref": "ArchiveDays"}})
        self.assertEqual(bucket["VersioningConfiguration"], {"Status": "Enabled"})
        self.assertEqual(set(bucket["PublicAccessBlockConfiguration"].values()), {True})
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        self.assertEqual(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms")
        self.assertTrue(key["Properties"]["EnableKeyRotation"])
        [statement] = SOURCE["Resources"]["ArchiveBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Condition"]), ("Deny", {"Bool": {"aws:SecureTransport": "false"}}))

    def test_production_archives_for_six_years(self):
        days = SOURCE["Parameters"]["ArchiveDays"]
        [assertion] = SOURCE["Rules"]["ArchiveForSixYearsInProduction"]["Assertions"]
        allowed, _ = assertion["Assert"]["Fn::Contains"]
        self.assertEqual(allowed, [str(value) for value in days["AllowedValues"] if value >= 2192])
        self.assertEqual(days["Default"], 2192)

    def test_the_tables_are_protected_from_deletion_unless_somebody_says_otherwise(self):
        self.assertEqual(SOURCE["Parameters"]["DeletionProtection"]["Default"], "true")

    def test_backups_of_both_tables_are_kept_and_copied_as_the_parameters_say(self):
        resources = SOURCE["Resources"]
        for name in ("BackupVault", "BackupPlan", "BackupSelection", "BackupRole"):
            self.assertEqual(resources[name]["Condition"], "HasBackups")
        [rule] = resources["BackupPlan"]["Properties"]["BackupPlan"]["BackupPlanRule"]
        condition, [copy], otherwise = rule["CopyActions"]["Fn::If"]
        self.assertEqual((condition, otherwise), ("CopiesBackups", {"Ref": "AWS::NoValue"}))
        self.assertEqual(copy["DestinationBackupVaultArn"], {"Ref": "BackupCopyVaultArn"})
        self.assertEqual([it["Lifecycle"] for it in (rule, copy)], [{"DeleteAfterDays": {"Ref": "BackupDays"}}] * 2)
        selected = resources["BackupSelection"]["Properties"]["BackupSelection"]["Resources"]
        self.assertEqual(set(references(selected)), {"Table", "AuditTable"})
        self.assertEqual(resources["BackupVault"]["DeletionPolicy"], "RetainExceptOnCreate")

    def test_the_prod_stage_refuses_what_is_for_development(self):
        """Each assertion, with parameters that satisfy all of them, and with one that is wrong."""
        good = {"Stage": "prod", "AlarmTopicArn": "arn:aws:sns:us-east-1:111122223333:alarms", "SecretName": "lhcms/prod",
                "SecretVersion": "1", "LogLevel": "info", "LogRetentionDays": "365", "ArchiveDays": "2192",
                "CorsOrigins": ["https://app.example.com"], "UmsJwksUrl": "", "JwtIssuer": "", "JwtAudience": "",
                "JwtTrustLabsClaim": "false", "DomainName": "", "CertificateArn": "", "ExistingTableName": "",
                "ExistingTableStreamLabel": "", "ExistingAuditTableName": "", "ExistingAuditTableStreamLabel": ""}
        self.assertEqual(violated(good), [])
        for parameter, value in (("AlarmTopicArn", ""), ("SecretName", "lhcms/dev"), ("SecretName", "lhcms/qa"), ("SecretVersion", ""),
                                 ("LogLevel", "debug"), ("LogRetentionDays", "180"), ("ArchiveDays", "30"), ("CorsOrigins", ["*"]),
                                 ("UmsJwksUrl", "https://id.example.com/keys"), ("JwtTrustLabsClaim", "true"),
                                 ("DomainName", "api.example.com"), ("ExistingTableName", "restored"), ("ExistingAuditTableStreamLabel", "2026-11-24T10:15:00.000"),
                                 ("CertificateArn", "arn:aws:acm:us-east-1:1:certificate/1")):
            with self.subTest(parameter):
                [message] = violated(good | {parameter: value})
                self.assertIn(parameter, message.replace("with UmsJwksUrl", "UmsJwksUrl"))
        dev = good | {"Stage": "dev", "AlarmTopicArn": "", "SecretName": "lhcms/dev", "SecretVersion": "", "LogLevel": "debug",
                      "LogRetentionDays": "14", "ArchiveDays": "1", "CorsOrigins": ["*"]}
        self.assertEqual(violated(dev), [])

    def test_the_rule_on_logs_names_every_length_of_a_year_or_more(self):
        [assertion] = SOURCE["Rules"]["LogsForAYearInProduction"]["Assertions"]
        allowed, _ = assertion["Assert"]["Fn::Contains"]
        self.assertEqual(allowed, [str(days) for days in SOURCE["Parameters"]["LogRetentionDays"]["AllowedValues"] if days >= 365])

    def test_both_streams_keep_their_order_and_lose_no_change(self):
        mappings = of_type(SOURCE, "AWS::Lambda::EventSourceMapping")
        del mappings["WebhookDeliveries"], mappings["PushStream"]
        self.assertEqual({name: mapping["EventSourceArn"]["Fn::GetAtt"] for name, mapping in mappings.items()},
                         {"CasesStream": ["Table", "StreamArn"], "AuditStream": ["AuditTable", "StreamArn"]})
        for name, mapping in mappings.items():
            with self.subTest(name):
                self.assertEqual(mapping["FunctionName"], {"Ref": "ProcessStreamsFunction.Alias"})
                self.assertEqual((mapping["StartingPosition"], mapping["ParallelizationFactor"]), ("TRIM_HORIZON", 1))
                self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
                self.assertTrue(mapping["BisectBatchOnFunctionError"])
                # A stream forgets a change after a day, so there are twelve hours for a redrive.
                self.assertLessEqual(mapping["MaximumRecordAgeInSeconds"], 43200)
                self.assertEqual(list(references(mapping["DestinationConfig"])), ["StreamsDeadLetters"])
                for pattern in mapping.get("FilterCriteria", {}).get("Filters", []):
                    json.loads(pattern["Pattern"])

    def test_the_stream_of_cases_delivers_events_changes_of_cases_and_the_ends_of_lives(self):
        [patterns] = [[json.loads(pattern["Pattern"]) for pattern in mapping["FilterCriteria"]["Filters"]]
                      for name, mapping in of_type(SOURCE, "AWS::Lambda::EventSourceMapping").items() if name == "CasesStream"]
        found = {key["prefix"]: pattern.get("eventName") for pattern in patterns for key in pattern["dynamodb"]["Keys"]["sk"]["S"]}
        self.assertEqual(found, {"EVENT#": None, "CASE#": None, "DELETED#": ["REMOVE"], "UPLOAD#": ["REMOVE"]})

    def test_push_is_the_second_reader_of_the_stream_of_cases_and_keeps_no_signal_for_later(self):
        mappings = of_type(SOURCE, "AWS::Lambda::EventSourceMapping")
        sources = [json.dumps(mapping["EventSourceArn"]) for mapping in mappings.values()]
        # DynamoDB serves two readers of a shard.
        self.assertLessEqual(max(sources.count(source) for source in sources), 2)
        mapping = mappings["PushStream"]
        self.assertEqual(mapping["EventSourceArn"], mappings["CasesStream"]["EventSourceArn"])
        self.assertEqual(mapping["FunctionName"], {"Ref": "PushChangesFunction.Alias"})
        self.assertEqual((mapping["StartingPosition"], mapping["MaximumBatchingWindowInSeconds"]), ("LATEST", 0))
        self.assertLessEqual(mapping["MaximumRecordAgeInSeconds"], 60)
        self.assertLessEqual(mapping["MaximumRetryAttempts"], 2)
        self.assertNotIn("DestinationConfig", mapping)
        [pattern] = mapping["FilterCriteria"]["Filters"]
        self.assertEqual(json.loads(pattern["Pattern"]), {"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "CASE#"}]}}}})

    def test_the_websocket_api_has_the_three_routes_of_its_function_and_answers_messages(self):
        routes = of_type(SOURCE, "AWS::ApiGatewayV2::Route")
        self.assertEqual({route["RouteKey"] for route in routes.values()}, {"$connect", "$default", "$disconnect"})
        for name, route in routes.items():
            with self.subTest(name):
                self.assertEqual((route["ApiId"], route["Target"]), ({"Ref": "RealtimeApi"}, {"Fn::Sub": "integrations/${RealtimeIntegration}"}))
        self.assertEqual(routes["RealtimeMessage"]["RouteResponseSelectionExpression"], "$default")
        response = SOURCE["Resources"]["RealtimeMessageResponse"]["Properties"]
        self.assertEqual((response["RouteId"], response["RouteResponseKey"]), ({"Ref": "RealtimeMessage"}, "$default"))
        integration = SOURCE["Resources"]["RealtimeIntegration"]["Properties"]
        self.assertEqual({it for it in references(integration) if not it.startswith("AWS::")},
                         {"RealtimeApi", "RealtimeFunction", "GatewayRole"})

    def test_no_log_of_the_websocket_api_can_have_a_ticket(self):
        stage = SOURCE["Resources"]["RealtimeStage"]["Properties"]
        self.assertNotIn("AccessLogSettings", stage)
        for settings in (stage["DefaultRouteSettings"], *stage["RouteSettings"].values()):
            self.assertEqual(settings.get("LoggingLevel", "OFF"), "OFF")
            self.assertFalse(settings.get("DataTraceEnabled", False))
        self.assertEqual(set(stage["RouteSettings"]), {"$connect"})

    def test_the_stage_of_the_websocket_api_is_made_after_its_routes_and_has_the_name_in_the_urls(self):
        stage = SOURCE["Resources"]["RealtimeStage"]
        made = {name for name, it in SOURCE["Resources"].items() if it["Type"] in ("AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::RouteResponse")}
        self.assertEqual(set(stage["DependsOn"]), made)
        name = stage["Properties"]["StageName"]
        host = "${RealtimeApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
        self.assertEqual(SOURCE["Outputs"]["RealtimeUrl"]["Value"], {"Fn::Sub": f"wss://{host}/{name}"})
        ticket = FUNCTIONS["CreateRealtimeTicketFunction"]["Environment"]["Variables"]
        self.assertEqual(ticket["REALTIME_URL"], {"Fn::Sub": f"wss://{host}/{name}"})
        for function in ("RealtimeFunction", "PushChangesFunction"):
            self.assertEqual(TRIGGERED[function]["Environment"]["Variables"]["REALTIME_ENDPOINT"], {"Fn::Sub": f"https://{host}/{name}"})
            [managed] = [it for it in role_of(function) if "execute-api:ManageConnections" in actions(it)]
            self.assertEqual({arn.split("${RealtimeApi}")[1] for arn in arns(managed["Resource"])},
                             {f"/{name}/POST/@connections/*", f"/{name}/DELETE/@connections/*"})

    def test_the_functions_of_push_read_no_case_and_manage_connections_only(self):
        rights = {}
        for name in ("RealtimeFunction", "PushChangesFunction"):
            self.assertEqual(set(TRIGGERED[name]["Environment"]["Variables"]), {"CONNECTIONS_TABLE", "REALTIME_ENDPOINT", "CURSOR_SECRET_KEY"})
            rights[name] = {(action, next(it for it in references(statement["Resource"]) if not it.startswith("AWS::")))
                            for statement in role_of(name)[1:] for action in actions(statement)}
        common = {("dynamodb:Query", "ConnectionsTable"), ("dynamodb:DeleteItem", "ConnectionsTable"), ("dynamodb:Query", "Table"),
                  ("execute-api:ManageConnections", "RealtimeApi"), ("kms:Decrypt", "EnvironmentKey")}
        self.assertEqual(rights["RealtimeFunction"], common | {(f"dynamodb:{action}", "ConnectionsTable") for action in ("GetItem", "PutItem", "UpdateItem")})
        streams = {(f"dynamodb:{action}", "Table") for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
        self.assertEqual(rights["PushChangesFunction"], common | streams)
        policy = SOURCE["Resources"]["RealtimeTickets"]["Properties"]
        self.assertEqual(policy["Roles"], [{"Ref": "CreateRealtimeTicketFunctionRole"}])
        self.assertEqual(policy["PolicyDocument"]["Statement"], [
            {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": {"Fn::GetAtt": ["ConnectionsTable", "Arn"]}}])

    def test_the_table_of_connections_is_encrypted_forgets_and_ends_with_the_stack(self):
        resource = SOURCE["Resources"]["ConnectionsTable"]
        self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("Delete", "Delete"))
        table = resource["Properties"]
        self.assertEqual(table["SSESpecification"]["SSEType"], "KMS")
        self.assertTrue(table["TimeToLiveSpecification"]["Enabled"])
        self.assertNotIn("StreamSpecification", table)

    def test_the_queue_of_webhooks_keeps_the_order_of_each_case_and_loses_no_message(self):
        queues = of_type(SOURCE, "AWS::SQS::Queue")
        queue, dead_letters = queues["WebhookQueue"], queues["WebhookDeadLetters"]
        self.assertTrue(queue["FifoQueue"] and dead_letters["FifoQueue"])
        self.assertEqual((queue["MessageRetentionPeriod"], dead_letters["MessageRetentionPeriod"]), (1209600, 1209600))
        self.assertEqual(queue["RedrivePolicy"], {"deadLetterTargetArn": {"Fn::GetAtt": ["WebhookDeadLetters", "Arn"]}, "maxReceiveCount": 1000})
        function = TRIGGERED["DeliverWebhooksFunction"]
        self.assertGreaterEqual(queue["VisibilityTimeout"], 6 * function["Timeout"])
        mapping = of_type(SOURCE, "AWS::Lambda::EventSourceMapping")["WebhookDeliveries"]
        self.assertEqual((mapping["BatchSize"], mapping["FunctionResponseTypes"]), (1, ["ReportBatchItemFailures"]))
        self.assertEqual(mapping["FunctionName"], {"Ref": "DeliverWebhooksFunction.Alias"})
        # A longer window would delay webhooks.
        self.assertLessEqual(of_type(SOURCE, "AWS::Lambda::EventSourceMapping")["CasesStream"]["MaximumBatchingWindowInSeconds"], 1)

    def test_the_function_on_the_queue_holds_one_secret_and_reaches_webhooks_only_by_key(self):
        function = TRIGGERED["DeliverWebhooksFunction"]
        self.assertEqual(set(function["Environment"]["Variables"]), {"WEBHOOK_KEYS", "WEBHOOK_QUEUE_URL"})
        allowed = {(action, name) for statement in role_of("DeliverWebhooksFunction")[1:]
                   for action in actions(statement) for name in references(statement["Resource"])}
        self.assertEqual(allowed, {
            *((f"sqs:{action}", "WebhookQueue") for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")),
            *((f"dynamodb:{action}", "Table") for action in ("GetItem", "PutItem", "UpdateItem")),
            ("kms:Decrypt", "EnvironmentKey")})

    def test_searches_find_new_cases_before_the_alarm_on_the_streams(self):
        """Searches read the changes of the last hour themselves (UNINDEXED_AGE in shared/src/config)."""
        alarm = of_type(SOURCE, "AWS::CloudWatch::Alarm")["StreamsLateAlarm"]
        self.assertEqual((alarm["MetricName"], alarm["Statistic"]), ("IteratorAge", "Maximum"))
        self.assertLess(alarm["Threshold"], 3600 * 1000 / 2)

    def test_the_scheduled_verification_only_reads_and_runs_every_hour(self):
        function = TRIGGERED["VerifyHistoriesFunction"]
        self.assertEqual(set(function["Environment"]["Variables"]), {"SEAL_KEYS"})
        allowed = {(action, name) for statement in role_of("VerifyHistoriesFunction")[1:]
                   for action in actions(statement) for name in references(statement["Resource"])}
        self.assertEqual(allowed, {("dynamodb:GetItem", "Table"), ("dynamodb:BatchGetItem", "Table"),
                                   ("dynamodb:Query", "Table"), ("kms:Decrypt", "EnvironmentKey")})
        rule = of_type(SOURCE, "AWS::Events::Rule")["VerifyHistoriesSchedule"]
        self.assertEqual((rule["ScheduleExpression"], rule["State"]), ("rate(1 hour)", "ENABLED"))
        [target] = rule["Targets"]
        self.assertEqual(target["Arn"], {"Ref": "VerifyHistoriesFunction.Alias"})
        called = {it["FunctionName"]["Ref"]: it["SourceArn"]["Fn::GetAtt"][0] for it in of_type(SOURCE, "AWS::Lambda::Permission").values()
                  if it["Principal"] == "events.amazonaws.com"}
        self.assertEqual(called, {"VerifyHistoriesFunction.Alias": "VerifyHistoriesSchedule", "ScanResultsFunction.Alias": "ScanResultsRule"})

    def test_nobody_reads_a_file_that_was_not_scanned(self):
        tls, scanned, tags = SOURCE["Resources"]["FilesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual((tls["Effect"], tls["Condition"]), ("Deny", {"Bool": {"aws:SecureTransport": "false"}}))
        self.assertEqual((scanned["Effect"], scanned["Principal"], set(actions(scanned))), ("Deny", "*", {"s3:GetObject", "s3:GetObjectVersion"}))
        self.assertEqual(scanned["Condition"]["StringNotEquals"], {"s3:ExistingObjectTag/GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"})
        self.assertEqual(set(references(scanned["Condition"])), {"CompleteAttachmentFunctionRole", "MalwareScanRole"})
        self.assertEqual((tags["Effect"], set(references(tags["Condition"]))), ("Deny", {"MalwareScanRole"}))
        plan = SOURCE["Resources"]["MalwareScanPlan"]["Properties"]
        self.assertEqual(plan["Actions"], {"Tagging": {"Status": "ENABLED"}})

    def test_the_bucket_of_files_is_private_versioned_and_outlives_the_stack(self):
        bucket, key = SOURCE["Resources"]["FilesBucket"], SOURCE["Resources"]["FilesKey"]
        for resource in (bucket, key):
            self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
        bucket = bucket["Properties"]
        self.assertEqual(bucket["VersioningConfiguration"], {"Status": "Enabled"})
        self.assertEqual(set(bucket["PublicAccessBlockConfiguration"].values()), {True})
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        self.assertEqual(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms")
        [cors] = bucket["CorsConfiguration"]["CorsRules"]
        self.assertEqual((cors["AllowedOrigins"], cors["AllowedMethods"]), ({"Ref": "CorsOrigins"}, ["GET", "PUT"]))
        self.assertTrue(key["Properties"]["EnableKeyRotation"])

    def test_only_the_functions_of_files_have_rights_on_their_bucket(self):
        rights = {name: (set(references(it["Roles"])), {action for s in it["PolicyDocument"]["Statement"] for action in actions(s.get("Fn::If", [0, s])[1])})
                  for name, it in of_type(SOURCE, "AWS::IAM::Policy").items() if it["PolicyName"] == "files"}
        kms = {"kms:GenerateDataKey", "kms:Decrypt"}
        self.assertEqual(rights, {
            "SendFiles": ({"CreateAttachmentFunctionRole", "GetAttachmentUploadFunctionRole"},
                          {"s3:PutObject", "s3:ListMultipartUploadParts", "s3:ListBucket"} | kms),
            "CompleteFiles": ({"CompleteAttachmentFunctionRole"},
                              {"s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:ListBucket"} | kms),
            "ReadFiles": ({"GetAttachmentFunctionRole"}, {"s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"}),
        })
        using = {f"{name}Role" for name in FUNCTIONS if has_secrets(name) and FUNCTIONS[name]["Environment"]["Variables"]["FILES_BUCKET_NAME"] != ""}
        self.assertEqual(using, set().union(*(roles for roles, _ in rights.values())))

    def test_the_function_of_the_results_of_scans_changes_cases_and_reads_no_file(self):
        self.assertEqual(set(TRIGGERED["ScanResultsFunction"]["Environment"]["Variables"]), {"SEAL_KEYS", "FILES_BUCKET_NAME"})
        allowed = {(action, name) for statement in role_of("ScanResultsFunction")[1:]
                   for action in actions(statement) for name in references(statement["Resource"])}
        self.assertEqual(allowed, {("dynamodb:BatchGetItem", "Table"), ("dynamodb:PutItem", "Table"), ("dynamodb:UpdateItem", "Table"),
                                   ("sqs:SendMessage", "ScansDeadLetters"), ("kms:Decrypt", "EnvironmentKey")})
        rule = of_type(SOURCE, "AWS::Events::Rule")["ScanResultsRule"]
        self.assertEqual(rule["EventPattern"]["detail-type"], ["GuardDuty Malware Protection Object Scan Result"])

    def test_the_function_on_the_streams_adds_to_the_archive_and_holds_no_secret(self):
        function = TRIGGERED["ProcessStreamsFunction"]
        self.assertEqual(set(function["Environment"]["Variables"]), {"WEBHOOK_QUEUE_URL", "EVENT_BUS_NAME", "FILES_BUCKET_NAME"})
        allowed = set()
        for statement in role_of("ProcessStreamsFunction"):
            statement = statement["Fn::If"][1] if "Fn::If" in statement else statement
            allowed |= {(action, name) for action in actions(statement) for name in references(statement["Resource"])}
        writing = {"dynamodb:GetItem", "dynamodb:DeleteItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:BatchWriteItem"}
        self.assertEqual({action for action, name in allowed if name == "Table"} - {
            "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}, writing)
        self.assertEqual({action for action, name in allowed if name == "AuditTable"}, {
            "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"})
        self.assertEqual({action for action, _ in allowed if action.startswith("s3:")}, {
            "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload", "s3:ListBucketVersions"})


if __name__ == "__main__":
    unittest.main()
