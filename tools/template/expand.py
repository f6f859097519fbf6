"""The template as CloudFormation sees it in the end: gateway.yaml included, the loops run, the SAM resources translated.

The linters ignore the include, or read it only in part. Run as a program, it prints the expansion of template.yaml, or of the
file that it is given.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402 (reads the region when imported)
from samcli.lib.cfn_language_extensions.models import ResolutionMode, TemplateProcessingContext  # noqa: E402
from samcli.lib.cfn_language_extensions.pipeline import ProcessingPipeline  # noqa: E402
from samcli.lib.cfn_language_extensions.processors.foreach import ForEachProcessor  # noqa: E402
from samcli.lib.cfn_language_extensions.processors.parsing import TemplateParsingProcessor  # noqa: E402
from samcli.yamlhelper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


class StubPolicyLoader:
    """Knows no managed policy: each function has a role of the template. Asking AWS would need credentials."""

    def load(self):
        return {}


def load(name):
    """The project's YAML file `name`; short intrinsics (!Ref) become long ones ({"Ref": ...})."""
    return yaml_parse((ROOT / name).read_text())


def rows():
    """The table of functions in the template's Mappings: the row of each by its name, such as CreateCase."""
    return load("template.yaml")["Mappings"]["Functions"]


def operations(document):
    """(method, path, operation) of each operation of the gateway's definition."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def functions(template):
    """The SAM functions' properties by resource name, as the loops write them."""
    resources = template["Resources"].items()
    return {name: r["Properties"] for name, r in resources if r["Type"] == "AWS::Serverless::Function"}


def source(file="template.yaml"):
    """The template with gateway.yaml in the place of the include and its loops run, but still with SAM's resources."""
    template = load(file)
    api = template["Resources"]["Api"]["Properties"]
    api["DefinitionBody"] = load(api["DefinitionBody"]["Fn::Transform"]["Parameters"]["Location"])
    return run_loops(template)


def run_loops(template):
    """What AWS::LanguageExtensions makes of the template.

    Of the SAM CLI's own pipeline only the loops: its resolver of intrinsics is for finding code, and loses a Fn::Sub
    that it cannot resolve.
    """
    context = TemplateProcessingContext(fragment=template, resolution_mode=ResolutionMode.PARTIAL)
    expansion = ProcessingPipeline([TemplateParsingProcessor(), ForEachProcessor()]).process_template(context)
    # Every value has been looked up.
    mappings = expansion.pop("Mappings")
    return looked_up(expansion, mappings)


def looked_up(node, mappings):
    """`node` with the rows' values in the place of the look-ups, and plain references in the place of computed ones."""
    if isinstance(node, list):
        return [looked_up(value, mappings) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: looked_up(value, mappings) for key, value in node.items()}
    match node:
        case {"Fn::FindInMap": [str(table), str(row), str(column)]}:
            try:
                return mappings[table][row][column]
            except KeyError as missing:
                raise SystemExit(f"template.yaml: Mappings/{table} has no {missing} (needed: {table}/{row}/{column})")
        case {"Fn::FindInMap": [str(table), str(row), str(column), {"DefaultValue": default}]}:
            return mappings[table][row].get(column, default)
        case {"Fn::Select": [int(index), list(values)]}:
            return values[index]
        case {"Fn::Sub": [str(text), dict(values)]} if all(isinstance(value, str) for value in values.values()):
            for name, value in values.items():
                text = text.replace(f"${{{name}}}", value)
            return {"Fn::Sub": text} if "${" in text else text
        case {"Fn::Join": [str(delimiter), list(values)]} if all(isinstance(value, str) for value in values):
            return delimiter.join(values)
        case {"Ref": {"Fn::Sub": str(name)}}:
            return {"Ref": name}
        case {"Fn::GetAtt": [{"Fn::Sub": str(name)}, str(attribute)]}:
            return {"Fn::GetAtt": [name, attribute]}
    return node


def expanded(template=None, parameters=None):
    """The template in plain CloudFormation. `parameters` are those whose values SAM reads, if they are not the defaults."""
    template = source() if template is None else template
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Where `sam deploy` puts the path of a folder, there is an object in S3.
            resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": resource["Properties"]["CodeUri"]}
    return transform(template, parameters or {}, StubPolicyLoader())


if __name__ == "__main__":
    print(json.dumps(expanded(source(*sys.argv[1:])), indent=1))
