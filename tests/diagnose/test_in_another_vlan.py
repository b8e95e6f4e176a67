"""Bridges that filter VLANs: who is in another one than those of its network, and tags that the other end does not expect."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, edited, relinked
from test_repair_whole import ask, chosen, said
from test_vlans import ONE, TEN, Vlans, filtering, trunk

from netprobe.model import Bridge, BridgePort, PortVlan


@pytest.mark.parametrize(
    ("first", "second", "host", "asked", "lines"),
    [
        ((TEN,), (ONE,), (ONE,), "172.17.0.3", ["vlan del dev vethc1 vid 10", "vlan add dev vethc1 vid 1 pvid untagged"]),
        ((ONE,), (TEN,), (ONE,), "172.17.0.3", ["vlan del dev vethc2 vid 10", "vlan add dev vethc2 vid 1 pvid untagged"]),
        ((ONE,), (ONE,), (TEN,), "172.17.0.1", ["vlan del dev docker0 vid 10 self", "vlan add dev docker0 vid 1 pvid untagged self"]),
        ((PortVlan(1),), (ONE,), (ONE,), "172.17.0.3", ["vlan add dev vethc1 vid 1 pvid untagged"]),
        ((PortVlan(1, pvid=True),), (ONE,), (ONE,), "172.17.0.3", ["vlan add dev vethc1 vid 1 pvid untagged"]),
        ((), (TEN,), (TEN,), "172.17.0.3", ["vlan add dev vethc1 vid 10 pvid untagged"]),
        ((PortVlan(20), TEN), (ONE,), (ONE,), "172.17.0.3", ["vlan del dev vethc1 vid 10", "vlan add dev vethc1 vid 1 pvid untagged"]),
    ],
)
def test_who_is_without_a_tag_is_in_the_vlan_of_its_network(first: Vlans, second: Vlans, host: Vlans, asked: str, lines: list[str]) -> None:
    found = chosen(filtering(first, second, host), ask("c1", asked))
    assert said(found) == [f"host: bridge {line}" for line in lines]


def test_an_interface_for_another_vlan_is_made_again() -> None:
    network = relinked(trunk((TEN,), 11), "host", "docker0", bridge=Bridge(vlan_filtering=True, vlans=(TEN,)))
    made = tuple(each if each.gateways != [None] else replace(each, protocol="kernel") for each in network["c1"].routes)
    found = chosen(edited(network, "c1", routes=made), ask("c1", "172.17.0.3"))
    assert said(found) == [
        "c1: ip link del eth0.11",
        f"c1: ip link add eth0.11 address {MAC.format(4, 1)} link eth0 type vlan id 10",
        "c1: ip link set dev eth0.11 mtu 1500",
        "c1: ip link set dev eth0.11 up",
        "c1: ip address add 172.17.0.2/16 dev eth0.11",
        "c1: ip route add default via 172.17.0.1 dev eth0.11",
    ]


def test_a_tag_that_an_interface_at_the_other_end_takes_off_is_left_on() -> None:
    """The port sends VLAN 10 without a tag, and others with one, for which there are interfaces."""
    mixed = BridgePort(vlans=(PortVlan(10, untagged=True), PortVlan(20), PortVlan(30)))
    found = chosen(relinked(trunk((TEN,)), "host", "vethc1", port=mixed), ask("c2", "172.17.0.2"))
    assert said(found) == ["host: bridge vlan add dev vethc1 vid 10"]
