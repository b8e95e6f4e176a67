"""Where the far end is out of sight: the answer comes in where the request went out, and goes up the way that it came down."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, lo, local, port, probe, veth, via

from netprobe.model import (
    Bridge,
    BridgePort,
    End,
    FdbEntry,
    FoundMacvlans,
    FoundPeer,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    Nexthop,
    Probe,
    Protocol,
    Route,
    Ruleset,
    Snapshot,
    Vxlan,
    Walk,
)
from netprobe.predict.predict import Prediction, predict
from netprobe.rules.read.iptables_save import read_save

STRICT = {"net.ipv4.conf.all.rp_filter": "1", "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
NETWORK = {4: ("10.1.0.{}", 24), 6: ("fd00:1::{}", 64)}


def space(
    name: str, *links: Link, addresses: tuple[tuple[int, int], ...] = (), version: int = 4, routes: tuple[Route, ...] = ()
) -> Namespace:
    """A namespace that checks sources strictly; `addresses` as (ifindex, host number) in one network."""
    text, length = NETWORK[version]
    loopback, own = lo()
    given = tuple(InterfaceAddress(index, text.format(host), length) for index, host in addresses)
    network = text.format(0) if version == 4 else "fd00:1::"
    on_link = tuple(via(f"{network}/{length}", None, index) for index, _ in addresses)
    mine = local(*(a.address for a in given))
    return Namespace(name, links=(loopback, *links), addresses=(*own, *given), routes=(*mine, *on_link, *routes), rules=RULES,
                     sysctls=STRICT, ruleset=Ruleset())  # fmt: skip


UPLINK = Link(4, "ens3", "", MAC.format(2, 4))
BEHIND = (FoundPeer("c1", 0, "host"), FoundPeer("host", 1, "c1"))


def on_a_bridge(version: int) -> Snapshot:
    c1 = space("c1", veth(2, "eth0", MAC.format(4, 1), 3, 0), addresses=((2, 2),), version=version)
    bridge = Link(2, "br0", "bridge", MAC.format(2, 2), bridge=Bridge())
    host = space("host", bridge, port(3, "veth0", 2, 1, 2), replace(UPLINK, master=2, port=BridgePort()))
    return Snapshot({"c1": c1, "host": host}, BEHIND)


def upon_the_uplink(kind: str, version: int, **more: object) -> Snapshot:
    """A container whose interface stands on the host's uplink itself, as Docker's macvlan and ipvlan networks make it."""
    mac = MAC.format(2, 4) if kind == "ipvlan" else MAC.format(5, 1)
    c1 = space("c1", Link(2, "eth0", kind, mac, link=LinkRef(4, 0), **more), addresses=((2, 2),), version=version)  # type: ignore[arg-type]
    return Snapshot({"c1": c1, "host": space("host", UPLINK)}, BEHIND, macvlans=(FoundMacvlans("host", 4, ("c1",)),))


def by_a_vlan(version: int, lower: Link = UPLINK, *more: Link) -> Snapshot:
    tagged = Link(6, "lan.5", "vlan", MAC.format(2, 4), link=LinkRef(lower.index), vlan_id=5)
    other = replace(tagged, index=7, name="lan.6", vlan_id=6)
    return Snapshot({"c1": space("c1", lower, other, tagged, *more, addresses=((6, 2),), version=version)})


def by_a_vlan_of_a_bridge(version: int) -> Snapshot:
    bridge = Link(2, "br0", "bridge", MAC.format(2, 4), bridge=Bridge())
    return by_a_vlan(version, bridge, replace(UPLINK, master=2, port=BridgePort()))


def by_a_tunnel(version: int) -> Snapshot:
    tunnel = Link(3, "vx0", "vxlan", MAC.format(8, 1), mtu=1450, vxlan=Vxlan(7, remote="192.168.0.2"))
    c1 = space("c1", UPLINK, tunnel, addresses=((3, 2),), version=version, routes=(via("192.168.0.0/24", None, 4), *local("192.168.0.1")))
    addresses = (*c1.addresses, InterfaceAddress(4, "192.168.0.1", 24))
    ends = (FdbEntry(3, "00:00:00:00:00:00", state="permanent", remote="192.168.0.2"),)
    return Snapshot({"c1": replace(c1, addresses=addresses, fdb=ends)})


SHAPES = {
    "bridge": (on_a_bridge, ["host/ens3", "host/veth0", "c1/eth0", "c1/eth0"]),
    "macvlan": (lambda v: upon_the_uplink("macvlan", v, macvlan_mode="bridge"), ["host/ens3", "c1/eth0", "c1/eth0"]),
    "private macvlan": (lambda v: upon_the_uplink("macvlan", v, macvlan_mode="private"), ["host/ens3", "c1/eth0", "c1/eth0"]),
    "ipvlan": (lambda v: upon_the_uplink("ipvlan", v), ["host/ens3", "c1/eth0", "c1/eth0"]),
    "vlan": (by_a_vlan, ["c1/ens3", "c1/lan.5", "c1/lan.5"]),
    "vlan of a bridge": (by_a_vlan_of_a_bridge, ["c1/ens3", "c1/br0", "c1/lan.5", "c1/lan.5"]),
    "tunnel": (by_a_tunnel, ["c1/ens3", "c1/ens3", "c1/vx0", "c1/vx0"]),
}


def walked(snapshot: Snapshot, asked: Probe) -> tuple[Walk, Walk]:
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction), found
    assert found.reply is not None
    return found.request, found.reply


def places(walk: Walk) -> list[str]:
    return [f"{hop.namespace}/{hop.interface}" for hop in walk.hops]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_answer_goes_up_as_the_request_came_down(shape: str, version: int) -> None:
    """Each with strict source checks, which an answer at the wrong interface would not pass."""
    make, back = SHAPES[shape]
    destination, protocol = NETWORK[version][0].format(99), Protocol.ICMPV6 if version == 6 else Protocol.ICMP
    request, reply = walked(make(version), probe("c1", destination, protocol))
    assert (request.end, reply.end, reply.stop) == (End.EXIT, End.DELIVER, None)
    assert places(reply) == back
    assert [place for place in places(request) if place.endswith("/ens3")][-1] == places(request)[-1]
    assert [hop.stage.value for hop in request.hops].count("exit") == 1


@pytest.mark.parametrize("shape", ["bridge", "macvlan", "ipvlan", "vlan"])
def test_who_has_it(shape: str) -> None:
    """The same for an ARP request to a station out of sight."""
    request, reply = walked(SHAPES[shape][0](4), probe("c1", "10.1.0.99", Protocol.ARP))
    assert (request.end, reply.end) == (End.EXIT, End.DELIVER)
    assert places(reply) == SHAPES[shape][1]


def test_a_node_of_a_cluster() -> None:
    """As flannel makes it: a container on a bridge, routes to the other nodes' networks by a tunnel device without learning."""
    routes = (via("0.0.0.0/0", "10.1.0.1", 2),)
    c1 = space("c1", veth(2, "eth0", MAC.format(4, 1), 6, 0), addresses=((2, 5),), routes=routes)
    tunnel = Link(3, "flannel.1", "vxlan", MAC.format(8, 1), mtu=1450, vxlan=Vxlan(1, local="192.168.0.1", port=8472))
    bridge = Link(5, "cni0", "bridge", MAC.format(2, 5), bridge=Bridge())
    away = Route("10.244.1.0/24", nexthops=(Nexthop(3, "10.244.1.0", flags=("onlink",)),))
    node = space("host", UPLINK, tunnel, bridge, port(6, "veth1", 2, 1, 5), addresses=((5, 1),),
                 routes=(via("192.168.0.0/24", None, 4), *local("192.168.0.1", "10.244.0.0"), away))  # fmt: skip
    node = replace(
        node,
        addresses=(*node.addresses, InterfaceAddress(4, "192.168.0.1", 24), InterfaceAddress(3, "10.244.0.0", 32)),
        neighbours=(Neighbour(3, "10.244.1.0", MAC.format(8, 2), "permanent"),),
        fdb=(FdbEntry(3, MAC.format(8, 2), remote="192.168.0.2", state="permanent"),),
    )
    request, reply = walked(Snapshot({"c1": c1, "host": node}, BEHIND), probe("c1", "10.244.1.7"))
    assert (request.end, reply.end) == (End.EXIT, End.DELIVER)
    assert places(request)[-3:] == ["host/flannel.1", "host/ens3", "host/ens3"]
    assert places(reply)[:3] == ["host/ens3", "host/ens3", "host/flannel.1"]
    assert reply.hops[0].note.startswith("in a VXLAN packet from 192.168.0.2")
    # what the node's own filter lets in by the tunnel's port counts: such a packet answers nothing, it is new
    answers, tunnels = "-m conntrack --ctstate RELATED,ESTABLISHED", "-p udp -m udp --dport 8472"
    for match, code in ((answers, "policy-drop"), (tunnels, None)):
        saved = f"*filter\n:INPUT DROP [0:0]\n-A INPUT {match} -j ACCEPT\nCOMMIT"
        filtered = replace(node, ruleset=Ruleset(tables=tuple(read_save(saved, "iptables", "ip")), queues=()))
        _, reply = walked(Snapshot({"c1": c1, "host": filtered}, BEHIND), probe("c1", "10.244.1.7"))
        assert (reply.stop.code if reply.stop else None) == code


@pytest.mark.parametrize("found", [(FoundPeer("c9", 6, None, "permission denied"),), ()], ids=["not allowed to look", "not asked"])
def test_a_macvlan_of_somebody_else_does_not_matter(found: tuple[FoundPeer, ...]) -> None:
    """It stands on some interface 4, perhaps this one; but the frame does not bear its address."""
    snapshot = upon_the_uplink("macvlan", 4, macvlan_mode="bridge")
    c9 = space("c9", Link(2, "eth0", "macvlan", MAC.format(5, 9), link=LinkRef(4, 6)))
    snapshot = replace(snapshot.with_namespace(c9), peers=(*snapshot.peers, *found))
    _, reply = walked(snapshot, probe("c1", "10.1.0.99"))
    assert reply.end is End.DELIVER
