"""What edge.yaml promises: nothing is cached or logged of patients, and the API takes requests only from the CDN."""

import re
import unittest

from expand import ROOT, load
from test_template import SOURCE

TEMPLATE = load("edge.yaml")
RESOURCES = {name: it["Properties"] for name, it in TEMPLATE["Resources"].items()}


class Edge(unittest.TestCase):
    def test_the_cdn_caches_nothing_and_passes_everything_on_but_the_host(self):
        config = RESOURCES["Distribution"]["DistributionConfig"]
        self.assertNotIn("CacheBehaviors", config)
        behaviour = config["DefaultCacheBehavior"]
        # AWS's own policies, by their ids: CachingDisabled and AllViewerExceptHostHeader.
        self.assertEqual((behaviour["CachePolicyId"], behaviour["OriginRequestPolicyId"]),
                         ("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "b689b0a8-53d0-40ab-baf2-68738e2966ac"))
        self.assertEqual((behaviour["ViewerProtocolPolicy"], len(behaviour["AllowedMethods"])), ("https-only", 7))
        self.assertEqual((config["ViewerCertificate"]["MinimumProtocolVersion"], config["HttpVersion"]), ("TLSv1.2_2021", "http2and3"))
        self.assertEqual(config["WebACLId"], {"Fn::GetAtt": ["Firewall", "Arn"]})

    def test_the_headers_are_those_that_the_functions_read(self):
        code = (ROOT / "shared/src/http/origin.rs").read_text()
        secret, address = re.findall(r'^const \w+: &str = "([\w-]+)";', code, re.MULTILINE)
        [origin] = RESOURCES["Distribution"]["DistributionConfig"]["Origins"]
        [header] = origin["OriginCustomHeaders"]
        self.assertEqual(header["HeaderName"].lower(), secret)
        self.assertEqual(header["HeaderValue"], {"Fn::Sub": "{{resolve:secretsmanager:${SecretName}:SecretString:ORIGIN_SECRET::${SecretVersion}}}"})
        self.assertIn(f"event.request.headers['{address}'] = {{value: event.viewer.ip}}", RESOURCES["ViewerAddress"]["FunctionCode"])

    def test_the_logs_have_no_path_query_or_header_and_outlive_the_stack(self):
        for field in RESOURCES["AccessLogDelivery"]["RecordFields"]:
            self.assertNotRegex(field, r"uri|query|referer|user-agent|cookie|host|forwarded|header")
        redacted = RESOURCES["FirewallLogs"]["RedactedFields"]
        for field in ({"UriPath": {}}, {"QueryString": {}}, {"SingleHeader": {"Name": "authorization"}}):
            self.assertIn(field, redacted)
        protected = [it["Field"]["FieldType"] for it in RESOURCES["Firewall"]["DataProtectionConfig"]["DataProtections"]]
        self.assertEqual(protected, ["BODY", "QUERY_STRING", "SINGLE_HEADER"])
        rules = RESOURCES["Firewall"]["Rules"]
        self.assertFalse(any(rule["VisibilityConfig"]["SampledRequestsEnabled"] for rule in rules))
        groups = {name for name, it in TEMPLATE["Resources"].items() if it["Type"] == "AWS::Logs::LogGroup"}
        self.assertEqual(len(groups), 2)
        for name in groups | {"LogsKey"}:
            self.assertEqual(TEMPLATE["Resources"][name]["DeletionPolicy"], "RetainExceptOnCreate")

    def test_the_firewall_has_the_managed_rules_a_rate_and_a_size(self):
        rules = RESOURCES["Firewall"]["Rules"]
        self.assertEqual([rule["Priority"] for rule in rules], list(range(5)))
        kinds = [next(iter(rule["Statement"])) for rule in rules]
        self.assertEqual(kinds, ["RateBasedStatement", "SizeConstraintStatement", *["ManagedRuleGroupStatement"] * 3])
        names = [rule["Statement"]["ManagedRuleGroupStatement"]["Name"] for rule in rules[2:]]
        self.assertEqual(names, ["AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesCommonRuleSet"])

    def test_the_parameters_that_both_templates_have_mean_the_same(self):
        for name in ("Stage", "SecretVersion"):
            self.assertEqual(TEMPLATE["Parameters"][name], SOURCE["Parameters"][name])


if __name__ == "__main__":
    unittest.main()
