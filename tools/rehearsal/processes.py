"""The processes of a rehearsal: the emulator of AWS, and the stand-ins for UMS and LinksHub.

Each listens on 127.0.0.1 only, on a free port, with its files and its log in the rehearsal's own folder.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import botocore.session
from botocore.config import Config

from report import Failure, wait_for

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
# The root user of the emulated account.
ROOT_KEY, ROOT_SECRET = "test", "test"
# Of the stand-in UMS, which signs tokens with it, and of the functions, which verify them.
JWT_SECRET = "rehearsal-jwt-secret-key-0123456789abcdef"


def free_port():
    """A port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A child process with a log file and a process group of its own."""

    def __init__(self, name, command, folder, environment):
        self.name = name
        self.log = folder / f"{name}.log"
        # The caller's environment stays outside: it may hold credentials or proxies.
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **environment}
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

    def check(self):
        """Fails when the process has ended."""
        if self.child.poll() is not None:
            last = self.log.read_text(errors="replace").splitlines()[-5:]
            raise Failure(f"{self.name} ended with {self.child.returncode}: " + " / ".join(last))

    def stop(self):
        """Ends the process, which then ends what it started, and after that whatever is left."""
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.child.wait(10)


class Emulator(Process):
    """ministack, with IAM enforced: each function has the credentials of its own role, and reaches DynamoDB at `dynamodb`."""

    def __init__(self, folder, dynamodb):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("ministack", [Path(sys.executable).with_name("ministack")], folder, {
            "AUTH": "true", "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "MINISTACK_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "LAMBDA_EXECUTOR": "local", "LOG_LEVEL": "WARNING",
            # Its other listeners would be on fixed ports of every interface.
            "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
            # The functions inherit these, and so find the emulated services.
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb, "AWS_ENDPOINT_URL_S3": self.url, "AWS_ENDPOINT_URL_SQS": self.url,
            "AWS_ENDPOINT_URL_STS": self.url, "AWS_ENDPOINT_URL_EVENTBRIDGE": self.url,
        })
        self.session = botocore.session.Session()
        self.session.set_credentials(ROOT_KEY, ROOT_SECRET)

    def client(self, service, **credentials):
        """A client of an emulated service, with all rights if no other credentials are given."""
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, proxies={},
                        s3={"addressing_style": "path"})
        return self.session.create_client(service, region_name=REGION, endpoint_url=self.url, config=config, **credentials)

    def wait(self):
        """Waits until the emulator answers."""
        def answers():
            try:
                return self.client("sts").get_caller_identity()
            except botocore.exceptions.BotoCoreError:
                return None

        wait_for("the emulator does not answer", 60, answers, self.check)

    def reset(self):
        """Forgets everything in the emulated account, and ends the functions."""
        request = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST")
        # No proxy stands between processes of this machine.
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


class StandIns(Process):
    """The stand-ins of `make dev`: UMS and LinksHub. Its DynamoDB, S3 and SQS run as well, but nothing here uses them."""

    def __init__(self, folder, target):
        ports = {f"{name}_PORT": "0" for name in ("API", "UMS", "LINKSHUB", "DYNAMODB", "S3", "SQS", "RECEIVER", "REALTIME")}
        super().__init__("stand-ins", [target / "debug/lhcms-local", "--without-api"], folder, {
            **ports, "LOCAL_DATA_DIR": str(folder / "stand-ins"), "JWT_SECRET_KEY": JWT_SECRET,
        })
        self.ums = self.linkshub = None

    def wait(self):
        """Waits until the stand-ins answer and have printed their addresses."""
        def addresses():
            text = self.log.read_text(errors="replace")
            return [re.search(rf"^ *{name} +http://localhost:(\d+) \(stand-in\)", text, re.MULTILINE)
                    for name in ("UMS", "LinksHub")]

        ums, linkshub = wait_for("the stand-ins do not start", 30, lambda: all(found := addresses()) and found, self.check)
        self.ums, self.linkshub = f"http://127.0.0.1:{ums[1]}", f"http://127.0.0.1:{linkshub[1]}"
