"""Under load: a flood through the same bridge, ten traces at a time, arpings beside each other. Nothing is lost, nothing is mixed up."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from asking import ask_program, once
from flood import arp_request, echo_request, later_fragment, solicitation
from many import faults, programs, traces

from netprobe.lab.lab import Lab, Program

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FLOOD = str(Path(__file__).with_name("flood.py"))
RATE = 100_000  # packets a second, to a station that the bridge does not know
PINGS = 2_000  # packets a second on the very way of the traces, and as many answers
PATIENCE = 300  # seconds; an upper bound for a slow machine, nothing that is measured


def start_flood(lab: Lab, station: str, rate: int) -> Program:
    return flood_with(lab, [echo_request(bytes.fromhex(station))], rate)


def flood_with(lab: Lab, frames: Sequence[bytes], rate: int, namespace: str = "red") -> Program:
    words = ",".join(frame.hex() for frame in frames)
    program = lab.start([sys.executable, FLOOD, "eth0", words, str(rate), str(PATIENCE)], namespace=namespace)
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


NOBODY = bytes.fromhex("02000a0000ff")  # a station that the bridge does not know, so that it floods
STORMS = {
    "arp of others": [arp_request("10.0.0.77", f"10.0.0.{n}") for n in range(100, 164)],
    "arp of the run": [arp_request("10.0.0.2", "10.0.0.1")],
    "solicitations of others": [solicitation("fe80::77", f"fd00:10::{n}") for n in range(100, 164)],
    "fragments of others": [later_fragment(NOBODY, "10.0.0.77", f"8.8.{n}.8") for n in range(64)],
    "fragments of others, IPv6": [later_fragment(NOBODY, "fd00:10::77", f"2001:db8::{n}") for n in range(64)],
    "fragments of the run": [later_fragment(NOBODY, "10.0.0.2", "8.8.8.8")],
}
DAILY = ("arp of others", "fragments of the run")
MEMORY = 100 << 10  # KiB at most, of a whole program


@once
@pytest.mark.parametrize("storm", [pytest.param(name, marks=() if name in DAILY else pytest.mark.thorough) for name in STORMS])
def test_fifty_traces_during_a_storm_on_the_tapped_bridge(lab: Lab, storm: str, record_property: Callable[[str, object], None]) -> None:
    """What bears the run's own addresses is seen, and there is soon enough of it; what does not never leaves the kernel."""
    before = came_in(lab, "veth0")
    flood = flood_with(lab, STORMS[storm], RATE)
    outcomes = lab.call(programs, 50)
    assert flood.running(), "the flood ended before the last trace"
    assert flood.stop() == 0, flood.errors()
    said = flood.output().splitlines()[-1]
    record_property("flood", said)
    ours = storm.endswith("of the run")
    print(f"{storm}: {said}, at most {max(kib for _, _, kib in outcomes)} KiB")
    assert [wrong for wrong, _, _ in outcomes if wrong] == []
    assert {place for _, told, _ in outcomes for place in told.split(", ") if place} <= ({"in red", "in host"} if ours else set())
    assert max(kib for _, _, kib in outcomes) < MEMORY
    assert came_in(lab, "veth0") - before > 500 * 50, "that was no flood, or it did not reach the bridge"


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
