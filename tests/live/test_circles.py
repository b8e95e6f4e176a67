"""Two switches joined by three cables, a spanning tree on them: a network as it should be, in which no question may run for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from asking import ask_program, once
from open_labs import open_lab

from netprobe.lab.lab import Lab
from netprobe.lab.topology import Interface, LabBridge, Topology, Veth

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CABLES = 3
SWITCHES = Topology(
    namespaces=("west", "east", "a", "b", "lost"),
    links=(
        LabBridge(Interface("west", "br0"), stp=True),
        LabBridge(Interface("east", "br0"), stp=True),
        *(Veth(Interface("west", f"w{n}", master="br0"), Interface("east", f"e{n}", master="br0")) for n in range(CABLES)),
        Veth(Interface("west", "to-a", master="br0"), Interface("a", "eth0", ("10.0.0.2/24",))),
        Veth(Interface("east", "to-b", master="br0"), Interface("b", "eth0", ("10.0.0.3/24",))),
        Veth(Interface("east", "to-lost", master="br0"), Interface("lost", "eth0", ("10.0.9.4/24",))),
    ),
)


@pytest.fixture(scope="module")
def switches(privilege: str) -> Iterator[Lab]:
    with open_lab(privilege, SWITCHES) as lab:
        for name in ("west", "east"):
            lab.run(["ip", "link", "set", "br0", "type", "bridge", "forward_delay", "200"], namespace=name, check=True)
        deadline = time.monotonic() + 20
        while (states := port_states(lab)).count("blocking") != CABLES - 1 or set(states) != {"forwarding", "blocking"}:
            assert time.monotonic() < deadline, states
            time.sleep(0.2)
        yield lab


def port_states(lab: Lab) -> list[str]:
    shown = [json.loads(lab.run(["bridge", "-j", "-d", "link"], namespace=name, check=True).stdout) for name in ("west", "east")]
    return [port["state"] for ports in shown for port in ports]


@pytest.mark.parametrize("command", ["why", "ping", "trace", "arping"])
@once
def test_a_station_with_an_address_of_another_subnet_is_found_in_time(switches: Lab, command: str) -> None:
    quiet = [] if command == "why" else ["--captures", "none"]
    done = ask_program(switches, command, "a", "10.0.0.4", *quiet, "-o", "json", timeout=10)
    assert done.code == 1, done.told
    assert done.report["verdict"] == "unreachable"


@pytest.mark.parametrize("command", ["why", "ping", "trace", "arping"])
@once
def test_the_network_itself_is_healthy(switches: Lab, command: str) -> None:
    quiet = [] if command == "why" else ["--captures", "none"]
    done = ask_program(switches, command, "a", "10.0.0.3", *quiet, "-o", "json", timeout=10)
    assert done.code == 0, done.told
    assert done.report["agreement"] == ("predicted-only" if command == "why" else "confirmed")


@once
def test_the_owner_of_another_subnet_asked_by_its_address(switches: Lab) -> None:
    done = ask_program(switches, "trace", "a", "lost", "--captures", "none", "-o", "json", timeout=10)
    assert done.code == 1, done.told
    assert done.report["causes"]
