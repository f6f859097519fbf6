"""Makes gateway.yaml, the part of openapi.yaml that the gateway reads.

The whole contract cannot be included in the template: CloudFormation refuses every null, and the contract has nulls in its
enumerations and examples. Run as a program (`make gateway`), it writes the file.
"""

import json

import yaml

from expand import ROOT

FILE = ROOT / "gateway.yaml"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "x-amazon-apigateway-any-method"}
HEADER = """\
# Generated from openapi.yaml by `make gateway`; do not edit. It is what the gateway needs of the contract, and is there because
# CloudFormation refuses the nulls in the contract's enumerations and examples.
"""


def contract():
    """openapi.yaml, in plain dicts (the SAM CLI teaches PyYAML to make its own kind)."""
    return json.loads(json.dumps(yaml.safe_load((ROOT / "openapi.yaml").read_text())))


def operations(document):
    """(method, path, operation) of each operation."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield method, path, operation


def gateway():
    """The text of gateway.yaml."""
    document = contract()
    paths = {}
    for method, path, operation in operations(document):
        kept = {key: value for key, value in operation.items() if key == "isDefaultRoute" or key.startswith("x-amazon-")}
        if "operationId" in operation:
            kept = {"operationId": operation["operationId"], **kept}
        paths.setdefault(path, {})[method] = kept
    result = {
        "openapi": document["openapi"],
        "info": {key: document["info"][key] for key in ("title", "version")},
        **{key: value for key, value in document.items() if key.startswith("x-amazon-")},
        "paths": paths,
    }
    for method, path, operation in operations(result):
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if names:
            operation["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
        operation["responses"] = {"default": {"description": "See openapi.yaml."}}
    # No aliases: CloudFormation does not read them.
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return HEADER + yaml.dump(result, Dumper=dumper, sort_keys=False, width=200)


if __name__ == "__main__":
    FILE.write_text(gateway())
