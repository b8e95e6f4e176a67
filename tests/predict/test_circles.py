"""Cables that make a circle: a frame crosses each interface once, takes the nearest way, and no question runs for ever."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, lo, local, port, probe, relinked, tutorial, via

from netprobe.diagnose.repair.choice import lacking
from netprobe.model import (
    Bridge,
    End,
    FdbEntry,
    Flow,
    FoundPeer,
    InterfaceAddress,
    Leg,
    Link,
    LinkRef,
    Namespace,
    Protocol,
    Snapshot,
    Stage,
    Vxlan,
)
from netprobe.predict.link import Segment
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.view import BROADCAST, Ground, Packet
from netprobe.predict.walk import Walker


class Wires:
    """Switches (a namespace with a bridge each) and stations, joined by veth pairs as they are asked for."""

    def __init__(self) -> None:
        self.links: dict[str, list[Link]] = {}
        self.addresses: dict[str, tuple[InterfaceAddress, ...]] = {}
        self.peers: list[FoundPeer] = []
        self._numbers = count(1)

    def switch(self, name: str) -> None:
        self.links[name] = [lo()[0], Link(2, "br0", "bridge", MAC.format(0x20, len(self.links)), bridge=Bridge())]

    def station(self, name: str, address: str, length: int, at: str) -> None:
        self.links[name] = [lo()[0]]
        self.addresses[name] = (InterfaceAddress(2, address, length),)
        self.cable(name, at)

    def cable(self, one: str, other: str) -> None:
        """A veth pair; an end in a switch is a port of its bridge. Each end calls the other namespace by a number of its own."""
        ends = [(name, len(self.links[name]) + 1) for name in (one, other)]
        for (name, index), (there, peer) in ((ends[0], ends[1]), (ends[1], ends[0])):
            number = next(self._numbers)
            self.peers.append(FoundPeer(name, number, there))
            if any(link.kind == "bridge" for link in self.links[name]):
                link = port(index, f"to-{there}-{index}", peer, number, 2)
                self.links[name].append(replace(link, mac=MAC.format(0x30, number)))
            else:
                self.links[name].append(Link(index, "eth0", "veth", MAC.format(0x40, number), link=LinkRef(peer, number)))

    def snapshot(self) -> Snapshot:
        spaces = {}
        for name, links in self.links.items():
            own = self.addresses.get(name, ())
            routes = [route for a in own for route in (*local(a.address), via(network(a), None, a.index))]
            spaces[name] = Namespace(name, links=tuple(links), addresses=own, routes=tuple(routes), rules=RULES)
        return Snapshot(spaces, tuple(self.peers))


def network(address: InterfaceAddress) -> str:
    return f"{address.address.rpartition('.')[0]}.0/{address.prefixlen}"


def two_switches(cables: int, address: str = "10.0.0.3") -> Snapshot:
    """a (10.0.0.2/24) at west, b at east, and so many cables between the two."""
    wires = Wires()
    wires.switch("west")
    wires.switch("east")
    for _ in range(cables):
        wires.cable("west", "east")
    wires.station("a", "10.0.0.2", 24, "west")
    wires.station("b", address, 24, "east")
    return wires.snapshot()


def spanning(snapshot: Snapshot) -> Snapshot:
    """The same with a spanning tree: all cables but the first are blocked at east."""
    blocked = [link for link in snapshot["east"].links if link.name.startswith("to-west")][1:]
    for link in blocked:
        assert link.port is not None
        snapshot = relinked(snapshot, "east", link.name, port=replace(link.port, state="blocking"))
    return snapshot


@pytest.fixture
def crossings(monkeypatch):
    """How often a frame was sent out of an interface, by walk."""
    counts: Counter[int] = Counter()
    walks = count()
    spread, transmit = Segment._spread, Segment._transmit

    def counted(self, first):
        self.walk = next(walks)
        return spread(self, first)

    def one_more(self, at):
        counts[self.walk] += 1
        return transmit(self, at)

    monkeypatch.setattr(Segment, "_spread", counted)
    monkeypatch.setattr(Segment, "_transmit", one_more)
    return counts


def shout(snapshot: Snapshot, name: str, barred: bool = True):
    link = snapshot[name].link_named("eth0")
    packet = Packet(Flow("10.0.0.2", "10.0.0.255", Protocol.OTHER, src_mac=link.mac, dst_mac=BROADCAST), Leg.REQUEST)
    return Walker(Ground(snapshot)).transmit(name, link, packet, barred=barred)


@pytest.mark.parametrize("cables", [1, 2, 3, 8])
@pytest.mark.parametrize("barred", [True, False])
def test_a_flood_crosses_each_interface_once_whatever_the_cables(crossings, cables, barred):
    snapshot = two_switches(cables)
    branches = shout(snapshot, "a", barred=barred)
    assert [branch.at[0] for branch in branches if branch.at is not None].count("b") == 1
    assert {branch.at[0] for branch in branches if branch.at is not None} >= {"b", "west", "east"}
    ports = sum(link.kind == "veth" for namespace in snapshot.namespaces.values() for link in namespace.links)
    assert 0 < sum(crossings.values()) <= ports


@pytest.mark.parametrize("cables", [2, 3])
@pytest.mark.parametrize("tree", [True, False])
@pytest.mark.parametrize(("dst", "there"), [("10.0.0.3", "10.0.0.3"), ("10.0.0.9", "10.0.0.3"), ("10.0.0.3", "10.0.9.3")])
def test_a_question_over_a_circle_ends(crossings, cables, tree, dst, there):
    """Three cables and an address of another subnet: the diagnosis looks behind blocked ports, and ran for ever."""
    snapshot = two_switches(cables, there)
    snapshot = spanning(snapshot) if tree else snapshot
    for protocol in (Protocol.ICMP, Protocol.ARP):
        outcome = predict(snapshot, probe("a", dst, protocol), ask=False)
        assert isinstance(outcome, Prediction)
        assert (outcome.stop is None) is (dst == there)
        lacking(snapshot, outcome)
    ports = sum(link.kind == "veth" for namespace in snapshot.namespaces.values() for link in namespace.links)
    assert max(crossings.values()) <= ports
    assert len(crossings) < 200


def test_of_three_switches_in_a_triangle_each_is_reached_by_its_own_cable():
    wires = Wires()
    for name in ("s1", "s2", "s3"):
        wires.switch(name)
    for one, other in (("s1", "s2"), ("s2", "s3"), ("s1", "s3")):
        wires.cable(one, other)
    for n in (1, 2, 3):
        wires.station(f"c{n}", f"10.0.0.{n}", 24, f"s{n}")
    snapshot = wires.snapshot()
    for start, end in (("c1", "c2"), ("c1", "c3"), ("c2", "c3"), ("c3", "c1")):
        [arrived] = [branch for branch in shout(snapshot, start) if branch.at is not None and branch.at[0] == end]
        assert list(dict.fromkeys(hop.namespace for hop in arrived.hops)) == [start, f"s{start[1]}", f"s{end[1]}", end]


def test_a_row_of_switches_has_no_length_at_which_it_becomes_a_circle():
    wires = Wires()
    names = [f"s{n}" for n in range(120)]
    for name in names:
        wires.switch(name)
    for one, other in pairwise(names):
        wires.cable(one, other)
    wires.station("a", "10.0.0.2", 24, names[0])
    wires.station("b", "10.0.0.3", 24, names[-1])
    outcome = predict(wires.snapshot(), probe("a", "10.0.0.3"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes


def test_a_unicast_frame_that_goes_round_is_said_to_do_so_once():
    """Each bridge has the MAC behind the next one: nobody ever gets the frame."""
    wires = Wires()
    for name in ("s1", "s2", "s3"):
        wires.switch(name)
    for one, other in (("s1", "s2"), ("s2", "s3"), ("s3", "s1")):
        wires.cable(one, other)
    wires.station("a", "10.0.0.2", 24, "s1")
    snapshot = wires.snapshot()
    mac = "02:00:00:00:ff:01"
    for name, following in (("s1", "s2"), ("s2", "s3"), ("s3", "s1")):
        out = next(link for link in snapshot[name].links if link.name.startswith(f"to-{following}"))
        snapshot = snapshot.with_namespace(replace(snapshot[name], fdb=(FdbEntry(out.index, mac, master=2, state="reachable"),)))
    link = snapshot["a"].link_named("eth0")
    packet = Packet(Flow("10.0.0.2", "10.0.0.3", Protocol.OTHER, src_mac=link.mac, dst_mac=mac), Leg.REQUEST)
    [branch] = Walker(Ground(snapshot)).transmit("a", link, packet)
    assert branch.stop is not None
    assert branch.stop.code == "route-loop"
    assert [hop.namespace for hop in branch.hops if hop.stage is Stage.BRIDGE_PREROUTING] == ["s1", "s2", "s3", "s1"]


def test_a_tunnel_whose_packets_are_routed_into_itself_is_a_loop_and_no_recursion():
    loopback, own = lo()
    vx = Link(2, "vx0", "vxlan", MAC.format(5, 2), vxlan=Vxlan(7, remote="10.0.0.3"))
    namespace = Namespace("a", links=(loopback, vx), addresses=(*own, InterfaceAddress(2, "10.0.0.2", 24)), rules=RULES,
                          routes=(*local("10.0.0.2"), via("10.0.0.0/24", None, 2)))  # fmt: skip
    outcome = predict(Snapshot({"a": namespace}), probe("a", "10.0.0.3"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.request.end is End.DROP
    assert outcome.stop is not None


def test_what_lies_behind_all_ports_is_asked_for_at_once():
    snapshot = two_switches(3)
    unknown = replace(snapshot, peers=tuple(p for p in snapshot.peers if p.namespace != "west"))
    needs = predict(unknown, probe("a", "10.0.0.3"), ask=False)
    assert not isinstance(needs, Prediction)
    assert len(needs) == 3  # the three cables to east; the way back to a is known from there


@pytest.mark.parametrize(
    ("state", "sticky", "learning", "passes"),
    [
        ("reachable", False, True, True),
        ("static", False, True, True),
        ("reachable", True, True, False),  # it stays where it was put
        ("reachable", False, False, False),  # the port learns nothing
    ],
)
def test_the_request_teaches_a_bridge_where_its_sender_is(state: str, sticky: bool, learning: bool, passes: bool) -> None:
    """The FDB still has c1 behind the port of c2, where it was before (br_fdb_update)."""
    snapshot = tutorial()
    old = FdbEntry(7, MAC.format(4, 1), 5, state=state, sticky=sticky)
    links = tuple(
        replace(link, port=replace(link.port, learning=learning)) if link.name == "vethc1" else link for link in snapshot["host"].links
    )
    snapshot = snapshot.with_namespace(replace(snapshot["host"], fdb=(old,), links=links))
    outcome = predict(snapshot, probe("c1", "172.17.0.1"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes is passes
