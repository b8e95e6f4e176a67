"""Two cables, each in the bridge of the other, in a switch of two segments."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, chosen, lost, said
from predict.networks import RULES, edited, lo, local, probe, veth, via

from netprobe.diagnose.repair.candidates import addresses
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Bridge, BridgePort, FoundPeer, InterfaceAddress, Link, Namespace, Snapshot

MAC = "02:00:00:00:{:02x}:{:02x}"


def _station(name: str, number: int, address: str) -> Namespace:
    loopback, own = lo()
    near = via(f"{address.rpartition('.')[0]}.0/24", None, 2, protocol="kernel", scope="link")
    return Namespace(
        name, links=(loopback, veth(2, "eth0", MAC.format(number, 2), 3 + number, 0)), rules=RULES,
        addresses=(*own, InterfaceAddress(2, address, 24)), routes=(*local(address), near), sysctls={"net.ipv4.ip_forward": "0"},
    )  # fmt: skip


def two_segments() -> Snapshot:
    """a1 to a3 on one bridge of a switch, b1 and b2 on the other; the switch has no addresses."""
    stations = {"a1": "10.1.0.1", "a2": "10.1.0.2", "a3": "10.1.0.3", "b1": "10.2.0.1", "b2": "10.2.0.2"}
    loopback, own = lo()
    bridges = (Link(2, "a", "bridge", MAC.format(9, 2), bridge=Bridge()), Link(3, "b", "bridge", MAC.format(9, 3), bridge=Bridge()))
    ports = tuple(
        veth(3 + n, f"p-{name}", MAC.format(9, 3 + n), 2, n, master=2 if name[0] == "a" else 3, port=BridgePort())
        for n, name in enumerate(stations, 1)
    )
    switch = Namespace("sw", links=(loopback, *bridges, *ports), addresses=own, routes=local(), rules=RULES)
    spaces = [switch, *(_station(name, n, address) for n, (name, address) in enumerate(stations.items(), 1))]
    peers = [FoundPeer("sw", n, name) for n, name in enumerate(stations, 1)] + [FoundPeer(name, 0, "sw") for name in stations]
    return Snapshot({each.name: each for each in spaces}, tuple(peers))


CROSSED = ("sw: ip link set dev p-a2 master b", "sw: ip link set dev p-b1 master a")


@pytest.mark.parametrize(("source", "goal"), [("a1", "10.1.0.2"), ("a2", "10.1.0.3"), ("b2", "10.2.0.1")])
def test_two_ports_that_are_in_each_other_s_bridge_are_exchanged(source: str, goal: str) -> None:
    found = chosen(after(two_segments(), *CROSSED), probe(source, goal))
    assert found.stop.code == "port-wrong-bridge"
    assert {*said(found)} == {"sw: ip link set dev p-a2 master a", "sw: ip link set dev p-b1 master b"}


def test_one_that_is_in_another_bridge_is_not_exchanged_for_one_that_is_at_home() -> None:
    found = chosen(after(two_segments(), CROSSED[0]), probe("a1", "10.1.0.2"))
    assert not [line for line in said(found) if "p-b" in line]


def test_who_has_an_address_of_his_bridge_is_at_home() -> None:
    """b1 has an address of either network."""
    network = after(two_segments(), *CROSSED, "b1: ip address add 10.1.0.7/24 dev eth0")
    assert "sw: ip link set dev p-b1 master b" not in said(chosen(network, probe("a1", "10.1.0.2")))


def test_a_gateway_behind_a_cable_that_was_not_read_is_nobody_s_here() -> None:
    """Who is at that end of it may have the address: a bridge without one is not told to have it."""
    network = after(two_segments(), "a2: ip address del 10.1.0.2/24 dev eth0")
    a3 = network["a3"]
    links = (*a3.links, veth(3, "wan", MAC.format(7, 7), 9, 5))
    network = edited(network, "a3", links=links, routes=(*a3.routes, via("0.0.0.0/0", "192.0.2.1", 3)))
    asked = addresses.asked_for(Loss.of(network, *lost(network, probe("a1", "10.1.0.2"))))
    assert ("10.1.0.2" in asked, "192.0.2.1" in asked) == (True, False)
