"""The template as CloudFormation sees it in the end: gateway.yaml included, the SAM resources translated.

The linters look past the include, or only in passing. Run as a program, it prints the expansion.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402 (reads the region when imported)
from samcli.yamlhelper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


class StubPolicyLoader:
    """Knows the one policy that SAM attaches by itself; asking AWS would need credentials."""

    def load(self):
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


def load(name):
    """The project's YAML file `name`; short intrinsics (!Ref) become long ones ({"Ref": ...})."""
    return yaml_parse((ROOT / name).read_text())


def functions():
    """The SAM functions' properties by resource name, as template.yaml writes them."""
    resources = load("template.yaml")["Resources"].items()
    return {name: r["Properties"] for name, r in resources if r["Type"] == "AWS::Serverless::Function"}


def source():
    """The template as it is written, with gateway.yaml in the place of the include."""
    template = load("template.yaml")
    api = template["Resources"]["Api"]["Properties"]
    api["DefinitionBody"] = load(api["DefinitionBody"]["Fn::Transform"]["Parameters"]["Location"])
    return template


def expanded():
    """The template in plain CloudFormation."""
    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Where `sam deploy` puts the path of a folder, there is an object in S3.
            resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
    return transform(template, {}, StubPolicyLoader())


if __name__ == "__main__":
    print(json.dumps(expanded(), indent=1))
