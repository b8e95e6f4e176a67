from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial, via

from netprobe.model import (
    BridgePort,
    End,
    FindPeer,
    InterfaceAddress,
    Leg,
    Neighbour,
    Probe,
    Protocol,
    Qdisc,
    ReadNamespace,
    Route,
    Snapshot,
    Stage,
)
from netprobe.predict.predict import Prediction, predict


def predicted(snapshot: Snapshot, probe: Probe) -> Prediction:
    outcome = predict(snapshot, probe, ask=False)
    assert isinstance(outcome, Prediction), outcome
    return outcome


def places(walk) -> list[str]:
    return [f"{h.namespace}/{h.interface}" if h.interface else f"{h.namespace}:{h.stage}" for h in walk.hops]


def test_the_tutorial_is_walked_there_and_back():
    outcome = predicted(tutorial(), networks.probe())
    assert places(outcome.request) == ["red/eth0", "host/veth0", "host/br0", "host:forward", "host/eth0", "internet/eth0", "internet/eth0"]
    assert outcome.reply is not None
    assert places(outcome.reply) == ["internet/eth0", "host/eth0", "host:forward", "host/br0", "host/veth0", "red/eth0", "red/eth0"]
    assert (outcome.request.end, outcome.reply.end, outcome.stop) == (End.DELIVER, End.DELIVER, None)
    assert outcome.probe.source.address == "10.0.0.2"


def test_the_ttl_falls_at_the_router_and_macs_change_with_the_segment():
    hops = predicted(tutorial(), networks.probe()).request.hops
    assert [h.flow.ttl for h in hops] == [64, 64, 64, 63, 63, 63, 63]
    assert (hops[0].flow.src_mac, hops[0].flow.dst_mac) == ("02:00:00:00:01:02", "02:00:00:00:02:02")
    assert (hops[4].flow.src_mac, hops[4].flow.dst_mac) == ("02:00:00:00:02:04", "02:00:00:00:03:02")


def test_two_containers_of_one_bridge_meet_without_a_router():
    outcome = predicted(tutorial(), networks.probe("c1", "172.17.0.3"))
    assert places(outcome.request) == ["c1/eth0", "host/vethc1", "host/vethc2", "c2/eth0", "c2/eth0"]
    assert outcome.stop is None


def test_the_own_address_is_reached_over_loopback():
    assert places(predicted(tutorial(), networks.probe("red", "10.0.0.2")).request) == ["red/lo", "red/lo", "red/lo"]


def test_without_the_source_namespace_it_is_asked_for():
    assert predict(Snapshot(), networks.probe(), ask=False) == (ReadNamespace("red"),)


def test_an_unknown_peer_is_asked_for_by_its_nsid():
    snapshot = tutorial()
    cut = replace(snapshot, peers=tuple(p for p in snapshot.peers if (p.namespace, p.nsid) != ("host", 2)))
    assert predict(cut, networks.probe(), ask=False) == (FindPeer("host", 2),)


def test_out_of_sight_ends_with_an_exit_and_a_reply_from_there():
    snapshot = tutorial()
    peers = tuple(replace(p, peer=None) if p.peer == "internet" else p for p in snapshot.peers)
    outcome = predicted(replace(snapshot, peers=peers), networks.probe())
    assert outcome.request.end is End.EXIT
    assert outcome.request.hops[-1].note.startswith("exit through eth0")
    assert outcome.reply is not None
    assert places(outcome.reply) == ["host/eth0", "host:forward", "host/br0", "host/veth0", "red/eth0", "red/eth0"]


FORWARDING_OFF = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"})
NO_ROUTE = edited(tutorial(), "red", routes=networks.local("10.0.0.2"))
BLACKHOLE = edited(tutorial(), "host", routes=(*networks.host().routes, Route("8.8.8.8/32", "blackhole")))
PROHIBITED = edited(
    tutorial(), "host", rules=(*networks.RULES, replace(networks.RULES[0], priority=100, action="prohibit", src="10.0.0.2"))
)
OUT_OF_BRIDGE = relinked(tutorial(), "host", "veth0", master=None, port=None)
ETH0_DOWN = edited(relinked(tutorial(), "red", "eth0", up=False, carrier=False), "red", routes=networks.local())
NO_RETURN = edited(
    tutorial(), "internet", routes=(*networks.local("8.8.8.8"), *networks.local("203.0.113.1"), networks.via("203.0.113.0/24", None, 2))
)
WRONG_MAC = edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", "02:de:ad:00:00:01", "permanent"),))
BLOCKED = relinked(tutorial(), "host", "veth0", port=BridgePort(state="blocking"))
ARP_IGNORE = edited(tutorial(), "internet", sysctls={"net.ipv4.conf.all.arp_ignore": "8"})
ASKS_NOBODY = edited(tutorial(), "red", sysctls={"net.ipv4.neigh.eth0.mcast_solicit": "0"})
ASKS_A_PROGRAM = edited(tutorial(), "red",
                        sysctls={"net.ipv4.neigh.eth0.mcast_solicit": "0", "net.ipv4.neigh.eth0.app_solicit": "1"})  # fmt: skip
STRICT = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"},
                routes=(*networks.host().routes, networks.via("10.0.0.2/32", None, 5)))  # fmt: skip
TTL_ONE = edited(tutorial(), "red", sysctls={"net.ipv4.ip_default_ttl": "1"})


@pytest.mark.parametrize(
    ("snapshot", "code", "place", "object_id", "leg"),
    [
        (FORWARDING_OFF, "forwarding-off", "host/br0", "net.ipv4.ip_forward", Leg.REQUEST),
        (NO_ROUTE, "no-route", "red", "8.8.8.8", Leg.REQUEST),
        (BLACKHOLE, "route-blackhole", "host", "blackhole 8.8.8.8/32", Leg.REQUEST),
        (PROHIBITED, "rule-prohibit", "host", "100: from 10.0.0.2 prohibit", Leg.REQUEST),
        (OUT_OF_BRIDGE, "port-not-in-bridge", "host/veth0", "veth0", Leg.REPLY),
        (ETH0_DOWN, "link-admin-down", "red/eth0", "eth0", Leg.REQUEST),
        (NO_RETURN, "no-route", "internet", "10.0.0.2", Leg.REPLY),
        (WRONG_MAC, "neigh-wrong-entry", "red/eth0", "10.0.0.1 dev eth0 lladdr 02:de:ad:00:00:01", Leg.REQUEST),
        (BLOCKED, "port-not-forwarding", "host/veth0", "veth0", Leg.REQUEST),
        (ARP_IGNORE, "arp-suppressed", "internet/eth0", "net.ipv4.conf.all.arp_ignore", Leg.REQUEST),
        (ASKS_NOBODY, "arp-suppressed", "red/eth0", "net.ipv4.neigh.eth0.mcast_solicit", Leg.REQUEST),
        (ASKS_A_PROGRAM, "unknown", "red/eth0", None, Leg.REQUEST),
        (STRICT, "rp-filter", "host/br0", "net.ipv4.conf.all.rp_filter", Leg.REQUEST),
        (TTL_ONE, "ttl-expired", "host/br0", None, Leg.REQUEST),
    ],
)  # fmt: skip
def test_each_obstacle_is_named_with_its_place_and_object(snapshot, code, place, object_id, leg):
    outcome = predicted(snapshot, networks.probe())
    assert outcome.stop is not None
    where = (
        f"{outcome.stop.place.namespace}/{outcome.stop.place.interface}" if outcome.stop.place.interface else outcome.stop.place.namespace
    )
    assert (outcome.stop.code, where, outcome.leg) == (code, place, leg)
    assert (outcome.stop.object.id if outcome.stop.object else None) == object_id


def test_a_healthy_strict_reverse_path_filter_stops_nothing():
    strict = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"})
    assert predicted(strict, networks.probe()).stop is None


def test_arp_between_two_containers_goes_there_and_back():
    from netprobe.model import Protocol

    asked = networks.probe("c1", "172.17.0.3", Protocol.ARP)
    outcome = predicted(tutorial(), asked)
    assert places(outcome.request) == ["c1/eth0", "host/vethc1", "host/vethc2", "c2/eth0", "c2/eth0"]
    assert outcome.reply is not None
    assert places(outcome.reply) == ["c2/eth0", "host/vethc2", "host/vethc1", "c1/eth0", "c1/eth0"]


@pytest.mark.parametrize(("name", "interface"), [("c1", "eth0"), ("c2", "eth0")])
def test_neither_who_asks_nor_who_answers_may_have_arp_switched_off(name: str, interface: str) -> None:
    from netprobe.model import Protocol

    off = relinked(tutorial(), name, interface, arp=False)
    stop = predicted(off, networks.probe("c1", "172.17.0.3", Protocol.ARP)).stop
    assert stop is not None
    assert (stop.code, stop.place.namespace, stop.fix) == ("arp-disabled", name, ("ip link set dev eth0 arp on",))


@pytest.mark.parametrize(
    ("kind", "text", "stopped"),
    [
        ("bfifo", "qdisc bfifo 1: root limit 10", True), ("bfifo", "qdisc bfifo 1: root limit 98", False),
        ("pfifo", "qdisc pfifo 1: root limit 0", True), ("pfifo", "qdisc pfifo 1: root limit 1", False),
        ("tbf", "qdisc tbf 1: root rate 8bit limit 20b", True), ("fq_codel", "qdisc fq_codel 0: root limit 0p", False),
    ],
)  # fmt: skip
def test_a_queue_without_room_for_one_packet_drops_it(kind: str, text: str, stopped: bool) -> None:
    """84 bytes of IP are a frame of 98."""
    snapshot = relinked(tutorial(), "host", "eth0", qdiscs=(Qdisc(kind, "1:", "root", text),))
    found = predict(snapshot, probe(), ask=False)
    assert isinstance(found, Prediction)
    assert ((found.stop.code, found.stop.place.interface) if found.stop else None) == (("qdisc-drop", "eth0") if stopped else None)


@pytest.mark.parametrize(("mtu", "code"), [(1279, "ipv6-disabled"), (1280, None)])
def test_an_interface_too_short_for_ipv6_takes_none_in(mtu: int, code: str | None) -> None:
    """The link-local address of its neighbour is enough to send something there."""
    snapshot = relinked(tutorial(), "host", "br0", mtu=mtu)
    bridge, own = snapshot["host"].link_named("br0"), InterfaceAddress(2, "fd00:10::2", 64)
    assert bridge is not None
    known = Neighbour(2, "fd00:10::1", bridge.mac, "permanent")
    routes = (*snapshot["red"].routes, via("fd00:10::/64", None, 2), via("fd00:8::/64", "fd00:10::1", 2))
    snapshot = edited(snapshot, "red", addresses=(*snapshot["red"].addresses, own), routes=routes, neighbours=(known,))
    found = predict(snapshot, probe("red", "fd00:8::8", Protocol.ICMPV6), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    assert (found.stop.code == "ipv6-disabled") is (code is not None)


def test_routers_announce_themselves_on_no_bridge_of_cables():
    """A host of containers has accept_ra off on each engine's bridge: that is no reason for a missing route."""
    host = tutorial()["host"]
    deaf = {f"net.ipv6.conf.{link.name}.accept_ra": "0" for link in host.links}
    own = (*host.addresses, InterfaceAddress(4, "fd00:203::2", 64))
    assert {link.kind for link in host.links} >= {"bridge", "veth"}
    stop = predicted(edited(tutorial(), "host", sysctls=host.sysctls | deaf, addresses=own), probe("host", "2001:db8::8")).stop
    assert stop is not None
    assert stop.code == "no-route"
    assert [line for line in stop.proof if ".docker0." in line or ".br0." in line] == []
    assert "net.ipv6.conf.eth0.accept_ra = 0: routes that routers announce there are not taken" in stop.proof


def test_without_arp_a_packet_leaves_for_nobody() -> None:
    """The interface's own MAC stands for the next hop's (arp_constructor)."""
    outcome = predicted(relinked(tutorial(), "red", "eth0", arp=False), networks.probe())
    assert outcome.stop is not None
    assert outcome.stop.code == "arp-disabled"
    assert [(hop.stage, hop.bound) for hop in outcome.request.hops] == [(Stage.TRANSMIT, "out")]
