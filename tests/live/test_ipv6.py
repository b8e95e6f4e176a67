"""What IPv6 does otherwise: hop limits of an interface, addresses that are not yet its own, proxies for neighbours."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask, once, trace

from netprobe.lab.faults.networks import OFFICES
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

FAR = "2001:4860:4860::8888"


def configure(lab: Lab, namespace: str, *lines: str) -> None:
    for line in lines:
        lab.run(line.split(), namespace=namespace, check=True)


def ended(report: dict[str, Any]) -> tuple[str, str, list[str]]:
    return report["verdict"], report["agreement"], [cause["code"] for cause in report["causes"][:1]]


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        (["sysctl -qw net.ipv6.conf.eth0.hop_limit=1"], FAR),
        (["sysctl -qw net.ipv6.conf.all.hop_limit=1", "sysctl -qw net.ipv6.conf.eth0.hop_limit=1"], FAR),
        (["ip -6 route replace default via fd00:10::1 dev eth0 hoplimit 1"], FAR),
        (["ip route replace default via 10.0.0.1 dev eth0 onlink hoplimit 1"], "8.8.8.8"),
    ],
)
def test_the_hop_limit_of_an_interface_or_route(fresh_lab: Lab, lines: list[str], target: str) -> None:
    configure(fresh_lab, "red", *lines)
    assert ended(trace(fresh_lab, "red", target)) == ("unreachable", "confirmed", ["ttl-expired"])


def test_the_general_hop_limit_is_for_no_interface_that_has_one(fresh_lab: Lab) -> None:
    configure(fresh_lab, "red", "sysctl -qw net.ipv6.conf.all.hop_limit=1", "sysctl -qw net.ipv6.conf.eth0.hop_limit=64")
    report = trace(fresh_lab, "red", FAR)
    assert ended(report) == ("reachable", "confirmed", [])
    assert report["path"]["request"][0]["flow"]["ttl"] == 64


def test_the_hop_limit_of_the_answer(fresh_lab: Lab) -> None:
    configure(fresh_lab, "internet", "sysctl -qw net.ipv6.conf.eth0.hop_limit=1")
    report = trace(fresh_lab, "red", FAR)
    assert ended(report) == ("unreachable", "confirmed", ["ttl-expired"])
    assert report["direction"] == "reply"


def tentative(lab: Lab) -> None:
    """red's address waits for duplicate address detection for half a minute."""
    configure(lab, "red", "ip -6 addr del fd00:10::2/64 dev eth0", "sysctl -qw net.ipv6.conf.eth0.dad_transmits=30")
    configure(lab, "red", *(f"sysctl -qw net.ipv6.conf.{which}.accept_dad=1" for which in ("all", "eth0")))
    configure(lab, "red", "ip -6 addr add fd00:10::2/64 dev eth0", "ip -6 route replace default via fd00:10::1 dev eth0")
    assert "tentative" in lab.run(["ip", "-6", "addr", "show", "dev", "eth0", "to", "fd00:10::2"], namespace="red").stdout


def test_a_neighbour_is_reached_from_a_link_local_address(fresh_lab: Lab) -> None:
    """It is the only one there is until the detection of duplicates is over, and on the link it serves."""
    tentative(fresh_lab)
    report = trace(fresh_lab, "red", "fd00:10::1")
    assert ended(report) == ("reachable", "confirmed", [])
    assert report["probe"]["source"]["address"].startswith("fe80::")


def test_a_tentative_address_is_none_to_send_from(fresh_lab: Lab) -> None:
    tentative(fresh_lab)
    report = trace(fresh_lab, "red@fd00:10::2", "fd00:10::1")
    assert (report["verdict"], [c["code"] for c in report["causes"]]) == ("unreachable", ["addr-dad-failed"]), report["summary"]


def test_a_tentative_address_is_not_answered_for(fresh_lab: Lab) -> None:
    tentative(fresh_lab)
    assert ended(trace(fresh_lab, "host", "fd00:10::2")) == ("unreachable", "confirmed", ["addr-dad-failed"])


@pytest.fixture
def routers(make_lab: Any) -> Lab:
    """pc takes the server's network for its own, and r1 has a proxy entry for the server."""
    lab: Lab = make_lab(OFFICES.topology)
    configure(lab, "pc", "ip -6 route add fd00:2::10/128 dev eth0")
    configure(lab, "r1", "ip -6 neigh add proxy fd00:2::10 dev lan", "sysctl -qw net.ipv6.neigh.lan.proxy_delay=0")
    return lab


@pytest.mark.parametrize("which", ["lan", "all"])
def test_a_proxy_for_neighbours_must_be_switched_on(routers: Lab, which: str) -> None:
    report = trace(routers, "pc", "fd00:2::10")
    assert ended(report) == ("unreachable", "confirmed", ["proxy-arp-off"])
    assert report["causes"][0]["object"]["id"] == "net.ipv6.conf.lan.proxy_ndp"
    configure(routers, "r1", f"sysctl -qw net.ipv6.conf.{which}.proxy_ndp=1")
    configure(routers, "pc", "ip neigh flush dev eth0")
    assert ended(trace(routers, "pc", "fd00:2::10")) == ("reachable", "confirmed", [])


def test_a_proxy_for_neighbours_is_a_router(routers: Lab) -> None:
    configure(routers, "r1", "sysctl -qw net.ipv6.conf.lan.proxy_ndp=1", "sysctl -qw net.ipv6.conf.lan.forwarding=0")
    assert ended(trace(routers, "pc", "fd00:2::10"))[2] == ["arp-suppressed"]


def test_one_interface_may_forward_alone(make_lab: Any) -> None:
    """force_forwarding, of Linux 6.17."""
    lab: Lab = make_lab(OFFICES.topology)
    configure(lab, "r1", "sysctl -qw net.ipv6.conf.all.forwarding=0")
    assert ended(trace(lab, "pc", "fd00:2::10")) == ("unreachable", "confirmed", ["forwarding-off"])
    if lab.run(["sysctl", "-qw", "net.ipv6.conf.lan.force_forwarding=1"], namespace="r1").returncode:
        pytest.skip("this kernel has no force_forwarding")
    configure(lab, "r1", "sysctl -qw net.ipv6.conf.wan.force_forwarding=1")
    assert ended(trace(lab, "pc", "fd00:2::10")) == ("reachable", "confirmed", [])


def test_a_host_that_takes_no_routes_of_routers(make_lab: Any) -> None:
    lab: Lab = make_lab(OFFICES.topology)
    configure(lab, "pc", "ip -6 route del default", "sysctl -qw net.ipv6.conf.eth0.accept_ra=0")
    report = trace(lab, "pc", "fd00:2::10")
    assert ended(report) == ("unreachable", "predicted-only", ["no-route"])
    assert any("accept_ra = 0" in str(line) for line in report["causes"][0]["evidence"]), report["causes"][0]["evidence"]
    assert "accept_ra" in ask(lab, "why", "pc", "fd00:2::10").stdout
