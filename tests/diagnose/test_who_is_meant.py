"""Several ends that do not fit each other: the one that fewer of the others name is the one that is wrong."""

from __future__ import annotations

from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from diagnose.test_two_by_two import offices
from predict.networks import edited

from netprobe.model import Snapshot
from netprobe.model.lookup import where


def routed_overlay() -> Snapshot:
    """Two nodes, each with pods and a tunnel to the other one that has no network of its own."""
    return healthy("tunnel-neighbour-missing")


def of_one_version() -> Snapshot:
    """Two offices in which nobody has heard of anybody, nor of IPv6."""
    network = offices()
    for name, there in network.namespaces.items():
        routes, addresses = where(there.routes, version=4), where(there.addresses, version=4)
        network = edited(network, name, routes=routes, addresses=addresses, neighbours=())
    return network


def test_an_end_of_a_tunnel_has_the_address_to_which_the_other_end_sends() -> None:
    network = after(routed_overlay(), "node2: ip address del 10.244.2.0/32 dev flannel.1")
    found = chosen(network, ask("pod1", "10.244.2.2"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == ("addr-missing", "node2", "flannel.1")
    assert said(found)[0] == "node2: ip address add 10.244.2.0/32 dev flannel.1"
    assert said(found)[-1] == "node2: ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"


def test_an_end_of_a_tunnel_has_the_address_that_is_on_another_interface() -> None:
    """What led by the tunnel went with it: the route, and who is there."""
    network = after(
        routed_overlay(),
        "node1: ip address del 10.244.1.0/32 dev flannel.1",
        "node1: ip address add 10.244.1.0/32 dev vpod",
    )
    known = [each for each in network["node1"].neighbours if each.address != "10.244.2.0"]
    found = chosen(edited(network, "node1", neighbours=(*known,)), ask("pod1", "10.244.2.2"))
    assert found.stop.code == "addr-missing"
    assert said(found) == [
        "node1: ip address del 10.244.1.0/32 dev vpod",
        "node1: ip address add 10.244.1.0/32 dev flannel.1",
        "node1: ip neigh replace 10.244.2.0 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]


def test_a_gateway_that_one_alone_sends_to_and_nobody_has() -> None:
    """The router beside it has the number that it has on its other side: it is not the one to get another address."""
    network = after(of_one_version(), "pc: ip route replace default via 10.1.0.3 dev eth0")
    assert said(chosen(network, ask("server", "10.1.0.10"))) == ["pc: ip route replace default via 10.1.0.1 dev eth0"]


def test_the_address_that_the_router_has_on_no_side_is_mistyped() -> None:
    """Whoever is nearer: the others have it as their gateway, and the router's other sides end so."""
    network = after(of_one_version(), "r1: ip address add 10.1.0.65/24 dev lan", "r1: ip address del 10.1.0.1/24 dev lan")
    assert said(chosen(network, ask("pc", "10.2.0.10")))[0] == "r1: ip address add 10.1.0.1/24 dev lan"


def test_a_router_with_a_network_on_each_side_but_one() -> None:
    """Nothing leads by that side: its address was not meant to be a host's."""
    network = after(
        offices(),
        "r2: ip address del 10.9.0.2/30 dev wan",
        "r2: ip address add 10.9.0.2/32 dev wan",
    )
    found = chosen(network, ask("server", "10.1.0.10"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == ("addr-wrong-prefix", "r2", "wan")
