"""The parameters of a deployment."""

import subprocess
import sys
import tomllib
import unittest

import deploy
from deploy import ROOT, load

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
TEMPLATE = ROOT / "template.yaml"


class Deployment(unittest.TestCase):
    def test_the_template_and_each_parameter_make_another_release(self):
        template = TEMPLATE.read_text()
        one = deploy.release(template, ["Stage=dev", "LogLevel=info"])
        self.assertEqual(one, deploy.release(template, ["LogLevel=info", "Stage=dev"]))
        self.assertNotIn(deploy.release(template, ["Stage=dev", "LogLevel=debug"]), {one})
        self.assertNotIn(deploy.release(template + " ", ["Stage=dev", "LogLevel=info"]), {one})
        self.assertRegex(one, f"^{load(TEMPLATE)['Parameters']['Release']['AllowedPattern']}$")

    def test_a_stage_with_examples_in_its_parameters_is_not_deployed(self):
        found = {stage: [pair.split("=")[0] for pair in deploy.placeholders(deploy.overrides(CONFIG, stage))] for stage in ("dev", "qa", "prod")}
        self.assertEqual(found, {"dev": ["UmsBaseUrl"], "qa": ["UmsBaseUrl", "CorsOrigins"],
                                 "prod": ["UmsBaseUrl", "CorsOrigins", "SecretVersion", "AlarmTopicArn"]})
        command = [sys.executable, "deploy.py", "--stage", "prod", "--release", ROOT, "--check"]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr.splitlines()[0]),
                         (1, "samconfig.toml has examples for the stage prod; put in your own values:"))

    def test_a_deployment_has_the_parameters_of_the_file_and_its_release(self):
        pairs = ["Stage=qa", "Holidays=2026-12-25,2027-01-01"]
        self.assertEqual(deploy.command("qa", pairs, TEMPLATE, dry_run=True), [
            "sam", "deploy", "--template-file", str(TEMPLATE), "--config-file", str(ROOT / "samconfig.toml"), "--config-env", "qa",
            "--no-execute-changeset", "--parameter-overrides", *pairs, f"Release={deploy.release(TEMPLATE.read_text(), pairs)}"])


if __name__ == "__main__":
    unittest.main()
