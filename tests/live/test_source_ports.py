"""Several packets of one run take several source ports, and so all the ways where next hops share the load."""

from __future__ import annotations

from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]


def ports(report: dict[str, Any]) -> list[int]:
    """The source port of each packet, as it left."""
    first = [s for s in report["sightings"] if (s["leg"], s["namespace"], s["interface"]) == ("request", "red", "eth0")]
    return [s["flow"]["sport"] for s in first]


@pytest.mark.parametrize("target", ["8.8.8.8:80", "8.8.8.8:53/udp"])
def test_each_packet_has_a_source_port_of_its_own(lab: Lab, target: str) -> None:
    report = trace(lab, "red", target, "-c", "5", "-i", "2ms")
    assert (report["verdict"], report["agreement"], report["received"]) == ("reachable", "confirmed", 5)
    assert len(set(ports(report))) == 5
    assert ports(report)[0] == report["probe"]["source_port"]


@pytest.mark.parametrize("target", ["8.8.8.8:80", "8.8.8.8:53/udp"])
def test_one_that_is_asked_for_is_kept(lab: Lab, target: str) -> None:
    report = trace(lab, "red", target, "-c", "3", "-i", "2ms", "--source-port", "45679")
    assert set(ports(report)) == {45679}


def test_datagrams_that_are_known_by_their_port_keep_it(lab: Lab) -> None:
    report = trace(lab, "red", "8.8.8.8:53/udp", "-c", "3", "-i", "2ms", "-s", "4")
    assert len(set(ports(report))) == 1
    assert report["received"] == 3


@pytest.mark.parametrize("target", ["8.8.8.8:80", "8.8.8.8:53/udp"])
def test_a_dead_next_hop_of_two_loses_some(fresh_lab: Lab, target: str) -> None:
    """By the ports (fib_multipath_hash_policy 1) one of two gets each connection; 16 of them miss one by a chance of 1 to 32768."""
    for line in (
        "sysctl -qw net.ipv4.fib_multipath_hash_policy=1",
        "ip route replace default nexthop via 203.0.113.1 dev eth0 nexthop via 203.0.113.77 dev eth0",
    ):
        fresh_lab.run(line.split(), check=True)
    report = trace(fresh_lab, "red", target, "-c", "16", "-i", "2ms")
    assert report["verdict"] == "intermittent", report["summary"]
    assert [cause["code"] for cause in report["causes"][:1]] == ["ecmp-dead-nexthop"]
