"""How a release reaches the functions: versions, the alias, and CodeDeploy."""

import json
import re
import unittest

from samtranslator.model.preferences.deployment_preference_collection import CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST

from expand import ROOT, expanded, source
from test_template import EXPANDED, FUNCTIONS, SOURCE, TRIGGERED, alarm_names, evaluate, of_type


class Released(unittest.TestCase):
    """A new version of a function gets its requests through the alias."""

    def test_everything_that_calls_a_function_calls_its_alias(self):
        aliases = of_type(EXPANDED, "AWS::Lambda::Alias")
        self.assertEqual({alias["FunctionName"]["Ref"] for alias in aliases.values()}, set(FUNCTIONS | TRIGGERED))
        self.assertEqual({alias["Name"] for alias in aliases.values()}, {"live"})
        text = json.dumps([it for it in EXPANDED["Resources"].values()
                           if it["Type"] in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Events::Rule", "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration")])
        self.assertNotRegex(text, r'"(Ref|Fn::GetAtt)": \[?"\w+Function"')
        self.assertNotRegex(text, r"\$\{\w+Function\.")
        self.assertEqual(set(re.findall(r"\w+FunctionAliaslive", text)), set(aliases))

    def test_a_changed_parameter_publishes_a_version_of_every_function(self):
        versions = of_type(EXPANDED, "AWS::Lambda::Version")
        self.assertEqual({version["FunctionName"]["Ref"] for version in versions.values()}, set(FUNCTIONS | TRIGGERED))
        self.assertEqual([version["Description"] for version in versions.values()], [{"Ref": "Release"}] * len(versions))
        for name, function in of_type(EXPANDED, "AWS::Lambda::Function").items():
            with self.subTest(name):
                self.assertEqual(function["Environment"]["Variables"]["RELEASE"], {"Ref": "Release"})

    def test_alarms_on_errors_take_the_requests_back_unless_all_go_over_at_once(self):
        groups = of_type(EXPANDED, "AWS::CodeDeploy::DeploymentGroup")
        self.assertEqual(set(groups), {f"{name}DeploymentGroup" for name in FUNCTIONS})
        for name in FUNCTIONS:
            with self.subTest(name):
                condition, alarms, none = groups[f"{name}DeploymentGroup"]["AlarmConfiguration"]["Fn::If"]
                self.assertEqual((condition, none), ("IsGradual", {}))
                self.assertEqual(alarms, {"Enabled": True, "Alarms": [
                    {"Name": {"Ref": f"{name.removesuffix('Function')}ErrorsAlarm"}}, {"Name": {"Fn::Sub": "lhcms-${Stage}-server-errors"}}]})
                update = EXPANDED["Resources"][f"{name}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
                self.assertEqual(update["DeploymentGroupName"], {"Ref": f"{name}DeploymentGroup"})
        self.assertIn("lhcms-${Stage}-server-errors", alarm_names())
        self.assertEqual(evaluate(SOURCE["Conditions"]["IsGradual"], {"Deployment": "AllAtOnce"}), False)

    def test_each_way_to_deploy_is_one_of_codedeploy(self):
        self.assertEqual(set(SOURCE["Parameters"]["Deployment"]["AllowedValues"]), set(CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST))
        kind = "Canary10Percent10Minutes"
        for group in of_type(expanded(source(), {"Deployment": kind}), "AWS::CodeDeploy::DeploymentGroup").values():
            self.assertEqual(group["DeploymentConfigName"], {"Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": kind}]})

    def test_the_stack_policy_protects_what_outlives_the_stack_and_is_not_a_log(self):
        allow, deny = json.loads((ROOT / "tools/template/stack-policy.json").read_text())["Statement"]
        self.assertEqual((allow["Effect"], allow["Action"], allow["Resource"]), ("Allow", "Update:*", "*"))
        self.assertEqual((deny["Effect"], deny["Action"]), ("Deny", ["Update:Replace", "Update:Delete"]))
        retained = {name for name, it in EXPANDED["Resources"].items()
                    if it.get("UpdateReplacePolicy") == "Retain" and it["Type"] != "AWS::Logs::LogGroup"}
        self.assertEqual(set(deny["Resource"]), {f"LogicalResourceId/{name}" for name in retained | {"EnvironmentKey"}})

    def test_the_stack_has_fewer_resources_than_cloudformation_takes(self):
        self.assertLess(len(EXPANDED["Resources"]), 480, "CloudFormation takes 500")


if __name__ == "__main__":
    unittest.main()
