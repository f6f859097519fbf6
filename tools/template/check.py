"""Runs checkov, and the HIPAA rules of cdk-nag if Node.js is there, on the expansion of template.yaml, and on edge.yaml.

Fails on each finding that accepted.toml does not list with a reason, and on each row of it that no finding needs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from expand import expanded, load

HERE = Path(__file__).resolve().parent


def checkov(program, template):
    """(rule, logical id) of each finding of checkov. It reads no rules from the network."""
    result = subprocess.run(
        [program, "--file", template, "--framework", "cloudformation", "--quiet", "--compact", "--skip-download", "--output", "json"],
        capture_output=True, text=True)
    report = json.loads(result.stdout)
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        sys.exit(f"checkov could not read the template: {result.stderr}")
    return {(it["check_id"], it["resource"].rsplit(".", 1)[1]) for it in report["results"]["failed_checks"]}


def cdk_nag(modules, template):
    """(rule, logical id) of each finding of cdk-nag."""
    folder = template.parent / f"nag-{template.stem}"
    result = subprocess.run(["node", HERE / "nag/nag.js", template, folder], cwd=modules, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"cdk-nag failed: {result.stderr[-2000:]}")
    reports = json.loads((folder / "validation-report.json").read_text())["pluginReports"]
    # A template without findings has no report of the plug-in.
    return {(violation["ruleName"], construct["constructPath"].rsplit("/", 1)[1])
            for report in reports if report["pluginName"] == "HIPAA.Security"
            for violation in report["violations"] for construct in violation["violatingConstructs"]}


def judge(checker, findings, accepted):
    """Prints the counts of a checker, and returns what is wrong."""
    wrong, needed = [], set()
    for rule, resource in sorted(findings):
        patterns = accepted.get(rule, {}).get("resources", [])
        matching = {(rule, pattern) for pattern in patterns if fnmatchcase(resource, pattern)}
        needed |= matching
        if not matching:
            wrong.append(f"{checker}: {rule} on {resource}, which accepted.toml does not accept")
    for rule, row in accepted.items():
        if not row.get("reason", "").strip():
            wrong.append(f"{checker}: {rule} is accepted without a reason")
        wrong += [f"{checker}: no finding of {rule} needs {pattern} in accepted.toml" for pattern in row["resources"]
                  if (rule, pattern) not in needed]
    print(f"{checker}: {len(findings)} findings, {len(findings) - sum('does not accept' in it for it in wrong)} accepted by "
          f"{len(accepted)} rules with a reason, {len(wrong)} faults")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkov", required=True, help="the program")
    parser.add_argument("--nag", type=Path, help="the folder in which npm has installed cdk-nag")
    arguments = parser.parse_args()
    accepted = tomllib.loads((HERE / "accepted.toml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, template in (("template", expanded()), ("edge", load("edge.yaml"))):
            files.append(Path(folder) / f"{name}.json")
            files[-1].write_text(json.dumps(template))
        wrong = judge("checkov", set().union(*(checkov(arguments.checkov, file) for file in files)), accepted["checkov"])
        if arguments.nag:
            wrong += judge("cdk-nag", set().union(*(cdk_nag(arguments.nag, file) for file in files)), accepted["cdk-nag"])
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
