"""A repair that breaks other flows of who is changed is none, where another one breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import edited, local, via, with_link_locals
from test_repair_whole import after, ask, chosen, lost, said, tutorial
from test_went_round import by_ipv6

from netprobe.diagnose.repair import harm
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import InterfaceAddress, Nexthop, Route, Snapshot


def both_versions() -> Snapshot:
    """The tutorial's network, in IPv6 as well."""
    return after(
        with_link_locals(by_ipv6()),
        "host: ip address add fd00:172::1/64 dev docker0",
        "c1: ip address add fd00:172::2/64 dev eth0",
        "c2: ip address add fd00:172::3/64 dev eth0",
        "c1: ip -6 route add default via fd00:172::1",
        "c2: ip -6 route add default via fd00:172::1",
    )


@pytest.mark.parametrize(
    ("own", "dst", "fix"),
    [
        ("192.0.2.53/32", "192.0.2.53/32", "ip route replace 192.0.2.53/32 via 172.17.0.3 dev docker0"),
        ("192.0.2.53/24", "192.0.2.0/24", "ip route replace 192.0.2.0/24 via 172.17.0.3 dev docker0"),
        ("fd00:53::53/128", "fd00:53::53/128", "ip -6 route replace fd00:53::53/128 via fd00:172::3 dev docker0 metric 1024"),
    ],
)
@pytest.mark.parametrize("forwards", ["0", "1"])
def test_a_route_by_a_station_that_sends_back_what_another_one_has(own: str, dst: str, fix: str, forwards: str) -> None:
    """Its own way out is right: by another one it would reach nobody any more, or where all others go as well."""
    via = "fd00:172::2" if ":" in own else "172.17.0.2"
    snapshot = after(
        both_versions(),
        f"c2: ip address add {own} dev lo",
        f"host: ip route add {dst} via {via}",
        "c1: sysctl -w net.ipv4.ip_forward=1",
        "c1: sysctl -w net.ipv6.conf.all.forwarding=1",
        f"c2: sysctl -w net.ipv4.ip_forward={forwards}",
        f"c2: sysctl -w net.ipv6.conf.all.forwarding={forwards}",
    )
    found = chosen(snapshot, ask("red", own.partition("/")[0]))
    assert (found.stop.code, said(found)) == ("route-wrong-nexthop", [f"host: {fix}"])


@pytest.mark.parametrize("forwards", ["0", "1"])
@pytest.mark.parametrize(
    ("dst", "station", "fix"),
    [
        ("8.8.8.8", "172.17.0.2", "ip route replace default via 203.0.113.1 dev eth0"),
        ("fd00:99::8", "fd00:172::2", "ip -6 route replace default via fd00:203::1 dev eth0 metric 1024"),
    ],
)
def test_a_way_out_by_a_station_that_would_send_back(dst: str, station: str, fix: str, forwards: str) -> None:
    """Whether it forwards or not: where another one knows the way, nothing else is mended than the way out, whole."""
    way = "ip -6 route replace default" if ":" in dst else "ip route replace default"
    snapshot = after(
        both_versions(),
        "internet: ip address add fd00:99::8/128 dev lo",
        f"c1: sysctl -w net.ipv4.ip_forward={forwards}",
        f"c1: sysctl -w net.ipv6.conf.all.forwarding={forwards}",
        f"host: {way} via {station}",
    )
    found = chosen(snapshot, ask("red", dst))
    assert (found.stop.code, said(found)) == ("route-wrong-nexthop", [f"host: {fix}"])


@pytest.mark.parametrize("asker", ["host", "internet", "red", "c1"])
def test_a_network_that_is_led_to_who_sends_it_back(asker: str) -> None:
    """A router beside knows the way, and without the route that is wrong it would still be sent back."""
    snapshot = after(
        tutorial(),
        "c2: ip address add 10.9.0.1/24 dev lo",
        "internet: ip route add 10.9.0.0/24 via 203.0.113.2",
        "internet: ip route add 172.17.0.0/16 via 203.0.113.2",
        "internet: sysctl -w net.ipv4.ip_forward=1",
        "host: ip route add 10.9.0.0/24 via 203.0.113.1",
    )
    found = chosen(snapshot, ask(asker, "10.9.0.1"))
    fix = ["host: ip route replace 10.9.0.0/24 via 172.17.0.3 dev docker0"]
    assert (found.stop.code, said(found)) == ("route-wrong-nexthop", fix)


@pytest.mark.parametrize("dst", ["8.8.8.8/32", "8.8.8.0/24"])
def test_a_route_without_which_all_would_go_right_is_deleted(dst: str) -> None:
    snapshot = after(tutorial(), f"host: ip route add {dst} via 172.17.0.2", "c1: sysctl -w net.ipv4.ip_forward=1")
    assert said(chosen(snapshot, ask("red", "8.8.8.8"))) == [f"host: ip route del {dst} via 172.17.0.2 dev docker0"]


HARMFUL = (
    "host: ip route del default via 203.0.113.1 dev eth0",
    "host: ip link set dev eth0 down",
    "host: ip address del 203.0.113.2/24 dev eth0",
    "internet: ip link set dev eth0 down",
    "internet: ip address del 8.8.8.8/32 dev lo",
)
GOOD = "red: ip route add default via 10.0.0.1 dev eth0 onlink"


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ((*HARMFUL, GOOD), (GOOD,)),
        ((*HARMFUL[:3], GOOD, *HARMFUL[3:]), (GOOD,)),
        ((GOOD, *HARMFUL, GOOD), (GOOD, GOOD)),
        ((GOOD,) * 4 + HARMFUL, (GOOD,) * 4 + HARMFUL),  # no more are shown
        (HARMFUL, HARMFUL),
        (HARMFUL * 3 + (GOOD,), HARMFUL * 3 + (GOOD,)),  # none of the first is better than another one
    ],
)
def test_as_many_are_weighed_as_are_shown(lines: tuple[str, ...], left: tuple[str, ...]) -> None:
    """However many would break what passes: the first that stays does not."""
    snapshot = after(tutorial(), "red: ip route del default")
    loss = Loss.of(snapshot, *lost(snapshot, ask("red", "8.8.8.8")))
    made = {line: Repair(replace(loss.stop, text=line), Merit.RESTORES, after(snapshot, line)) for line in {*lines}}
    found = harm.harmless(loss, tuple(made[line] for line in lines))
    assert tuple(each.stop.text for each in found) == left


@pytest.mark.parametrize("asked", [{}, {"mark": 7}, {"uid": 7}, {"ttl": 1}])
def test_what_passes_today_is_asked_for_as_anybody_would(asked: dict[str, Any]) -> None:
    """By the probe's user, mark or life others would be lost already, and nothing would be broken."""
    refused = ("-m owner --uid-owner 7", "-m mark --mark 7", "-m ttl --ttl-lt 9")
    rules = "".join(f"-A OUTPUT {each} -j DROP\n" for each in refused)
    snapshot = edited(after(tutorial(), "red: ip route del default"), "host", ruleset=iptables(rules))
    loss = Loss.of(snapshot, *lost(snapshot, replace(ask("red", "8.8.8.8"), **asked)))
    made = [Repair(replace(loss.stop, text=line), Merit.RESTORES, after(snapshot, line)) for line in (HARMFUL[0], GOOD)]
    assert [each.stop.text for each in harm.harmless(loss, tuple(made))] == [GOOD]


def test_what_is_answered_in_the_place_of_another_one_is_for_nobody_to_keep() -> None:
    """The host takes what is for an address of c1's for its own, and so answers itself; its filter lets nothing out to c1."""
    host, c1, internet = (tutorial()[name] for name in ("host", "c1", "internet"))
    taken = Route("10.1.0.1/32", "local", 255, (Nexthop(1),))
    way = replace(via("0.0.0.0/0", "172.17.0.1", 2), source="10.1.0.1")
    known = (*(each for each in c1.routes if not each.is_default), *local("10.1.0.1"), way)
    network = edited(tutorial(), "c1", addresses=(*c1.addresses, InterfaceAddress(1, "10.1.0.1", 32)), routes=known)
    ways = (via("172.17.0.0/16", "203.0.113.2", 2), via("10.1.0.1/32", "203.0.113.2", 2), *internet.routes)
    network = edited(network, "internet", routes=ways)
    led = (*host.routes, via("10.1.0.1/32", "172.17.0.2", 5), taken)
    network = edited(network, "host", routes=led, ruleset=iptables("-A OUTPUT -p icmp -o docker0 -j DROP"))
    found = chosen(network, ask("c1", "8.8.8.8"))
    assert said(found) == ["host: ip route del local 10.1.0.1/32 dev lo"]
