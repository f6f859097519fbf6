"""Deploys a folder of `make build` or a release, with the parameters of samconfig.toml, and with a Release that follows from them
and from the template.

`make deploy STAGE=prod` runs it: with --check before the build, which takes long, and then to deploy.
"""

import argparse
import hashlib
import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/template"))

from expand import load  # noqa: E402 (from the folder of the template's tools)

# What samconfig.toml has in the place of a value of one's own: names that RFC 2606 keeps for examples, AWS's account for
# examples, and an id of zeros.
PLACEHOLDER = re.compile(r"example\.com|111122223333|00000000-0000-0000-0000-000000000000")


def overrides(config, stage):
    """The parameters of a stage, as NAME=VALUE."""
    return config[stage]["deploy"]["parameters"]["parameter_overrides"]


def placeholders(pairs):
    """Those of the parameters that nobody has filled in."""
    return [pair for pair in pairs if PLACEHOLDER.search(pair)]


def release(template, pairs):
    """A value that changes with the template and with each parameter. Parameters reach a function only with a new version."""
    return hashlib.sha256("\n".join([*sorted(pairs), template]).encode()).hexdigest()[:16]


def command(stage, pairs, template, dry_run):
    """The arguments of `sam` for a template. The command line's parameters replace those of the file, so it has all of them."""
    # A release from before there were aliases does not know it.
    if "Release" in load(template)["Parameters"]:
        pairs = [*pairs, f"Release={release(template.read_text(), pairs)}"]
    return ["sam", "deploy", "--template-file", str(template), "--config-file", str(ROOT / "samconfig.toml"), "--config-env", stage,
            *(["--no-execute-changeset"] if dry_run else []), "--parameter-overrides", *pairs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", required=True)
    parser.add_argument("--release", type=Path, required=True, help="the folder with the template and the functions")
    parser.add_argument("--check", action="store_true", help="only look for placeholders in the parameters")
    parser.add_argument("--at-once", action="store_true", help="give the new versions all requests at once, whatever the alarms say")
    parser.add_argument("--dry-run", action="store_true", help="make the change set, and do not execute it")
    it = parser.parse_args()
    pairs = overrides(tomllib.loads((ROOT / "samconfig.toml").read_text()), it.stage)
    if found := placeholders(pairs):
        sys.exit("\n".join([f"samconfig.toml has examples for the stage {it.stage}; put in your own values:", *(f"  {pair}" for pair in found)]))
    if it.at_once:
        pairs = [pair for pair in pairs if not pair.startswith("Deployment=")] + ["Deployment=AllAtOnce"]
    if not it.check:
        os.execvp("sam", command(it.stage, pairs, (it.release / "template.yaml").resolve(), it.dry_run))


if __name__ == "__main__":
    main()
