"""Under load: a flood through the same bridge, ten traces at a time, arpings beside each other. Nothing is lost, nothing is mixed up."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import ask_program, once
from many import faults, traces

from netprobe.lab.lab import Lab, Program

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FLOOD = str(Path(__file__).with_name("flood.py"))
RATE = 100_000  # packets a second, to a station that the bridge does not know
PINGS = 2_000  # packets a second on the very way of the traces, and as many answers
PATIENCE = 300  # seconds; an upper bound for a slow machine, nothing that is measured


def start_flood(lab: Lab, station: str, rate: int) -> Program:
    program = lab.start([sys.executable, FLOOD, "eth0", station, str(rate), str(PATIENCE)], namespace="red")
    program.until("flooding")
    return program


def came_in(lab: Lab, interface: str) -> int:
    """How many frames the kernel counted on an interface of the host, from the cable's other end."""
    (link,) = json.loads(lab.run(["ip", "-s", "-j", "link", "show", interface], check=True).stdout)
    return int(link["stats64"]["rx"]["packets"])


def test_two_hundred_traces_under_a_flood(lab: Lab, privilege: str, record_property: Callable[[str, object], None]) -> None:
    count = 200 if privilege == "root" or os.geteuid() != 0 else 20  # once in full is enough
    before = came_in(lab, "veth0")
    floods = [start_flood(lab, "02000a0000ff", RATE), start_flood(lab, "02000a000001", PINGS)]
    wrong = lab.call(traces, count)
    assert all(flood.running() for flood in floods), "the flood ended before the last trace"
    for flood in floods:
        assert flood.stop() == 0, flood.errors()
    said = [flood.output().splitlines()[-1] for flood in floods]
    record_property("flood", "; ".join(said))
    print(f"{count} traces under {' and '.join(said)}")
    assert wrong == []
    packets = int(re.findall(r"^\d+", said[0])[0])
    assert packets > 500 * count, "that was no flood"
    assert came_in(lab, "veth0") - before > packets, "it did not reach the bridge"


@once
def test_ten_traces_at_the_same_time(lab: Lab) -> None:
    question = ["netprobe", "trace", "red", "8.8.8.8", "-o", "json", "--captures", "ten"]
    programs = [lab.start(question) for _ in range(10)]
    for program in programs:
        assert program.wait(PATIENCE) == 0, program.errors()
        assert faults(json.loads(program.output())) == ""
    assert len(list(Path(lab.folder, "ten").glob("*.pcapng"))) == 10
    assert len({json.loads(program.output())["capture"] for program in programs}) == 10


@once
def test_a_whole_program_under_a_flood(lab: Lab) -> None:
    flood = start_flood(lab, "02000a0000ff", RATE)
    done = ask_program(lab, "trace", "red", "8.8.8.8", "-o", "json", "--captures", "none", timeout=PATIENCE)
    assert flood.running()
    flood.stop()
    assert faults(done.report) == ""


def test_arpings_at_once_never_take_each_others_answers(lab: Lab) -> None:
    """The same question twice, another one, and one that nobody answers; all from c1 and at the same pace."""
    asked = [("172.17.0.3", 20), ("172.17.0.3", 14), ("172.17.0.1", 17), ("172.17.0.77", 12)]
    owners = {"172.17.0.3": "02:42:ac:11:00:03", "172.17.0.1": "02:42:ac:11:00:01"}
    command = ["netprobe", "arping", "c1", "-i", "20ms", "-W", "500ms", "-o", "json", "--captures", "none"]
    programs = [lab.start([*command, address, "-c", str(count)]) for address, count in asked]
    for program, (address, count) in zip(programs, asked, strict=True):
        code = program.wait(PATIENCE)
        report = json.loads(program.output())
        owner = owners.get(address)
        assert [(a["sequence"], a["address"], a["mac"]) for a in report["answers"]] == [(n, address, owner) for n in range(count) if owner]
        assert (code, report["sent"], report["received"]) == ((0, count, count) if owner else (1, count, 0))
        requests = [s for s in report["sightings"] if (s["namespace"], s["leg"]) == ("c1", "request") and s["bound"] == "out"]
        assert len(requests) == count
        assert report["notes"] == []
