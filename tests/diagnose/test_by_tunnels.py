"""Two objects at once of which one is the way of a tunnel: what both nodes know of each other tells what it was."""

from __future__ import annotations

from diagnose.test_repair_whole import after
from diagnose.test_two_at_once import named
from diagnose.test_who_is_meant import routed_overlay
from predict.networks import edited

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
