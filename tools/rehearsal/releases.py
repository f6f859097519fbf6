"""The next deployments: a changed parameter reaches every function through a new version, and only with a new Release.

The last one turns on the secret of a CDN, without which no function serves a request any more.
"""

from report import Failure, say
from stack import ORIGIN_SECRET

PARAMETER, VARIABLE = "LogLevel", "LOG_LEVEL"


def live(stack):
    """The version of each function's alias, and the variable that the deployment changes."""
    functions = stack.emulator.client("lambda")
    found = {}
    for target, _ in stack.functions():
        configuration = functions.get_function_configuration(FunctionName=stack.resources[target], Qualifier="live")
        found[target] = configuration["Version"], configuration["Environment"]["Variables"][VARIABLE]
    return found


def run(client):
    """Updates the stack: with a changed parameter alone, with a changed Release as well, and with a CDN."""
    stack = client.stack
    before = live(stack)
    stack.update(**{PARAMETER: "warn"})
    if (alone := live(stack)) != before:
        raise Failure(f"a changed parameter without a changed Release publishes versions, which it does not in AWS: {alone}")
    stack.update(Release="next")
    after = live(stack)
    old = [target for target, (version, value) in after.items() if value != "warn" or version == before[target][0]]
    if old:
        raise Failure(f"{', '.join(old)}: the alias still calls a version of before (VersionDescription in template.yaml)")
    client.call("listCases")
    through_cdn = {"X-Origin-Secret": ORIGIN_SECRET}
    stack.update(Release="cdn", OriginSecrets="1")
    for operation in ("listCases", "getHealth", "listShades"):
        client.call(operation, expect=403)
        client.call(operation, headers=through_cdn)
    say(f"a deployment with another {PARAMETER} and Release gives all {len(after)} aliases a new version; with a CDN, requests need its secret")
