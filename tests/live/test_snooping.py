"""Bridges that snoop multicast: IPv6 neighbour discovery reaches those alone who have said that they listen."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import C2_PORT

pytestmark = [pytest.mark.lab, once]

GROUP = "ff02::1:ff00:3"


def do(lab: Lab, *lines: str) -> None:
    for line in lines:
        lab.run(line.split(), check=True)


def ended(lab: Lab, target: str = "fd00:17::3") -> tuple[str, str, list[str]]:
    do(lab, "ip -n c1 neigh flush dev eth0", "ip -n c2 neigh flush dev eth0")
    report: dict[str, Any] = trace(lab, "c1", target)
    return report["verdict"], report["agreement"], [cause["code"] for cause in report["causes"][:1]]


@pytest.fixture
def snooping(fresh_lab: Lab) -> Lab:
    """c1 and c2 with IPv6, and what docker0 has heard of c2 forgotten."""
    do(fresh_lab, "ip -n c1 addr add fd00:17::2/64 dev eth0", "ip -n c2 addr add fd00:17::3/64 dev eth0",
       "ip addr add fd00:17::1/64 dev docker0")  # fmt: skip
    until_heard(fresh_lab)
    return fresh_lab


def until_heard(lab: Lab) -> None:
    for _ in range(100):
        if GROUP in lab.run(["bridge", "mdb", "show", "dev", "docker0"]).stdout:
            return
        time.sleep(0.05)
    pytest.fail("c2 has not said that it listens")


def forget(lab: Lab) -> None:
    do(lab, f"bridge mdb del dev docker0 port {C2_PORT} grp {GROUP}")


def query(lab: Lab) -> None:
    """docker0 begins to ask, and after a tenth of a second believes what it has heard."""
    do(lab, "ip link set docker0 type bridge mcast_query_response_interval 10", "ip link set docker0 type bridge mcast_querier 1")
    time.sleep(0.3)


def test_without_a_querier_everybody_gets_it(snooping: Lab) -> None:
    forget(snooping)
    assert ended(snooping) == ("reachable", "confirmed", [])


def test_with_a_querier_those_who_listen(snooping: Lab) -> None:
    query(snooping)
    until_heard(snooping)
    assert ended(snooping) == ("reachable", "confirmed", [])
    assert ended(snooping, "fd00:17::1") == ("reachable", "confirmed", []), "the host listens as well"
    forget(snooping)
    assert ended(snooping) == ("unreachable", "confirmed", ["port-flood-off"])
    do(snooping, "ip link set dev docker0 type bridge mcast_snooping 0")
    assert ended(snooping) == ("reachable", "confirmed", [])
