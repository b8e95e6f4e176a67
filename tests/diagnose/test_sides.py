"""A host of two uplinks, with a table for the address of each: its ways exchanged, or their gateways alone."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from predict.networks import edited, tutorial

from netprobe.model import Socket

RIGHT = {
    "host: ip route replace default via 203.0.113.1 dev eth0",
    "host: ip route replace default via 198.51.100.1 dev eth1 table 100",
}


@pytest.mark.parametrize(
    ("source", "goal", "first", "second"),
    [("internet", "198.51.100.2", "eth1", "eth0"), ("internet", "198.51.100.2", "eth0", "eth1"), ("pc", "8.8.8.8", "eth0", "eth1")],
)
def test_two_ways_out_in_each_other_s_place_are_exchanged(source: str, goal: str, first: str, second: str) -> None:
    """Whole ways, which the rule for the address of one side tells; or gateways, which are of the network of the other side."""
    network = after(
        healthy("strict-rp-filter-and-marks"),
        f"host: ip route replace default via 198.51.100.1 dev {first} onlink",
        f"host: ip route replace default via 203.0.113.1 dev {second} table 100 onlink",
    )
    assert {line.removesuffix(" onlink") for line in said(chosen(network, ask(source, goal)))} == RIGHT


def test_a_way_without_a_table_for_its_side_is_not_exchanged() -> None:
    network = after(
        healthy("strict-rp-filter-and-marks"),
        "host: ip rule del pref 1000 from 198.51.100.2 lookup 100",
    )
    assert {*said(chosen(network, ask("internet", "198.51.100.2")))}.isdisjoint(RIGHT)


def test_who_has_the_address_of_a_whole_network_has_it_by_mistake() -> None:
    """Its program listens on the one that it should have; that others get an answer from the wrong one keeps nobody."""
    network = after(
        tutorial(),
        "c1: ip address del 172.17.0.2/16 dev eth0",
        "c1: ip address add 172.17.0.0/16 dev eth0",
    )
    network = edited(network, "c1", sockets=(Socket("udp", "172.17.0.2", 53, "unconnected"),))
    found = chosen(network, ask("c2", "172.17.0.2"))
    assert said(found)[:2] == ["c1: ip address del 172.17.0.0/16 dev eth0", "c1: ip address add 172.17.0.2/16 dev eth0"]
