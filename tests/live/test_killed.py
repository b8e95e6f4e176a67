"""Ended at any moment, from its first instruction on: nothing of netprobe stays, and nobody is shown a traceback."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import once, until
from belongings import packet_sockets, processes

from netprobe.lab.lab import Lab, Program

pytestmark = [pytest.mark.lab, once]

NAMESPACES = ["host", "red", "c1", "c2", "internet"]
QUESTIONS = (
    ["trace", "red", "8.8.8.8", "-c", "3", "-i", "50ms"], ["trace", "red", "8.8.8.8:80"], ["arping", "c1", "c2"], ["ls"],
    ["why", "red", "8.8.8.8"], ["trace", "red", "9.9.9.9", "--exclude", "internet", "-W", "200ms"],
)  # fmt: skip
LONGEST_S = 0.8  # a run takes about as long
ENDED = {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (130, -signal.SIGTERM)}  # the second before Python has a handler
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


def started(lab: Lab, folder: Path, dice: random.Random) -> Program:
    """A run, at a moment of it."""
    environment = {"TMPDIR": str(folder), "HOME": str(folder), "NETPROBE_CAPTURES": str(folder)}
    program = lab.start(["netprobe", *dice.choice(QUESTIONS)], environment=environment)
    time.sleep(dice.uniform(0, LONGEST_S))
    return program


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.thorough)])
def test_killed_at_random(lab: Lab, traceless: Path, count: int) -> None:
    dice = random.Random(SEED)
    for _ in range(count):
        program = started(lab, traceless, dice)
        lab.run(["kill", "-KILL", str(program.pid)])
        assert program.wait() in (0, 1, -signal.SIGKILL)


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("number", ENDED)
def test_interrupted_at_random(lab: Lab, traceless: Path, number: signal.Signals, count: int) -> None:
    dice = random.Random(SEED + number)
    for _ in range(count):
        program = started(lab, traceless, dice)
        lab.run(["kill", f"-{int(number)}", str(program.pid)])
        code, told = program.wait(), program.errors()
        assert code in (0, 1, *ENDED[number]), told
        assert not ours(told), told
        assert code in (0, 1) or told.strip() == "" or pythons_own(told), told


def ours(told: str) -> bool:
    """Whether a traceback has got as far as netprobe."""
    return "netprobe/" in told or "Exception ignored" in told


def pythons_own(told: str) -> bool:
    """Whether Python was interrupted before it came to our first line, of which it makes a traceback by itself."""
    return told.startswith("Traceback") and told.rstrip().endswith("KeyboardInterrupt")
