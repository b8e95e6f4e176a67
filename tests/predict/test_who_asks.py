"""In whose name an interface asks for IPv6 neighbours (ndisc_solicit, ndisc_send_ns), and how rules look for the way back to that."""

from __future__ import annotations

import networks
import pytest
from literal_rules import iptables
from networks import edited, relinked, tutorial

from netprobe.model import Flow, InterfaceAddress, Leg, Neighbour, Protocol, Route, Snapshot
from netprobe.predict.neighbour import request
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.view import Packet


def kernel(dst: str, index: int) -> Route:
    return Route(dst, nexthops=(networks.Nexthop(index),), protocol="kernel", metric=256)


def two() -> Snapshot:
    """The host and the internet in IPv6: each has link-local addresses, and the host several interfaces of fe80::/64."""
    host, inet = tutorial()["host"], tutorial()["internet"]
    own = (InterfaceAddress(4, "fd00:203::2", 64), *(InterfaceAddress(index, f"fe80::2:{index}", 64, scope="link") for index in (2, 4)))
    ways = (
        kernel("fe80::/64", 2),
        kernel("fe80::/64", 4),
        kernel("fd00:203::/64", 4),
        *networks.local("fd00:203::2", "fe80::2:2", "fe80::2:4"),
    )
    snapshot = edited(tutorial(), "host", addresses=(*host.addresses, *own), routes=(*host.routes, *ways))
    own = (InterfaceAddress(2, "fd00:203::1", 64), InterfaceAddress(2, "fe80::1", 64, scope="link"), InterfaceAddress(1, "fd00:55::1", 128))
    ways = (kernel("fe80::/64", 2), kernel("fd00:203::/64", 2), *networks.local("fd00:203::1", "fd00:55::1", "fe80::1"))
    return edited(snapshot, "internet", addresses=(*inet.addresses, *own), routes=(*inet.routes, *ways))


@pytest.mark.parametrize(("source", "named"), [("fd00:203::1", "fd00:203::1"), ("fd00:55::1", "fe80::1"), ("fd00:99::9", "fe80::1")])
def test_in_the_name_of_the_packets_source_where_the_interface_has_it(source: str, named: str) -> None:
    """Else in that of its link-local address: for what another interface has, and for whom it forwards."""
    there = two()["internet"]
    link = there.link(2)
    assert link is not None
    packet = Packet(Flow(source, "fd00:203::2", Protocol.ICMPV6), Leg.REQUEST)
    assert request(there, link, "fd00:203::2", packet).flow.src == named


@pytest.mark.parametrize("lets", ["-m rpfilter --validmark -j RETURN", "-m rpfilter -j RETURN"])
def test_the_way_back_to_a_link_local_address_is_sought_by_the_interface_it_came_by(lets: str) -> None:
    """Not by the first of those that have fe80::/64."""
    rules = f"*mangle\n:PREROUTING ACCEPT [0:0]\n:rpf - [0:0]\n-A PREROUTING -j rpf\n-A rpf {lets}\n-A rpf -j DROP\nCOMMIT"
    snapshot = edited(two(), "host", ruleset=iptables(rules, family="ip6"))
    snapshot = edited(snapshot, "internet", addresses=tuple(a for a in snapshot["internet"].addresses if a.address != "fd00:203::1"))
    asked = networks.probe("internet", "fd00:203::2", Protocol.ICMPV6)
    outcome = predict(snapshot, asked, ask=False)
    assert isinstance(outcome, Prediction)
    hops = [(hop.namespace, hop.interface) for hop in outcome.request.hops]
    assert ("host", "eth0") in hops, outcome.stop


@pytest.mark.parametrize(("state", "code", "seen"), [("noarp", "arp-disabled", []), ("permanent", None, ["eth0", "eth0"])])
def test_without_arp_an_interface_answers_its_own_mac(state: str, code: str | None, seen: list[str]) -> None:
    """It hears the solicitation, and nobody hears its advertisement; to whom somebody wrote an entry for it sends (ndisc_constructor)."""
    snapshot = relinked(two(), "host", "eth0", arp=False)
    there = snapshot["internet" if state == "permanent" else "host"].link_named("eth0")
    assert there is not None
    snapshot = edited(snapshot, "host", neighbours=(Neighbour(4, "fd00:203::1", there.mac, state),))
    outcome = predict(snapshot, networks.probe("internet", "fd00:203::2", Protocol.ICMPV6), ask=False)
    assert isinstance(outcome, Prediction)
    assert (outcome.stop.code if outcome.stop else None) == code
    assert [hop.interface for hop in outcome.request.hops if hop.namespace == "host"] == seen
