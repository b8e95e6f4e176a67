"""Two objects of which each has what belongs to the other: one exchange mends both, though one alone was asked for."""

from __future__ import annotations

from networks import edited, local, tutorial, via
from test_repair_whole import ask, chosen, said

from netprobe.model import InterfaceAddress, Neighbour, Snapshot

BEHIND = {"c1": "192.0.2.1", "c2": "198.51.100.1"}
NETWORKS = {"c1": "192.0.2.0/24", "c2": "198.51.100.0/24"}


def led_to(c1: str, c2: str) -> Snapshot:
    """c1 and c2 have an address each behind them, to whose networks the host leads by these gateways."""
    network = tutorial()
    for name, address in BEHIND.items():
        there = network[name]
        addresses = (*there.addresses, InterfaceAddress(1, address, 32))
        network = edited(network, name, addresses=addresses, routes=(*there.routes, *local(address)))
    far = (via(NETWORKS["c1"], c1, 5), via(NETWORKS["c2"], c2, 5))
    return edited(network, "host", routes=(*network["host"].routes, *far))


def test_two_routes_lead_each_by_the_gateway_of_the_other() -> None:
    found = chosen(led_to("172.17.0.3", "172.17.0.2"), ask("red", BEHIND["c1"]))
    assert found.stop.code == "route-wrong-nexthop"
    assert said(found) == [
        f"host: ip route replace {NETWORKS['c1']} via 172.17.0.2 dev docker0",
        f"host: ip route replace {NETWORKS['c2']} via 172.17.0.3 dev docker0",
    ]


def test_a_route_that_leads_rightly_is_left_alone() -> None:
    found = said(chosen(led_to("172.17.0.3", "172.17.0.3"), ask("red", BEHIND["c1"])))
    assert found[0].startswith("host: ip route ")
    assert not any(NETWORKS["c2"] in line for line in found)


def test_of_whom_nobody_in_sight_has_nothing_is_exchanged() -> None:
    """What leaves for anywhere would count as gone through."""
    found = said(chosen(led_to("172.17.0.3", "172.17.0.2"), ask("red", "192.0.2.9")))
    assert not any(NETWORKS["c2"] in line for line in found)


def entered(c1: int, c2: int) -> Snapshot:
    """The host's entries for c1 and c2, written by hand, with the MACs of the first, second, ... container."""
    macs = [link.mac for name in ("c1", "c2") for link in tutorial()[name].links if link.name == "eth0"]
    entries = (Neighbour(5, "172.17.0.2", macs[c1], "permanent"), Neighbour(5, "172.17.0.3", macs[c2], "permanent"))
    return edited(tutorial(), "host", neighbours=entries)


def test_two_neighbours_have_each_other_s_mac() -> None:
    first, second = (each.mac for each in entered(0, 1)["host"].neighbours)
    assert said(chosen(entered(1, 0), ask("red", "172.17.0.2"))) == [
        f"host: ip neigh replace 172.17.0.2 lladdr {first} dev docker0 nud permanent",
        f"host: ip neigh replace 172.17.0.3 lladdr {second} dev docker0 nud permanent",
    ]
    assert not any("172.17.0.3" in line for line in said(chosen(entered(1, 1), ask("red", "172.17.0.2"))))
