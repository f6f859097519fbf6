"""The template under conditions that are known, such as that the stack has tables of its own."""

import re

# With the tables of the stack itself, and with tables that exist already.
OWN_TABLES = {"OwnTable": True, "OwnAuditTable": True}
EXISTING_TABLES = {"OwnTable": False, "OwnAuditTable": False}


def chosen(node, conditions):
    """`node` as it is under these conditions: their Fn::If are decided, and what they yield is put into the texts around it."""
    if isinstance(node, list):
        return [chosen(value, conditions) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: chosen(value, conditions) for key, value in node.items()}
    match node:
        case {"Fn::If": [str(condition), then, otherwise]} if condition in conditions:
            return then if conditions[condition] else otherwise
        case {"Fn::Sub": [str(text), dict(values)]}:
            texts = {name: as_text(value) for name, value in values.items()}
            if None not in texts.values():
                return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda found: texts.get(found[1], found[0]), text)}
    return node


def as_text(node):
    """A reference as in the text of a Fn::Sub; None for another node."""
    match node:
        case str(text) | {"Fn::Sub": str(text)}:
            return text
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
    return None
