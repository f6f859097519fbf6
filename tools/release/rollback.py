"""Says what going back to another release needs, before anything is deployed: `make rollback` runs it.

It compares the template of the other release with the present one, and the parameters that samconfig.toml sets for the stage. Its
exit code is 1 if something must be done first.
"""

import argparse
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/template"))

from expand import load  # noqa: E402 (from the folder of the template's tools)


@dataclass
class Needs:
    """What to do before the deployment of the other release, and what to know about it."""

    first: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def indexes(template):
    """The names of the indexes of the table of cases."""
    return {index["IndexName"] for index in template["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"]}


def functions(template):
    """The folders of all functions that the gateway calls."""
    return {row["Folder"] for row in template["Mappings"]["Functions"].values()}


def kept(template):
    """The resources that stay in the account when a template no longer has them."""
    return {name for name, resource in template["Resources"].items()
            if isinstance(resource, dict) and str(resource.get("DeletionPolicy", "")).startswith("Retain")}


def parameters(config, stage):
    """The names of the parameters that samconfig.toml sets for a stage."""
    return {setting.split("=", 1)[0] for setting in config[stage]["deploy"]["parameters"]["parameter_overrides"]}


def needs(present, other, config, stage):
    """What going from the `present` template to the `other` one needs."""
    found = Needs()
    for index in sorted(indexes(other) - indexes(present)):
        found.first.append(f"the other release reads the index {index}, which the table no longer has: add it again as docs/operations.md "
                           "says under New indexes, one at a time, and run `make migrate` of the other release")
    for index in sorted(indexes(present) - indexes(other)):
        found.first.append(f"the other release has no index {index}, and CloudFormation removes one index in a deployment: keep it in the "
                           "other release's template.yaml, and deploy the folder with `make deploy`, because its checksums no longer fit")
    for name in sorted(parameters(config, stage) - other["Parameters"].keys()):
        found.first.append(f"samconfig.toml sets {name} for {stage}, which the other release does not know: remove the line")
    for name in sorted(name for name, parameter in other["Parameters"].items()
                       if "Default" not in parameter and name not in parameters(config, stage)):
        found.first.append(f"the other release needs the parameter {name}: set it for {stage} in samconfig.toml")
    for name in sorted(kept(present) - other["Resources"].keys()):
        found.notes.append(f"{name} stays in the account, outside of the stack: import it, or remove it, before you deploy this release again")
    for folder in sorted(functions(present) - functions(other)):
        found.notes.append(f"the routes of {folder} answer 404")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path, help="the folder of the other release, with its template.yaml")
    parser.add_argument("stage", choices=("dev", "qa", "prod"))
    arguments = parser.parse_args()
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    found = needs(load("template.yaml"), load((arguments.release / "template.yaml").resolve()), config, arguments.stage)
    for note in found.notes:
        print(f"- {note}")
    print("- data of the newer release stays: the other release shows what it does not know as it is (docs/adr/0039-data-of-a-newer-release.md)")
    print("- the secret is that of SecretVersion in samconfig.toml: name the version that the other release was deployed with")
    if found.first:
        print("\nDo this first:")
        for step in found.first:
            print(f"- {step}")
        sys.exit(1)


if __name__ == "__main__":
    main()
