"""What an operator does first: `sam deploy --no-execute-changeset` with samconfig.toml, for each stage, up to the change set.

The SAM CLI packages a folder like that of `make build`, uploads it, and the emulator makes the change set. The binaries in it are
their names only, because nothing here starts them.
"""

import os
import re
import shutil
import subprocess

from processes import REGION, ROOT, ROOT_KEY, ROOT_SECRET
from report import Failure, say

SAM = ROOT / ".tools/venv-check/bin/sam"
STAGES = ("dev", "qa", "prod")


def run(emulator, folder):
    """Makes a change set for each stage; each must create every function."""
    release = folder / "release"
    names = sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml"))
    for name in names:
        binary = release / "functions" / name / "bootstrap"
        binary.parent.mkdir(parents=True)
        binary.write_text(name)
    shutil.copy(ROOT / "gateway.yaml", release)
    (release / "template.yaml").write_text(for_the_emulator((ROOT / "template.yaml").read_text()))
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": emulator.url, "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_SECRET, "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS": "1",
    }
    for stage in STAGES:
        command = [SAM, "deploy", "--template-file", release / "template.yaml", "--config-file", ROOT / "samconfig.toml",
                   "--config-env", stage, "--no-execute-changeset"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode or "Changeset created successfully" not in result.stdout:
            raise Failure(f"sam deploy fails for {stage}:\n" + "\n".join((result.stdout + result.stderr).splitlines()[-10:]))
        added = result.stdout.count("AWS::Lambda::Function")
        if added != len(names):
            raise Failure(f"sam deploy: the change set of {stage} creates {added} functions instead of {len(names)}")
    shutil.rmtree(release)
    say(f"sam deploy makes the change sets of {', '.join(STAGES)} from samconfig.toml")


def for_the_emulator(template):
    """The template's text without what the emulator does not know: the preferences from which SAM makes CodeDeploy's resources,
    the plan of GuardDuty, and the response of a route."""
    template = re.sub(r"^( +)DeploymentPreference:\n(?:\1 .*\n)+", "", template, flags=re.MULTILINE)
    template = re.sub(r"^( +)MalwareScanPlan:\n(?:\1 .*\n)+", "", template, flags=re.MULTILINE)
    template = re.sub(r"^( +)RealtimeMessageResponse:\n(?:\1 .*\n)+", "", template, flags=re.MULTILINE)
    return template.replace("RealtimeMessageResponse, ", "")
