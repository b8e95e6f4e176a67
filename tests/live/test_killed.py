"""Ended at any moment, from its first instruction on: nothing of netprobe stays, and nobody is shown a traceback."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import once, until
from belongings import packet_sockets, processes

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

NAMESPACES = ["host", "red", "c1", "c2", "internet"]
QUESTIONS = (
    ["trace", "red", "8.8.8.8", "-c", "3", "-i", "50ms"], ["trace", "red", "8.8.8.8:80"], ["arping", "c1", "c2"], ["ls"],
    ["why", "red", "8.8.8.8"], ["trace", "red", "9.9.9.9", "--exclude", "internet", "-W", "200ms"],
    ["ping", "red", "8.8.8.8", "-c", "100", "-i", "5ms"], ["expect", "c1", "c2", "red"],
)  # fmt: skip
LONGEST_S = 0.8  # a run takes about as long
ENDED = {signal.SIGINT: (130,), signal.SIGTERM: (130, 128 + signal.SIGTERM)}  # the second before Python has a handler
SEED = 4


@pytest.fixture
def traceless(lab: Lab) -> Iterator[Path]:
    """A folder for all that a run may leave; afterwards the lab is as it was."""
    folder = Path(lab.folder, "killed")
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    before, links = lab.call(processes), lab.run(["ip", "-o", "link"]).stdout
    yield folder
    until(lambda: lab.call(processes) == before, "a process is left")
    until(lambda: not sum(lab.call(packet_sockets, NAMESPACES).values()), "packet sockets are left")
    assert lab.run(["ip", "-o", "link"]).stdout == links
    assert all(re.fullmatch(r"[^.].*\.pcapng", name) for name in os.listdir(folder))  # noqa: PTH208 - hidden ones are the point


class Asked:
    """A run of netprobe in a shell that lives on after it: the lab ends whatever a program has left when that program ends."""

    def __init__(self, lab: Lab, folder: Path, question: list[str]) -> None:
        self.lab, self.folder = lab, folder
        self.before = set(lab.call(processes))
        for name in ("asker", "code", "told"):
            (folder.parent / name).unlink(missing_ok=True)
        job = f"netprobe {shlex.join(question)} >/dev/null 2>../told & echo $! >../asker; wait $!; echo $? >../code"
        environment = {"TMPDIR": str(folder), "HOME": str(folder), "NETPROBE_CAPTURES": str(folder)}
        self.shell = lab.start(["bash", "-c", f"set -m; cd {folder}; {job}; exec sleep 3000"], environment=environment)
        until(lambda: self._written("asker"), "netprobe was not started")

    def _written(self, name: str) -> str:
        file = self.folder.parent / name
        return file.read_text().strip() if file.exists() else ""

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send the signal to netprobe alone. Its exit code as a shell has it, and its stderr. Nothing else of it may be left."""
        self.lab.run(["kill", f"-{int(number)}", self._written("asker")])
        until(lambda: self._written("code"), "netprobe does not end")
        until(lambda: self._left() == [], "a process is left")
        self.shell.stop()
        return int(self._written("code")), self._written("told")

    def _left(self) -> list[str]:
        return [each for each in self.lab.call(processes) if each not in self.before and not each.startswith(f"{self.shell.pid} ")]


def asked(lab: Lab, folder: Path, dice: random.Random) -> Asked:
    """A run, at a moment of it."""
    asked = Asked(lab, folder, dice.choice(QUESTIONS))
    time.sleep(dice.uniform(0, LONGEST_S))
    return asked


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.thorough)])
def test_killed_at_random(lab: Lab, traceless: Path, count: int) -> None:
    dice = random.Random(SEED)
    codes = {asked(lab, traceless, dice).end(signal.SIGKILL)[0] for _ in range(count)}
    assert codes <= {0, 1, 128 + signal.SIGKILL}
    assert 128 + signal.SIGKILL in codes


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("number", ENDED)
def test_interrupted_at_random(lab: Lab, traceless: Path, number: signal.Signals, count: int) -> None:
    dice = random.Random(SEED + number)
    codes = set()
    for _ in range(count):
        code, told = asked(lab, traceless, dice).end(number)
        codes.add(code)
        assert code in (0, 1, *ENDED[number]), told
        assert not ours(told), told
        assert code in (0, 1) or told == "" or pythons_own(told), told
    assert codes & set(ENDED[number])


def ours(told: str) -> bool:
    """Whether a traceback has got as far as netprobe."""
    return "netprobe/" in told or "Exception ignored" in told


def pythons_own(told: str) -> bool:
    """Whether Python was interrupted before it came to our first line, of which it makes a traceback by itself."""
    return told.startswith("Traceback") and told.rstrip().endswith("KeyboardInterrupt")
