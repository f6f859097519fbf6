"""Tests the clients in clients/, and what the contract gives their users: `make check-clients`.

Both clients are tested against a running API: the one at LHCMS_URL with LHCMS_TOKEN if they are set, otherwise a stack that this
program starts on free ports.
"""

import argparse
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLIENTS = ROOT / "clients"
CONTRACT = ROOT / "openapi.yaml"
START_SECONDS = 180
STOP_SECONDS = 20
# The generator cannot read YAML responses, and clients have no need of one: the same document exists as JSON.
KNOWN_WARNING = "GET /api/v1/openapi.yaml"


def run(*command, **options):
    """Runs a command; its failure ends the program with its exit status."""
    result = subprocess.run([str(part) for part in command], **options)
    if result.returncode != 0:
        sys.exit(f"check-clients: {Path(command[0]).name} failed with exit status {result.returncode}")


def check_types(tools):
    """Compiles good.ts and bad.ts against the generated types, beside the node_modules in `tools`."""
    folder = tools / "typescript"
    shutil.copytree(HERE / "typescript", folder, dirs_exist_ok=True)
    binaries = tools / "node_modules" / ".bin"
    run(binaries / "openapi-typescript", CONTRACT, "--output", folder / "schema.d.ts", stdout=subprocess.DEVNULL)
    run(binaries / "tsc", "--project", folder)
    mistakes = (folder / "bad.ts").read_text().count("// @ts-expect-error")
    print(f"check-clients: good.ts compiles, and the compiler finds the {mistakes} mistakes in bad.ts")


def check_versions():
    """Both clients have the version of the contract."""
    version = re.search(r'^  version: "?([0-9.]+)"?$', CONTRACT.read_text(), re.MULTILINE)[1]
    found = {
        "typescript": json.loads((CLIENTS / "typescript/package.json").read_text())["version"],
        "python": tomllib.loads((CLIENTS / "python/pyproject.toml").read_text())["project"]["version"],
    }
    if set(found.values()) != {version}:
        sys.exit(f"check-clients: the contract has the version {version}, and the clients have {found}")


def generate_python(generator):
    """Generates the code of the Python client; a warning is a failure."""
    result = subprocess.run(
        [generator, "generate", "--path", CONTRACT, "--config", HERE / "openapi-python-client.yaml", "--meta", "none",
         "--output-path", CLIENTS / "python/src/lhcms/generated", "--overwrite"],
        capture_output=True, text=True)
    output = result.stdout + result.stderr
    warnings = [line for line in output.splitlines() if line.startswith(("WARNING", "ERROR", "Unable"))]
    if result.returncode != 0 or any(KNOWN_WARNING not in line for line in warnings):
        sys.exit(f"check-clients: the Python client could not be generated:\n{output}")


@contextmanager
def running_stack():
    """Starts the stack of `make dev` on free ports; gives the URLs of the API and of the UMS."""
    program = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "lhcms-local"
    if not program.is_file():
        sys.exit(f"check-clients: {program} is missing. Run `make check-clients`, which builds it.")
    with tempfile.TemporaryDirectory() as data, open(Path(data) / "stack.log", "w+") as log:
        ports = {name: "0" for name in ("API_PORT", "UMS_PORT", "LINKSHUB_PORT", "DYNAMODB_PORT", "S3_PORT", "SQS_PORT", "RECEIVER_PORT", "REALTIME_PORT")}
        stack = subprocess.Popen([program], cwd=ROOT, env={**os.environ, **ports, "LOCAL_DATA_DIR": data},
                                 stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield urls_of(stack, log)
        finally:
            stack.send_signal(signal.SIGTERM)
            try:
                stack.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                stack.kill()
                stack.wait()


def urls_of(stack, log):
    """Reads the URLs of API and UMS from the greeting of the stack, and waits until the API is healthy."""
    lines = queue.Queue()

    def read():
        for line in stack.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    urls = {}
    while not {"API", "UMS"} <= urls.keys():
        try:
            line = lines.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            line = None
        if line is None:
            log.seek(0)
            sys.exit(f"check-clients: the stack did not start:\n{log.read()}")
        name, url, *_ = [*line.split(), "", ""]
        if name in ("API", "UMS") and url.startswith("http"):
            urls[name] = url.split("/api/")[0]
    while not is_healthy(urls["API"]):
        if time.monotonic() > deadline:
            sys.exit("check-clients: the stack is not healthy")
        time.sleep(0.2)
    return urls["API"], urls["UMS"]


def is_healthy(api):
    """Whether the health check answers 200."""
    try:
        with urllib.request.urlopen(f"{api}/api/v1/health", timeout=10) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def log_in(ums):
    """An access token of the admin of the stand-in UMS."""
    body = json.dumps({"username": "admin", "password": "admin123"}).encode()
    request = urllib.request.Request(f"{ums}/api/auth/login", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["access_token"]


def test_clients(python, has_node, url, token):
    """Runs the tests of the clients against a running API."""
    environment = {**os.environ, "LHCMS_URL": url, "LHCMS_TOKEN": token}
    run(python, "-m", "unittest", "discover", "-s", CLIENTS / "python/tests",
        env={**environment, "PYTHONPATH": str(CLIENTS / "python/src")})
    if has_node:
        run("npm", "--prefix", CLIENTS / "typescript", "run", "--silent", "test", env=environment)


def main():
    """Runs the checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True, help="the program openapi-python-client")
    parser.add_argument("--node", type=Path, help="the folder with node_modules; without it, only the Python client is tested")
    arguments = parser.parse_args()
    # Not resolved: the program in a virtual environment is a link, and the environment is where the link is.
    generator = arguments.generator.absolute()
    check_versions()
    if arguments.node:
        check_types(arguments.node.resolve())
    generate_python(generator)
    python = generator.parent / "python"
    if os.environ.get("LHCMS_URL"):
        test_clients(python, arguments.node, os.environ["LHCMS_URL"], os.environ["LHCMS_TOKEN"])
    else:
        with running_stack() as (api, ums):
            test_clients(python, arguments.node, api, log_in(ums))


if __name__ == "__main__":
    main()
