"""Two objects at once of which one is the way of a tunnel: what both nodes know of each other tells what it was."""

from __future__ import annotations

import pytest
from diagnose.test_rather_two import ruled
from diagnose.test_repair import lost_in
from diagnose.test_repair_whole import after, ask, said
from diagnose.test_repair_whole import lost as loss_of
from diagnose.test_two_at_once import named
from diagnose.test_who_is_meant import routed_overlay
from msgspec.structs import replace
from predict.networks import MAC, RULES, edited, lo, local, port, tutorial, veth, via

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import stop
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.model import (
    Bridge,
    BridgePort,
    FdbEntry,
    FindOthers,
    FoundPeer,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    Ruleset,
    Snapshot,
    Stage,
    Vxlan,
)
from netprobe.model.lookup import all_but, where
from netprobe.predict.drop import lost
from netprobe.predict.fixes import bridge_port


def test_a_node_has_the_address_from_which_its_tunnel_sends_though_nothing_gets_there() -> None:
    """The other node sends to it as well; else both would have to learn its new address."""
    network = after(
        routed_overlay(),
        "node2: ip address del 192.168.50.2/24 dev u0",
        "node2: ip address add 192.168.50.18/24 dev u0",
        "pod2: ip address del 10.244.2.2/24 dev eth0",
        "pod2: ip address add 10.244.2.2/24 dev lo",
    )
    for name, there in network.namespaces.items():
        network = edited(network, name, neighbours=where(there.neighbours, state="permanent"))
    found = named(network, "pod1", "10.244.2.2")
    assert ["node2: ip address add 192.168.50.2/24 dev u0"] in found
    assert [lines[0] for lines in found if lines[0].startswith("pod2")] == ["pod2: ip address del 10.244.2.2/24 dev lo"]
    assert len(found) == 2


def test_a_route_by_a_tunnel_is_gone_and_the_other_node_has_a_wrong_gateway() -> None:
    """Its entry for who is there tells the address; around the tunnel a way could be added, which nobody had. A pod is no node."""
    network = routed_overlay()
    node, link = network["node1"], network["node1"].link_named("flannel.1")
    assert link is not None
    entries = [each for each in node.neighbours if each.index == link.index]
    network = edited(network, "node1", neighbours=all_but(node.neighbours, entries))
    network = after(
        network,
        "node1: ip route del 10.244.2.0/24 via 10.244.2.0 dev flannel.1",
        "node2: ip route replace 10.244.1.0/24 via 10.244.1.2 dev flannel.1 onlink",
    )
    assert [lines[-1] for lines in named(network, "node1", "10.244.2.2")] == [
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        "node2: ip route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
    ]


INTO_ITSELF = "node1: ip route add 192.168.50.2/32 via 10.244.2.0 dev flannel.1 onlink"


def test_a_route_that_leads_the_packets_of_a_tunnel_into_itself_goes() -> None:
    network = after(routed_overlay(), INTO_ITSELF)
    assert named(network, "node1", "10.244.2.2") == [["node1: ip route del 192.168.50.2/32 via 10.244.2.0 dev flannel.1"]]


def test_of_a_tunnel_into_itself_the_other_end_need_not_be_in_sight() -> None:
    network = after(routed_overlay(), INTO_ITSELF)
    near = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name in ("node1", "pod1")})
    found = lost_in(near, "node1", "10.244.2.2")
    assert found.stop is not None
    assert "192.168.50.2" in [each.dst for each in Loss.of(near, found, found.stop).decisions]


@pytest.mark.parametrize(("kind", "merit"), [("vxlan", Merit.GOES_AROUND), ("veth", Merit.UNDOES)])
def test_what_came_out_of_a_tunnel_does_not_go_back_into_it(kind: str, merit: Merit) -> None:
    """Its nodes hand on nothing for each other: who sent it there is wrong."""
    network = edited(tutorial(), "host", links=(*tutorial()["host"].links, replace(port(8, "p1", 9, 9, 5), kind=kind)))
    link = network["host"].link_named("p1")
    assert link is not None
    fix = (bridge_port(link, "hairpin", "on"),)
    end = lost("fdb-wrong-entry", "host", link, Stage.BRIDGE_FORWARD, "p1 does not send back what came by it", fix=fix)
    loss = Loss.of(network, lost_in(edited(network, "c1", routes=()), "c1", "8.8.8.8"), end)
    assert [each.merit for each in stop.candidates(loss)] == [merit]


OLD, NEW = "02:00:00:00:42:02", "02:00:00:00:42:77"


def with_another_mac(*telling: str) -> Snapshot:
    """The tunnel's device of node2 has got another MAC than it had, which others were told."""
    entry = "ip neigh replace 10.244.1.0 lladdr 02:00:00:00:42:01 dev flannel.1 nud permanent"
    network = after(routed_overlay(), f"node2: ip link set dev flannel.1 address {NEW}", f"node2: {entry}")
    for name in telling:
        known = (Neighbour(2, "10.244.2.0", OLD, "permanent"),)
        network = network.with_namespace(Namespace(name, neighbours=known))
    return network


def test_a_device_has_the_mac_that_several_nodes_were_told() -> None:
    """With its MAC an interface loses the neighbours that somebody wrote (neigh_changeaddr)."""
    assert named(with_another_mac("node3"), "pod1", "10.244.2.2") == [
        [
            f"node2: ip link set dev flannel.1 address {OLD}",
            "node2: ip neigh replace 10.244.1.0 lladdr 02:00:00:00:42:01 dev flannel.1 nud permanent",
        ]
    ]


def test_a_single_node_that_was_told_another_mac_learns_the_new_one() -> None:
    assert named(with_another_mac(), "pod1", "10.244.2.2")[0][0].startswith(f"node1: ip neigh replace 10.244.2.0 lladdr {NEW}")


@pytest.mark.parametrize(("mac", "whole"), [(NEW, False), (None, True)])
def test_a_station_that_is_known_by_another_mac_did_not_go_with_the_route_to_it(mac: str | None, whole: bool) -> None:
    """Of one that nobody has found there the entry went."""
    network = after(routed_overlay(), "node2: ip address del 10.244.2.0/32 dev flannel.1")
    device = network["node2"].link_named("flannel.1")
    assert device is not None
    entry = Neighbour(device.index, "10.244.1.0", mac, "stale" if mac else "failed")
    network = edited(network, "node2", neighbours=(*network["node2"].neighbours, entry))
    put = "node2: ip neigh replace 10.244.1.0 lladdr 02:00:00:00:42:01 dev flannel.1 nud permanent"
    found = named(network, "pod1", "10.244.2.2")
    assert [put in each for each in found] == ([True] if whole else [False, True])
    assert "node2: ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink" in found[0]


@pytest.mark.parametrize(("known", "right"), [(True, True), (False, False)])
def test_the_end_of_a_tunnel_has_another_address_than_the_other_node_was_told(known: bool, right: bool) -> None:
    """What led by it went with its own; a gateway of which nothing is known may be mistyped there."""
    lines = ("ip address del 10.244.2.0/32 dev flannel.1", "ip address add 8.244.2.0/32 dev flannel.1")
    network = after(routed_overlay(), *(f"node2: {line}" for line in lines))
    if not known:
        network = edited(
            network, "node1", neighbours=all_but(network["node1"].neighbours, where(network["node1"].neighbours, address="10.244.2.0"))
        )
    found = named(network, "pod1", "10.244.2.2")
    first = ["node2: ip address add 10.244.2.0/32 dev flannel.1", "node2: ip address del 8.244.2.0/32 dev flannel.1"]
    assert (found[0][:2] == first) is right
    assert len(found) == 1 or not right


@pytest.mark.parametrize("kind", ["prohibit", "unreachable", "blackhole"])
def test_a_route_that_refuses_stands_in_the_place_of_one_by_a_tunnel(kind: str) -> None:
    """Around the tunnel the nodes would reach each other as well, and nothing that the other one drops of it."""
    lines = ("ip route del 10.244.2.0/24 via 10.244.2.0 dev flannel.1", f"ip route add {kind} 10.244.2.0/24")
    network = after(routed_overlay(), *(f"node1: {line}" for line in lines))
    asked = ask("pod1", "10.244.2.2")
    for dropping in ((), ("-A INPUT -j DROP",)):
        dropped = ruled(network, "node2", "filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *dropping)
        found = choice.choose(dropped, *loss_of(dropped, asked))
        assert (found.stop.code, found.stop.thing.id) == (f"route-{kind}", f"{kind} 10.244.2.0/24")
        assert said(found) == ["node1: ip route replace 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"]


def of_an_engine(number: int, *known: FdbEntry) -> tuple[Namespace, ...]:
    """A node, the namespace into which its engine has moved the device of an overlay, and a container there."""
    loopback, own = lo()
    eth0 = veth(2, "eth0", MAC.format(7, number), 2, 0)
    outer, inner = f"192.168.0.{number}", f"10.0.9.{number}"
    node = Namespace(f"node{number}", links=(loopback, eth0), addresses=(*own, InterfaceAddress(2, outer, 24)),
                     routes=(*local(outer), via("192.168.0.0/24", None, 2)), rules=RULES, ruleset=Ruleset())  # fmt: skip
    device = Link(3, "vxlan0", "vxlan", MAC.format(8, number), master=2, link=LinkRef(0, 0), port=BridgePort(),
                  vxlan=Vxlan(4097, flags=("proxy",)))  # fmt: skip
    bridge = Link(2, "br0", "bridge", MAC.format(6, number), bridge=Bridge())
    told = Neighbour(3, f"10.0.9.{3 - number}", MAC.format(4, 3 - number), "permanent")
    overlay = Namespace(f"overlay{number}", links=(loopback, bridge, device, port(4, "veth0", 2, 1, 2)), addresses=own,
                        routes=local(), rules=RULES, ruleset=Ruleset(), neighbours=(told,), fdb=known)  # fmt: skip
    cable = veth(2, "eth0", MAC.format(4, number), 4, 0)
    container = Namespace(f"c{number}", links=(loopback, cable), addresses=(*own, InterfaceAddress(2, inner, 24)),
                          routes=(*local(inner), via("10.0.9.0/24", None, 2)), rules=RULES, ruleset=Ruleset())  # fmt: skip
    return node, overlay, container


def overlays(*known: FdbEntry) -> Snapshot:
    """Two nodes on a wire; what the first one knows of stations of the other one."""
    back = FdbEntry(3, MAC.format(4, 1), state="permanent", remote="192.168.0.1")
    spaces = (*of_an_engine(1, *known), *of_an_engine(2, back))
    peers = [FoundPeer("node1", 0, "node2"), FoundPeer("node2", 0, "node1")]
    for number in (1, 2):
        peers += [FoundPeer(f"overlay{number}", 0, f"node{number}"), FoundPeer(f"overlay{number}", 1, f"c{number}")]
        peers += [FoundPeer(f"c{number}", 0, f"overlay{number}")]
    return Snapshot({each.name: each for each in spaces}, tuple(peers))


@pytest.mark.parametrize(("known", "how"), [(["192.168.0.9"], "replace"), ([], "append")])
def test_a_device_that_was_moved_sends_from_where_it_was_made(known: list[str], how: str) -> None:
    """Stations are written there one by one: what is for one is not sent to everybody."""
    there = MAC.format(4, 2)
    network = overlays(*(FdbEntry(3, there, state="permanent", remote=each) for each in known))
    fix = f"overlay1: bridge fdb {how} {there} dev vxlan0 dst 192.168.0.2"
    assert named(network, "c1", "10.0.9.2") == [[fix]]


def test_a_station_of_which_a_tunnel_was_told_is_looked_for_among_those_whom_nobody_has_come_to() -> None:
    network = overlays(FdbEntry(3, MAC.format(4, 2), state="permanent", remote="192.168.0.9"))
    near = {name: each for name, each in network.namespaces.items() if name in ("c1", "overlay1", "node1", "node2")}
    peers = tuple(each for each in network.peers if {each.namespace, each.peer} <= {*near})
    alone = Snapshot(near, peers)
    needs = choice.lacking(alone, loss_of(alone, ask("c1", "10.0.9.2"))[0])
    assert FindOthers("overlay1") in needs


def test_a_device_that_answers_itself_is_told_of_the_station_behind_another_one() -> None:
    """As an engine tells each node of the containers of the others; nobody else is asked."""
    there = MAC.format(4, 2)
    network = edited(overlays(FdbEntry(3, there, state="permanent", remote="192.168.0.2")), "overlay1", neighbours=())
    assert named(network, "c1", "10.0.9.2") == [[f"overlay1: ip neigh replace 10.0.9.2 lladdr {there} dev vxlan0 nud permanent"]]
    near = {name: each for name, each in network.namespaces.items() if name in ("c1", "overlay1", "node1", "node2")}
    alone = Snapshot(near, tuple(each for each in network.peers if {each.namespace, each.peer} <= {*near}))
    assert FindOthers("overlay1") in choice.lacking(alone, loss_of(alone, ask("c1", "10.0.9.2"))[0])


def end(name: str, number: int) -> Namespace:
    """An end of a tunnel behind a router, which sends to, and from, an address on the loopback."""
    loopback, own = lo()
    vxlan = Vxlan(7, local=f"192.168.9.{number}", remote=f"192.168.9.{3 - number}")
    links = (loopback, veth(2, "eth0", MAC.format(7, number), 1 + number, 0), Link(3, "vx0", "vxlan", MAC.format(8, number), vxlan=vxlan))
    placed = ((1, f"192.168.9.{number}", 32), (2, f"192.168.{number}.1", 24), (3, f"10.9.0.{number}", 24))
    near = (via(f"192.168.{number}.0/24", None, 2), via("10.9.0.0/24", None, 3))
    routes = (*local(*(address for _, address, _ in placed)), *near, via("0.0.0.0/0", f"192.168.{number}.254", 2))
    addresses = (*own, *(InterfaceAddress(*each) for each in placed))
    forwarded = (FdbEntry(3, "00:00:00:00:00:00", state="permanent", remote=f"192.168.9.{3 - number}"),)
    return Namespace(name, links=links, addresses=addresses, routes=routes, rules=RULES, ruleset=Ruleset(), fdb=forwarded, neighbours=())


def routed_below() -> Snapshot:
    """A tunnel between two ends, and a router between them that knows nothing of it."""
    loopback, own = lo()
    sides = (InterfaceAddress(2, "192.168.1.254", 24), InterfaceAddress(3, "192.168.2.254", 24))
    near = (via("192.168.1.0/24", None, 2), via("192.168.2.0/24", None, 3))
    far = (via("192.168.9.1/32", "192.168.1.1", 2), via("192.168.9.2/32", "192.168.2.1", 3))
    links = (loopback, veth(2, "ra", MAC.format(9, 1), 2, 0), veth(3, "rb", MAC.format(9, 2), 2, 1))
    routes = (*local("192.168.1.254", "192.168.2.254"), *near, *far)
    on = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.ra.forwarding": "1", "net.ipv4.conf.rb.forwarding": "1"}
    between = Namespace(
        "r", links=links, addresses=(*own, *sides), routes=routes, rules=RULES, ruleset=Ruleset(), sysctls=on, neighbours=()
    )
    peers = (FoundPeer("a", 0, "r"), FoundPeer("b", 0, "r"), FoundPeer("r", 0, "a"), FoundPeer("r", 1, "b"))
    return Snapshot({"a": end("a", 1), "b": end("b", 2), "r": between}, peers)


@pytest.mark.parametrize("number", [1, 2])
def test_the_router_between_the_ends_of_a_tunnel_has_no_route_or_a_wrong_one(number: int) -> None:
    """What the tunnel carries never comes to it: no entry of a device is wrong, and no route that leads to the router."""
    right = f"192.168.9.{number}/32 via 192.168.{number}.1 dev r{'ab'[number - 1]}"
    wrong = f"192.168.9.{number}/32 via 192.168.{3 - number}.1 dev r{'ba'[number - 1]}"
    assert named(routed_below(), "a", "10.9.0.2") == []
    ((gone,),) = named(after(routed_below(), f"r: ip route del {right}"), "a", "10.9.0.2")
    assert gone in (f"r: ip route add {right}", f"r: ip route add default via 192.168.{number}.1")
    assert named(after(routed_below(), f"r: ip route replace {wrong}"), "a", "10.9.0.2") == [[f"r: ip route replace {right}"]]


def test_a_device_that_answers_for_its_stations_was_told_of_another_ones_mac() -> None:
    """Who was answered so keeps it for a while."""
    known = [FdbEntry(3, MAC.format(4, each), state="permanent", remote="192.168.0.2") for each in (2, 7)]
    told = (Neighbour(3, "10.0.9.2", MAC.format(4, 7), "permanent"),)
    fix = [f"overlay1: ip neigh replace 10.0.9.2 lladdr {MAC.format(4, 2)} dev vxlan0 nud permanent"]
    said = named(edited(overlays(*known), "overlay1", neighbours=told), "c1", "10.0.9.2")
    assert said == [[*fix, "c1: ip neigh flush to 10.0.9.2 dev eth0"]]
