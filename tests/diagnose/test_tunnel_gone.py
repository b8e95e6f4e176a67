"""A VXLAN device that is missing at the near end, made as the other node knows it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from test_repair_whole import after, ask, chosen, healthy, lost, said

from netprobe.diagnose.repair import choice
from netprobe.model import FindPeer


def test_a_bridged_device_is_made_as_the_other_node_has_it() -> None:
    network = after(healthy("pod-out-of-the-far-bridge"), "node2: ip link del vx0")
    found = chosen(network, ask("pod2", "10.42.0.1"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "node2")
    assert said(found) == [
        "node2: ip link add vx0 type vxlan id 42 local 192.168.50.2 remote 192.168.50.1 dstport 4789 dev u0",
        "node2: ip link set dev vx0 master br0",
        "node2: ip link set dev vx0 up",
    ]


@pytest.mark.parametrize(("source", "address"), [("pod1", "10.244.2.2"), ("pod2", "10.244.1.2")])
def test_a_routed_device_gets_what_the_other_node_knows_of_it(source: str, address: str) -> None:
    """Its MAC and its address stand in entries over there; what it has to know of that one is mirrored."""
    network = after(healthy("forwarding-entry-missing"), "node1: ip link del flannel.1")
    found = chosen(network, ask(source, address))
    assert found.stop.object is not None
    assert (found.stop.code, found.stop.object.id) == ("link-missing", "flannel.1")
    assert said(found) == [
        "node1: ip link add flannel.1 address 02:00:00:00:42:01 type vxlan id 1 local 192.168.50.1 dstport 8472 dev u0 nolearning",
        "node1: ip link set dev flannel.1 mtu 1450",
        "node1: ip link set dev flannel.1 up",
        "node1: ip address add 10.244.1.0/32 dev flannel.1",
        "node1: ip neigh replace 10.244.2.0 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node1: bridge fdb append 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.2",
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]


def test_the_node_beyond_the_underlay_is_looked_at() -> None:
    network = after(healthy("pod-out-of-the-far-bridge"), "node2: ip link del vx0")
    near = {name: each for name, each in network.namespaces.items() if name in ("pod2", "node2")}
    known = tuple(peer for peer in network.peers if peer.namespace in near and peer.peer in near)
    alone = replace(network, namespaces=near, peers=known)
    needs = choice.lacking(alone, lost(alone, ask("pod2", "10.42.0.1"))[0])
    assert any(isinstance(each, FindPeer) and each.namespace == "node2" for each in needs)


def test_a_bridge_that_joined_two_cables_is_made_again() -> None:
    """Nobody behind it looks for a gateway: it had no address, and its ports alone tell of it."""
    network = after(healthy("pod-out-of-the-far-bridge"), "node1: ip link del br0")
    found = chosen(network, ask("pod1", "10.42.0.2"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "node1")
    assert said(found) == [
        "node1: ip link add br0 type bridge",
        "node1: ip link set dev vx0 master br0",
        "node1: ip link set dev vpod master br0",
        "node1: ip link set dev br0 up",
    ]


FORGOTTEN = ("node1: ip route del 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink", "node1: ip neigh del 10.244.2.0 dev flannel.1")


def test_what_a_device_forgot_is_as_the_other_node_has_it() -> None:
    """It was off for a moment, as when it gets another name: the route and the neighbour are gone, and who wrote them looks no more."""
    network = after(healthy("forwarding-entry-missing"), *FORGOTTEN)
    found = chosen(network, ask("pod1", "10.244.2.2"))
    assert (found.stop.code, found.stop.place.namespace) == ("no-route", "node1")
    assert said(found) == [
        "node1: ip neigh replace 10.244.2.0 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]


def test_what_a_device_forgot_comes_before_what_the_other_node_does_not_do() -> None:
    network = after(healthy("forwarding-entry-missing"), *FORGOTTEN, "node2: sysctl -w net.ipv4.ip_forward=0")
    assert said(chosen(network, ask("pod1", "10.244.2.2")))[1:] == ["node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"]


@pytest.mark.parametrize(
    ("entries", "code", "line"),
    [
        (
            ("append {mac} dev vx0 dst 192.168.50.2", "del 00:00:00:00:00:00 dev vx0 dst 192.168.50.2"),
            "vxlan-fdb-missing",
            "bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.168.50.2",
        ),
        (("replace {mac} dev vx0 dst 192.168.50.9",), "vxlan-remote-wrong", "bridge fdb replace {mac} dev vx0 dst 192.168.50.2"),
    ],
)
def test_nodes_that_share_no_network_send_each_other_what_is_for_all_and_for_stations(
    entries: tuple[str, ...], code: str, line: str
) -> None:
    """A daemon has written where the station is, and not that its node is to hear who asks for it; or that it is at another node."""
    network = healthy("pod-out-of-the-far-bridge")
    pod2 = network["pod2"].link_named("eth0")
    assert pod2 is not None
    network = after(
        network,
        "node1: ip address add 192.168.50.1/32 dev u0",
        "node1: ip address del 192.168.50.1/24 dev u0",
        "node1: ip route add 192.168.50.2/32 dev u0",
        "node2: ip address add 192.168.50.2/32 dev u0",
        "node2: ip address del 192.168.50.2/24 dev u0",
        "node2: ip route add 192.168.50.1/32 dev u0",
        *(f"node1: bridge fdb {each.format(mac=pod2.mac)}" for each in entries),
    )
    found = chosen(network, ask("pod1", "10.42.0.2"))
    assert (found.stop.code, found.stop.place.namespace) == (code, "node1")
    assert said(found) == [f"node1: {line.format(mac=pod2.mac)}"]
