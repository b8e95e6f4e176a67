"""What a tunnel's device is set to: its TTL, the interface that it is bound to, who answers for its neighbours, checksums."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, probe, relinked, veth, via
from tunnelled import default, pair, request, side

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair.choice import choose
from netprobe.model import (
    Cause,
    End,
    FdbEntry,
    FindMacvlans,
    FoundMacvlans,
    FoundPeer,
    InterfaceAddress,
    LinkRef,
    Namespace,
    Neighbour,
    PolicyRule,
    ReadNamespace,
    Ruleset,
    Snapshot,
    Vxlan,
)
from netprobe.predict.predict import Prediction, predict


def routed() -> Snapshot:
    """The two ends with a router between them, which is the gateway of both."""
    nodes = {}
    for name, number in (("a", 1), ("b", 2)):
        node = side(name, number)
        own = tuple(replace(each, address=f"192.168.{number}.1") if each.index == 2 else each for each in node.addresses)
        routes = (*local(f"192.168.{number}.1", f"10.9.0.{number}"), via(f"192.168.{number}.0/24", None, 2), via("10.9.0.0/24", None, 3),
                  via("0.0.0.0/0", f"192.168.{number}.254", 2))  # fmt: skip
        links = tuple(
            replace(link, vxlan=Vxlan(7, local=f"192.168.{number}.1", remote=f"192.168.{3 - number}.1")) if link.vxlan else link
            for link in node.links
        )
        wire = (replace(link, link=LinkRef(number + 1, 0)) if link.index == 2 else link for link in links)
        ends = (default(3, f"192.168.{3 - number}.1"),)
        nodes[name] = replace(node, addresses=own, routes=routes, links=tuple(wire), fdb=ends)
    loopback, own = lo()
    links = (loopback, veth(2, "ua", MAC.format(7, 8), 2, 1), veth(3, "ub", MAC.format(7, 9), 2, 2))
    addresses = (*own, InterfaceAddress(2, "192.168.1.254", 24), InterfaceAddress(3, "192.168.2.254", 24))
    routes = (*local("192.168.1.254", "192.168.2.254"), via("192.168.1.0/24", None, 2), via("192.168.2.0/24", None, 3))
    nodes["mid"] = Namespace("mid", links=links, addresses=addresses, routes=routes, rules=RULES, ruleset=Ruleset(),
                             sysctls={"net.ipv4.ip_forward": "1"})  # fmt: skip
    peers = (FoundPeer("a", 0, "mid"), FoundPeer("b", 0, "mid"), FoundPeer("mid", 1, "a"), FoundPeer("mid", 2, "b"))
    return Snapshot(nodes, peers)


def tunnelled(snapshot: Snapshot, **fields: object) -> Snapshot:
    """The snapshot with other settings of a's tunnel."""
    device = snapshot["a"].link_named("vx0")
    assert device is not None
    assert device.vxlan is not None
    return relinked(snapshot, "a", "vx0", vxlan=replace(device.vxlan, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "code", "fix"),
    [
        ({}, None, ""),
        ({"ttl": 2}, None, ""),
        ({"ttl": 1}, "ttl-expired", "ip link set dev vx0 type vxlan ttl 64"),
    ],
)
def test_a_tunnel_has_a_ttl_of_its_own(fields: dict[str, object], code: str | None, fix: str) -> None:
    """The packets of the tunnel die at the router; the device is what is to be changed."""
    snapshot = tunnelled(routed(), **fields)
    walk = request(snapshot)
    assert (walk.stop.code if walk.stop else None) == code
    if walk.stop is None:
        return
    assert (walk.stop.place.namespace, walk.stop.object.kind if walk.stop.object else None) == ("a", "tunnel")
    assert [" ".join(command.words) for command in walk.stop.commands] == [fix]
    mended = mend(snapshot, walk.stop)
    assert mended is not None
    assert request(mended).stop is None


def bound(via: int) -> Snapshot:
    """The tunnel of `a` bound to eth0, or to eth1, which leads elsewhere: `ip link add vx0 type vxlan dev eth1`."""
    snapshot = pair()
    other = veth(4, "eth1", MAC.format(6, 1), 4, 1)
    entries = (FdbEntry(3, "00:00:00:00:00:00", state="permanent", remote="192.168.0.2", via=via),)
    snapshot = edited(snapshot, "a", links=(*snapshot["a"].links, other), fdb=entries)
    away = Namespace("away", links=(lo()[0], veth(4, "eth0", MAC.format(6, 2), 4, 0)), addresses=lo()[1], rules=RULES, ruleset=Ruleset())
    return replace(snapshot.with_namespace(away), peers=(*snapshot.peers, FoundPeer("a", 1, "away"), FoundPeer("away", 0, "a")))


def test_a_tunnel_that_is_bound_to_an_interface_sends_by_no_other() -> None:
    """Seen: with `dev e1` the kernel asks for the remote end on e1, though a route leads to it by e0."""
    assert request(bound(2)).end is End.DELIVER
    assert request(bound(4)).end is End.DROP


def test_its_entry_is_written_anew_for_any_interface() -> None:
    snapshot = bound(4)
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choose(snapshot, lost, lost.stop).stop
    assert (stop.code, stop.thing.id) == ("vxlan-remote-wrong", "vx0")
    assert [" ".join(command.words) for command in stop.commands] == [
        "bridge fdb del 00:00:00:00:00:00 dev vx0 dst 192.168.0.2 via eth1",
        "bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.168.0.2",
    ]


def proxied(*known: Neighbour) -> Snapshot:
    """The tunnel of `a` answers for its neighbours itself: `ip link add vx0 type vxlan proxy`."""
    snapshot = relinked(pair(), "a", "vx0", vxlan=Vxlan(7, remote="192.168.0.2", flags=("proxy",)))
    return edited(snapshot, "a", neighbours=known)


def test_a_tunnel_that_answers_for_its_neighbours_lets_nobody_ask_for_another() -> None:
    """Seen: with `proxy` what the neighbour table does not have is not flooded; a permanent entry is answered."""
    mac = MAC.format(8, 2)
    assert request(proxied(Neighbour(3, "10.9.0.2", mac, "permanent"))).end is End.DELIVER
    lost = predict(proxied(), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choose(proxied(), lost, lost.stop).stop
    assert (stop.code, stop.thing.id) == ("neigh-no-answer", "10.9.0.2 dev vx0")
    assert [" ".join(command.words) for command in stop.commands] == [f"ip neigh replace 10.9.0.2 lladdr {mac} dev vx0 nud permanent"]


def over_ipv6(first: tuple[str, ...], second: tuple[str, ...]) -> Snapshot:
    """The pair, whose tunnel goes over IPv6; each end with these settings."""
    snapshot = pair()
    for name, number, flags in (("a", 1, first), ("b", 2, second)):
        own, rules = f"fd00:50::{number}", (*RULES, PolicyRule(0, 6, table=255), PolicyRule(32766, 6, table=254))
        here = snapshot[name]
        of_the_kernel = tuple(replace(route, protocol="kernel") for route in here.routes)
        routes = (*of_the_kernel, *local(own), via("fd00:50::/64", None, 2))
        addresses = (*here.addresses, InterfaceAddress(2, own, 64))
        snapshot = edited(snapshot, name, routes=routes, addresses=addresses, rules=rules)
        snapshot = relinked(snapshot, name, "vx0", vxlan=Vxlan(7, local=own, remote=f"fd00:50::{3 - number}", flags=flags))
    return snapshot


SENDS, TAKES = "udp6zerocsumtx", "udp6zerocsumrx"


@pytest.mark.parametrize(
    ("first", "second", "at"),
    [
        ((), (), None), ((SENDS,), (TAKES,), None), ((SENDS, TAKES), (SENDS, TAKES), None), ((), (TAKES,), None),
        ((SENDS, TAKES), (SENDS,), "a"), ((SENDS, TAKES), (), "a"), ((TAKES,), (TAKES,), None), ((), (SENDS,), "b"),
    ],
)  # fmt: skip
def test_a_tunnel_over_ipv6_has_checksums_or_an_end_that_wants_none(
    first: tuple[str, ...], second: tuple[str, ...], at: str | None
) -> None:
    """net/ipv6/ip6_checksum.c, udp6_csum_init; vxlan(8) of ip-link."""
    snapshot = over_ipv6(first, second)
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert (lost.stop.place.namespace if lost.stop else None) == at
    if lost.stop is not None:
        found = choose(snapshot, lost, lost.stop).stop
        assert (found.code, found.thing.text) == ("vxlan-port-mismatch", f"vx0 vxlan id 7 {SENDS}")
        mended = mend(snapshot, Cause(found.code, found.place, "", commands=found.commands))
        assert mended is not None
        again = predict(mended, probe("a", "10.9.0.2"), ask=False)
        assert isinstance(again, Prediction)
        assert again.stop is None


def test_a_tunnel_that_a_program_holds_down() -> None:
    snapshot = relinked(pair(), "a", "vx0", protodown=True, carrier=False)
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert (lost.stop.code, lost.stop.thing.text) == ("link-no-carrier", "vx0 protodown on")
    mended = mend(snapshot, Cause(lost.stop.code, lost.stop.place, "", commands=lost.stop.commands))
    assert mended is not None
    again = predict(mended, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(again, Prediction)
    assert again.stop is None


OTHER = "192.168.0.9"


def by_hand(end: str, state: str = "permanent", **fields: object) -> Snapshot:
    """`a` has two addresses, and `b` has the station of `a` at this one: `bridge fdb add MAC dev vx0 dst END`."""
    snapshot = relinked(pair(), "b", "vx0", vxlan=Vxlan(7, remote=end, **fields))
    snapshot = edited(snapshot, "b", fdb=(default(3, end), FdbEntry(3, MAC.format(8, 1), state=state, remote=end)))
    addresses = (*snapshot["a"].addresses, InterfaceAddress(2, OTHER, 32))
    return edited(snapshot, "a", addresses=addresses, routes=(*snapshot["a"].routes, *local(OTHER)))


@pytest.mark.parametrize(
    ("end", "state", "learning", "passes"),
    [
        ("192.168.0.1", "permanent", True, True),
        (OTHER, "permanent", True, False),
        (OTHER, "static", True, False),
        (OTHER, "reachable", True, True),  # it moves
        (OTHER, "permanent", False, True),
    ],
)
def test_a_device_that_learns_takes_a_station_from_where_it_was_entered(end: str, state: str, learning: bool, passes: bool) -> None:
    """vxlan_snoop drops the frame: so lose what they send nodes of Swarm with two addresses (moby 53004)."""
    walk = request(by_hand(end, state, learning=learning))
    assert (walk.end is End.DELIVER) is passes
    if walk.stop is not None:
        assert (walk.stop.code, walk.stop.place.namespace) == ("vxlan-remote-wrong", "b")


def test_a_tunnel_sends_from_where_the_others_send_to() -> None:
    snapshot = by_hand(OTHER)
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    chosen = choose(snapshot, lost, lost.stop)
    assert (chosen.stop.code, chosen.stop.thing.id) == ("route-wrong-src", "vx0")
    lines = [f"ip link set dev vx0 type vxlan local {OTHER}", "ip route flush cache"]  # entries keep the source that they sent from
    assert [" ".join(command.words) for command in chosen.stop.commands] == lines
    assert chosen.others[0].stop.code == "vxlan-remote-wrong"


def test_where_one_end_has_moved_from_where_it_was_made_the_other_is_looked_for() -> None:
    """Docker's overlay networks have their devices in a namespace each, to which nothing leads from the host."""
    snapshot, asked = moved(), probe("oa", "10.9.0.2")
    assert predict(snapshot, asked) == (FindMacvlans("b", 0),)
    snapshot = replace(snapshot, macvlans=(FoundMacvlans("b", 0, ("ob",)),))
    assert predict(snapshot, asked) == (ReadNamespace("ob"),)
    found = predict(snapshot.with_namespace(overlay("ob", 2)), asked, ask=False)
    assert isinstance(found, Prediction)
    assert found.request.end is End.DELIVER


def moved() -> Snapshot:
    """The nodes of `pair`, and the namespace to which the device of `a` has moved."""
    snapshot = pair()
    for name in ("a", "b"):
        snapshot = edited(snapshot, name, links=snapshot[name].links[:2], fdb=())
    snapshot = snapshot.with_namespace(overlay("oa", 1))
    return replace(snapshot, peers=(*snapshot.peers, FoundPeer("oa", 5, "a"), FoundPeer("ob", 5, "b")))


def overlay(name: str, number: int) -> Namespace:
    """A namespace with the device of a node's, which knows the other's by hand."""
    own = side(name, number)
    device = replace(own.links[2], link=LinkRef(0, 5), vxlan=Vxlan(7, flags=("proxy",)))
    known = Neighbour(3, f"10.9.0.{3 - number}", MAC.format(8, 3 - number), "permanent")
    entry = FdbEntry(3, MAC.format(8, 3 - number), state="permanent", remote=f"192.168.0.{3 - number}")
    routes, addresses = (*local(f"10.9.0.{number}"), via("10.9.0.0/24", None, 3)), (*lo()[1], own.addresses[-1])
    return replace(own, links=(own.links[0], device), addresses=addresses, routes=routes, fdb=(entry,), neighbours=(known,))
