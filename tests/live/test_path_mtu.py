"""What packets may weigh: MTUs of interfaces and routes, and what the kernel has learned of the way (RFC 1191, RFC 8201)."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask, once, trace

from netprobe.lab.faults.networks import OFFICES
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

FOUR, SIX = "10.2.0.10", "fd00:2::10"
FULL = {FOUR: "1472", SIX: "1452"}  # bytes of payload in a packet of 1500


@pytest.fixture
def offices(make_lab: Any) -> Lab:
    lab: Lab = make_lab(OFFICES.topology)
    return lab


def run(lab: Lab, namespace: str, *lines: str) -> None:
    for line in lines:
        lab.run(line.split(), namespace=namespace, check=True)


def narrow(lab: Lab) -> None:
    run(lab, "r1", "ip link set wan mtu 1400")
    run(lab, "r2", "ip link set wan mtu 1400")


def ended(report: dict[str, Any]) -> tuple[str, list[tuple[str, str, str]], str]:
    causes = [
        (c["code"], f"{c['place']['namespace']}/{c['place']['interface']}", c["object"] and c["object"]["kind"]) for c in report["causes"]
    ]
    return report["verdict"], causes, report["agreement"]


EXCEEDED = ("unreachable", [("mtu-exceeded", "r1/wan", "link")], "confirmed")


def test_what_the_kernel_learns_of_a_path_is_no_change_of_the_configuration(offices: Lab) -> None:
    """The first probe makes an entry of pc's cache, which the second, and `why`, then meet."""
    narrow(offices)
    report = trace(offices, "pc", SIX, "-s", FULL[SIX])
    assert ended(report) == EXCEEDED
    assert not any("changed" in note for note in report["notes"]), report["notes"]
    assert "expires" in offices.run(["ip", "-6", "route", "get", SIX], namespace="pc").stdout
    # pc cuts now; the server answers in one piece, which r2 refuses
    report = trace(offices, "pc", SIX, "-s", FULL[SIX])
    assert ended(report) == ("unreachable", [("mtu-exceeded", "r2/wan", "link")], "confirmed")
    assert report["direction"] == "reply"
    report = trace(offices, "pc", SIX, "-s", FULL[SIX])  # and by now the server has learned as well
    assert ended(report) == ("reachable", [], "confirmed")


@pytest.mark.parametrize("target", FULL)
def test_a_learned_mtu_hides_no_cause(offices: Lab, target: str) -> None:
    """A socket that must not fragment gets EMSGSIZE at once; the narrow place is still the one to mend."""
    narrow(offices)
    for _ in range(2):
        report = trace(offices, "pc", target, "-s", FULL[target], "--df")
        assert ended(report) == EXCEEDED
    assert ended({**trace(offices, "pc", target, "-s", FULL[target], "--df", "-c", "2"), "agreement": "confirmed"}) == EXCEEDED
    why = ask(offices, "why", "pc", target, "-s", FULL[target], "--df", "-o", "json").report
    assert ended(why)[:2] == EXCEEDED[:2]


@pytest.mark.parametrize("target", FULL)
def test_a_learned_mtu_that_is_no_longer_so(offices: Lab, target: str) -> None:
    """The line takes 1500 bytes again, and pc has not heard of it."""
    narrow(offices)
    trace(offices, "pc", target, "-s", FULL[target], "--df")
    for router in ("r1", "r2"):
        run(offices, router, "ip link set wan mtu 1500")
    report = trace(offices, "pc", target, "-s", FULL[target], "--df")
    assert ended(report) == ("unreachable", [("mtu-exceeded", "pc/eth0", "route")], "confirmed")
    assert report["causes"][0]["fix"], report
    assert "flush cache" in report["causes"][0]["fix"][0]
    run(offices, "pc", report["causes"][0]["fix"][0])
    assert ended(trace(offices, "pc", target, "-s", FULL[target], "--df")) == ("reachable", [], "confirmed")


@pytest.mark.parametrize("target", FULL)
def test_the_mtu_of_a_route(offices: Lab, target: str) -> None:
    """A socket's packets are cut to it, or refused; the fix is that route's, not the interface's."""
    gateway = "10.1.0.1" if target == FOUR else "fd00:1::1"
    run(offices, "pc", f"ip route replace default via {gateway} dev eth0 mtu 1300")
    assert ended(trace(offices, "pc", target, "-s", FULL[target])) == ("reachable", [], "confirmed")
    report = trace(offices, "pc", target, "-s", FULL[target], "--df")
    assert ended(report) == ("unreachable", [("mtu-exceeded", "pc/eth0", "route")], "confirmed")
    run(offices, "pc", report["causes"][0]["fix"][0])
    assert ended(trace(offices, "pc", target, "-s", FULL[target], "--df")) == ("reachable", [], "confirmed")


@pytest.mark.parametrize("lock", ["", "lock "])
@pytest.mark.parametrize("target", FULL)
def test_the_mtu_of_a_routers_route(offices: Lab, target: str, lock: str) -> None:
    """Routers heed it, of IPv6 since Linux 5.10 (ip_dst_mtu_maybe_forward, ip6_dst_mtu_maybe_forward)."""
    network, gateway = ("10.2.0.0/24", "10.9.0.2") if target == FOUR else ("fd00:2::/64", "fd00:9::2")
    run(offices, "r1", f"ip route replace {network} via {gateway} dev wan mtu {lock}1300")
    report = trace(offices, "pc", target, "-s", FULL[target], "--df")
    assert ended(report) == ("unreachable", [("mtu-exceeded", "r1/wan", "route")], "confirmed")


@pytest.mark.parametrize("forward_use_pmtu", ["0", "1"])
@pytest.mark.parametrize("target", FULL)
def test_what_a_router_has_learned_for_itself(offices: Lab, target: str, forward_use_pmtu: str) -> None:
    """It counts for what it forwards: of IPv6 always, of IPv4 with ip_forward_use_pmtu."""
    run(offices, "r1", f"sysctl -qw net.ipv4.ip_forward_use_pmtu={forward_use_pmtu}")
    run(offices, "r2", "ip link set lan mtu 1400")
    assert trace(offices, "r1", target, "-s", FULL[target], "--df")["verdict"] == "unreachable"
    run(offices, "r2", "ip link set lan mtu 1500")
    report = trace(offices, "pc", target, "-s", FULL[target], "--df")
    if target == FOUR and forward_use_pmtu == "0":
        assert ended(report) == ("reachable", [], "confirmed")
    else:
        assert ended(report) == ("unreachable", [("mtu-exceeded", "r1/wan", "route")], "confirmed")


def test_a_locked_mtu_takes_the_dont_fragment_bit_away(offices: Lab) -> None:
    """What fits a locked MTU goes out without DF, and a router on the way may cut it (ip_dont_fragment)."""
    narrow(offices)
    run(offices, "pc", "ip route replace default via 10.1.0.1 dev eth0 mtu lock 1500")
    assert ended(trace(offices, "pc", FOUR, "-s", FULL[FOUR])) == ("reachable", [], "confirmed")


def test_a_host_that_discovers_no_path_mtu(offices: Lab) -> None:
    """ip_no_pmtu_disc: sockets send without DF (inet_create)."""
    narrow(offices)
    run(offices, "pc", "sysctl -qw net.ipv4.ip_no_pmtu_disc=1")
    assert ended(trace(offices, "pc", FOUR, "-s", FULL[FOUR])) == ("reachable", [], "confirmed")


def test_the_mtu_of_ipv6_alone(offices: Lab) -> None:
    """A router may have announced, or somebody set, a smaller one for IPv6 than the interface has."""
    run(offices, "r1", "sysctl -qw net.ipv6.conf.wan.mtu=1400")
    report = trace(offices, "pc", SIX, "-s", FULL[SIX])
    assert ended(report) == ("unreachable", [("mtu-exceeded", "r1/wan", "sysctl")], "confirmed")
    run(offices, "r1", report["causes"][0]["fix"][0])
    assert ended(trace(offices, "pc", SIX, "-s", FULL[SIX], "--df")) != ("reachable", [], "confirmed"), "pc still remembers"
    assert ended(trace(offices, "pc", FOUR, "-s", FULL[FOUR], "--df")) == ("reachable", [], "confirmed")


def test_pieces_of_ipv6_are_not_cut_again(offices: Lab) -> None:
    """A packet that its sender has cut is refused like a whole one where a piece is too long; IPv4's is cut once more."""
    narrow(offices)
    assert ended(trace(offices, "pc", SIX, "-s", "2888")) == EXCEEDED  # two full pieces
    assert ended(trace(offices, "pc", FOUR, "-s", "3000", "--no-df")) == ("reachable", [], "confirmed")
