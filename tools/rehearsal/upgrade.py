"""The previous release beside this one, on one table, as during a deployment: `make rehearse-upgrade PREVIOUS=v1.0.0`.

Each function of the previous release runs with the configuration that its own template gives it, and has an API of its own. The
sequence sends each request to the other release than the one before. It runs twice, so that each request meets both orders.
"""

import json

import archive
import sequence
from client import Client
from report import Failure, say
from stack import Stack

# What both releases say of a function's environment; the rest is of the deployment at hand.
FUNCTION = ("Environment", "Timeout", "MemorySize", "Runtime", "Handler")


class Previous:
    """The functions of the previous release, deployed from its own template, and what a deployment of them is."""

    def __init__(self, rehearsal, root, packages):
        self.packages = packages
        stack = Stack(rehearsal.emulator, rehearsal.stand_ins, root)
        stack.upload(packages)
        stack.deploy((root / "template.yaml").read_text())
        functions = rehearsal.emulator.client("lambda")
        self.operations = stack.operations
        self.configurations = {}
        for target, properties in stack.functions():
            found = functions.get_function_configuration(FunctionName=stack.resources[target])
            key = properties["Code"]["S3Key"]
            self.configurations[target] = {name: found[name] for name in FUNCTION} | {"Code": key}
        rehearsal.emulator.reset()

    def deploy_beside(self, stack):
        """Creates the functions beside those of a stack, under the same roles, with an API; returns the API's id."""
        functions = stack.emulator.client("lambda")
        arns = {}
        for target in {operation.target for operation in self.operations}:
            configuration = dict(self.configurations[target])
            name = stack.resources.get(target)
            if name is None:
                continue  # This release has no such function any more.
            role = functions.get_function_configuration(FunctionName=name)["Role"]
            code = self.packages[configuration.pop("Code")].read_bytes()
            environment = configuration.pop("Environment", {"Variables": {}})
            arns[target] = functions.create_function(
                FunctionName=f"{name}-previous", Role=role, Code={"ZipFile": code}, Environment=environment, **configuration)["FunctionArn"]
        gateway = stack.emulator.client("apigatewayv2")
        api = gateway.create_api(Name="previous", ProtocolType="HTTP")["ApiId"]
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        for operation in self.operations:
            if operation.target in arns:
                stack.create_route(api, operation, arns[operation.target])
        return api


class Alternating(Client):
    """A client that sends each request to the other release than the request before, if the other one has the operation."""

    def __init__(self, client, api, operations, starts_with_previous):
        super().__init__(client.stack, client.relay)
        self.apis = {False: client.stack.api_id, True: api}
        self.of_previous = {operation.id for operation in operations}
        self.is_previous = not starts_with_previous
        self.counts = {False: 0, True: 0}

    def where(self, operation):
        """This client if both releases have an operation, otherwise one of this release alone."""
        if operation in self.of_previous:
            return self
        client = Client(self.stack, self.relay)
        client.called, client.token = self.called, self.token
        return client

    def request(self, method, path, body=None, headers=(), operation=None):
        """A request to the release whose turn it is. Neither may fail by itself."""
        self.is_previous = not self.is_previous
        previous = self.is_previous and operation is not None and operation.id in self.of_previous
        reply = self.request_of(previous, method, path, body, headers, operation)
        if reply.status >= 500:
            raise Failure(self.explain(operation, f"answers {reply.status}", reply))
        return reply

    def request_of(self, previous, *request):
        """A request to one of the releases."""
        self.counts[previous] += 1
        self.api_id = self.apis[previous]
        return super().request(*request)

    def explain(self, operation, what, reply):
        """Also says which release answered."""
        release = "the previous release" if self.api_id == self.apis[True] else "this release"
        return super().explain(operation, f"{release} {what}", reply)


def compare(client):
    """Both releases show the same: each case with its history, the board and the feed. Members that only this release has may be added."""
    def read(previous, path, operation):
        reply = client.request_of(previous, "GET", path, None, (), client.operations[operation])
        if reply.status != 200:
            raise Failure(client.explain(client.operations[operation], f"answers {reply.status}", reply))
        return reply.json

    def same(path, operation):
        old, new = read(True, path, operation), read(False, path, operation)
        lost = differences(old, new)
        if lost:
            raise Failure(f"{operation}: the releases differ at {path}: {', '.join(lost[:5])}")
        return new

    cases = same("/api/v1/cases?per_page=100", "listCases")["cases"]
    for case in cases:
        same(f"/api/v1/cases/{case['id']}", "getCase")
        same(f"/api/v1/cases/{case['id']}/history", "getCaseHistory")
        for previous in (True, False):
            found = read(previous, f"/api/v1/cases/{case['id']}/history/verify", "verifyCaseHistory")
            if not found["valid"]:
                raise Failure(f"verifyCaseHistory: the history of case {case['id']} has contradictions: {json.dumps(found)}")
    same("/api/v1/cases/stats", "caseStats")
    same("/api/v1/cases/changes", "caseChanges")
    return len(cases)


def differences(old, new, place=""):
    """The places where `new` lacks something of `old`. Cursors differ, because they are of the process that made them."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [found for name in old if not name.endswith("cursor")
                for found in ([f"{place}/{name}"] if name not in new else differences(old[name], new[name], f"{place}/{name}"))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [found for index, (a, b) in enumerate(zip(old, new)) for found in differences(a, b, f"{place}/{index}")]
    return [] if old == new else [place]


def run(rehearsal, template, root, packages):
    """The sequence in both orders."""
    say("deploys the previous release, for the configuration of its functions")
    previous = Previous(rehearsal, root, packages)
    for starts_with_previous in (True, False):
        rehearsal.emulator.reset()
        client = rehearsal.deploy(template)
        client = Alternating(client, previous.deploy_beside(client.stack), previous.operations, starts_with_previous)
        say(f"the sequence, with {'the previous' if starts_with_previous else 'this'} release first")
        sequence.run(client)
        cases = compare(client)
        archive.run(client)
        say(f"{client.counts[True]} requests to the previous release and {client.counts[False]} to this one: no 5xx, and {cases} cases "
            "are the same in both, with their histories, the board and the feed")
    print("upgrade: 2 orders passed, 0 failed")
