"""Rehearses a deployment: the real template and the real binaries, in an emulator of AWS, and every operation called.

`make rehearse` runs it. With --faults it puts one fault after the other into the template and shows that each is found. With
--alarms it causes failures and shows that the metrics of the alarms move. With --restore it destroys the table and restores it. With
--previous it runs another release beside this one.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import archive
import checks
import denials
import differences
import drill
import faults
import packaging
import releases
import restore
import sequence
import upgrade
import verification
from client import Client
from processes import ROOT, Emulator, StandIns
from relay import Relay
from report import Failure, say
from stack import Stack, zipped, zips


class Rehearsal:
    """The parts of a rehearsal, started once. Leaving the block stops all of them."""

    def __init__(self, target):
        self.target = target
        self.folder = Path(tempfile.mkdtemp(prefix="lhcms-rehearsal-"))
        self.parts = []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self):
        self.relay = self._part(Relay())
        self.stand_ins = self._part(StandIns(self.folder, self.target))
        self.emulator = self._part(Emulator(self.folder, self.relay.url))
        self.relay.port = self.emulator.port
        self.packages = zips(self.target / "debug", self.folder / "zips")
        say(f"{len(self.packages)} functions stripped and zipped")
        self.stand_ins.wait()
        self.emulator.wait()
        say(f"emulator on {self.emulator.url}, UMS on {self.stand_ins.ums}, LinksHub on {self.stand_ins.linkshub}")

    def _part(self, part):
        self.parts.append(part)
        return part

    def __exit__(self, kind, *_):
        for part in reversed(self.parts):
            part.stop()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            for file in self.folder.glob("*/*.zip"):
                file.unlink()
            say(f"logs are in {self.folder}")

    def deploy(self, template):
        """Deploys the text of a template; returns a client of its API."""
        self.relay.used.clear()
        stack = Stack(self.emulator, self.stand_ins)
        stack.upload(self.packages)
        stack.deploy(template)
        return Client(stack, self.relay)

    def run(self, template):
        """Deploys the text of a template and calls everything; returns the client."""
        client = self.deploy(template)
        stack = client.stack
        checks.run(stack)
        sequence.run(client)
        archive.run(client)
        verification.run(client)
        unused = [f"row {row} of the table Functions gives {right}, which the sequence never used; take it away, or let "
                  "tools/rehearsal/sequence.py use it" for row, right in stack.unused_rights(self.relay.used)]
        if unused:
            raise Failure("\n".join(unused))
        denials.run(client)
        releases.run(client)
        return client


def rehearse(rehearsal):
    """The rehearsal of template.yaml as it is."""
    packaging.run(rehearsal.emulator, rehearsal.folder)
    rehearsal.emulator.reset()
    client = rehearsal.run((ROOT / "template.yaml").read_text())
    say(f"{len(client.called)} operations called, each function under its own role, and every right used; "
        f"{len(checks.ALL)} static checks passed")
    print("\nWhat differs from AWS:")
    for what, why in differences.DIFFERENCES:
        print(f"- {what}: {why}")
    say("the rehearsal passed")
    print(f"rehearsal: {len(client.called) + len(checks.ALL) + len(packaging.STAGES)} passed, 0 failed")


def alarms(rehearsal):
    """The drill of the alarms of template.yaml."""
    client = rehearsal.deploy((ROOT / "template.yaml").read_text())
    client.log_in("admin")
    client.panicking = zipped(rehearsal.target / "debug/examples/panicking", rehearsal.folder).read_bytes()
    drill.run(client)


def beside(previous):
    """The rehearsal of template.yaml beside the release in the folder `previous`, which has its `source` and its `binaries`."""
    def run(rehearsal):
        root = previous / "source"
        packages = zips(previous / "binaries", rehearsal.folder / "previous", root)
        upgrade.run(rehearsal, (ROOT / "template.yaml").read_text(), root, packages)

    return run


def restored(rehearsal):
    """The drill of a restore of template.yaml's table."""
    restore.run(rehearsal, (ROOT / "template.yaml").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, required=True, help="cargo's target folder, with the debug binaries")
    parser.add_argument("--faults", dest="what", action="store_const", const=faults.run, default=rehearse,
                        help="put faults into the template, and see each found")
    parser.add_argument("--alarms", dest="what", action="store_const", const=alarms, help="cause failures, and see the alarms' metrics move")
    parser.add_argument("--previous", dest="what", type=lambda folder: beside(Path(folder).resolve()),
                        help="a folder with the source and the binaries of another release, to run beside this one")
    parser.add_argument("--restore", dest="what", action="store_const", const=restored, help="lose and restore the table of cases")
    arguments = parser.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        with Rehearsal(arguments.target.resolve()) as rehearsal:
            arguments.what(rehearsal)
    except Failure as failure:
        say(f"THE REHEARSAL FAILED\n\n{failure}\n")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
