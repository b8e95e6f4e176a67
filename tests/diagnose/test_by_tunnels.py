"""Two objects at once of which one is the way of a tunnel: what both nodes know of each other tells what it was."""

from __future__ import annotations

from diagnose.test_repair_whole import after
from diagnose.test_two_at_once import named
from diagnose.test_who_is_meant import routed_overlay
from predict.networks import edited

from netprobe.model import Namespace, Neighbour, Snapshot
from netprobe.model.lookup import all_but, where


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
