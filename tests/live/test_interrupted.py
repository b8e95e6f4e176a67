"""Ctrl-C in a run of many probes: what was seen until then is reported."""

from __future__ import annotations

import json
import random
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from asking import once, until
from belongings import packet_sockets

from netprobe.lab.lab import Lab, Program

pytestmark = [pytest.mark.lab, once]

MANY = ("-c", "10000", "-i", "20ms")


def interrupted(lab: Lab, *argv: str, after: float = 1.0, by: int = signal.SIGINT) -> Program:
    """netprobe, after a Ctrl-C that came when it had been sending for a while; it has ended by then."""
    program = lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", *argv])
    until(lambda: sum(lab.call(packet_sockets, ["host"]).values()) or not program.running(), "no tap was opened")
    lab.run(["sleep", str(after)])
    program.kill(by)
    assert program.wait() == 130, program.errors()
    return program


def test_a_trace_says_what_it_has_seen(lab: Lab) -> None:
    program = interrupted(lab, "trace", "red", "8.8.8.8", *MANY, "-o", "json", "--captures", "none")
    report = json.loads(program.output())
    assert (report["verdict"], report["agreement"], report["causes"]) == ("reachable", "confirmed", [])
    assert 3 < report["sent"] == report["received"] == len(report["rtt_ns"]) < 10_000
    assert (report["complete"], report["probe"]["count"]) == (False, 10_000)
    assert program.errors().strip() == ""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("question", [("trace", "red", "8.8.8.8"), ("ping", "red", "8.8.8.8"), ("arping", "c1", "c2")])
def test_people_are_told_the_count(lab: Lab, question: tuple[str, ...], by: int) -> None:
    program = interrupted(lab, *question, *MANY, "--captures", "none", by=by)
    found = re.search(r"([0-9]+) of ([0-9]+) answered, interrupted\s+after ([0-9]+) of 10000", program.output())
    assert found is not None, program.output()
    assert found[1] == found[2] == found[3]
    assert int(found[1]) > 3


def test_a_loss_counts_what_was_waited_for_long_enough(fresh_lab: Lab) -> None:
    """Those that are on their way still are no loss."""
    fresh_lab.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
    program = interrupted(fresh_lab, "trace", "red", "8.8.8.8", *MANY, "-W", "600ms", "-o", "json", "--captures", "none")
    report = json.loads(program.output())
    assert report["verdict"] == "unreachable"
    assert report["causes"][0]["code"] == "forwarding-off"
    assert report["received"] == 0
    assert 0 < report["sent"] < 200


def test_nothing_was_waited_for_long_enough(fresh_lab: Lab) -> None:
    """What was seen by then is told and kept; nobody can say what would have come of it."""
    fresh_lab.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
    file = Path(fresh_lab.folder, "early.pcapng")
    program = interrupted(fresh_lab, "trace", "red", "8.8.8.8", *MANY, "-W", "60s", "-w", str(file), after=0.2)
    assert re.search(r"UNDETERMINED: seen up to hop 3 of [0-9]+, interrupted after 0 of 10000\n", program.output()), program.output()
    assert "host/br0" in program.output()
    assert "error[" not in program.output()
    assert program.errors().strip() == ""
    shown = fresh_lab.run(["netprobe", "show", str(file)])
    assert shown.stdout.replace(str(file), "") == program.output().replace(str(file), "")


def test_before_anything_was_sent_there_is_nothing_to_say(lab: Lab) -> None:
    program = lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", "trace", "red", "8.8.8.8", "-c", "100"])
    program.kill(signal.SIGINT)
    assert program.wait() in (130, -signal.SIGINT)
    assert program.output() == ""


@pytest.mark.parametrize("count", [10, pytest.param(150, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("forward", ["1", "0"], ids=["answered", "lost"])
def test_at_any_moment_what_is_printed_is_whole(fresh_lab: Lab, forward: str, count: int) -> None:
    """Nothing, or one report that says whether it is complete: while it loads, sends, looks for the cause, and prints."""
    fresh_lab.run(["sysctl", "-qw", f"net.ipv4.ip_forward={forward}"], check=True)
    question = ["trace", "red", "8.8.8.8", "-c", "100", "-i", "4ms", "-W", "100ms", "-o", "json", "--captures", "none"]
    dice, reports = random.Random(count), []
    for _ in range(count):
        program = fresh_lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", *question])
        fresh_lab.run(["sleep", str(dice.uniform(0.1, 1.2))])
        with suppress(OSError):  # it has ended by then
            program.kill(signal.SIGINT)
        code, output = program.wait(), program.output()
        assert code in (0, 1, 130, -signal.SIGINT), program.errors()
        report = json.loads(output) if output else None
        assert report is not None or code in (130, -signal.SIGINT)
        if report is not None:
            assert report["complete"] or code == 130
            assert report["complete"] or report["sent"] < 100 or not report["causes"]
            reports.append(report)
    assert len({report["sent"] for report in reports}) > 1


def test_its_capture_can_be_shown(lab: Lab) -> None:
    file = Path(lab.folder, "interrupted.pcapng")
    interrupted(lab, "trace", "red", "8.8.8.8", *MANY, "-w", str(file))
    until(file.exists, "no capture")
    done = lab.run(["netprobe", "show", str(file), "-o", "json"])
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "reachable")
    assert 3 < report["sent"] == report["received"]
    assert (report["complete"], report["probe"]["count"]) == (False, 10_000)
