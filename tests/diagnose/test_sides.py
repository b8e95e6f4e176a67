"""A host of two uplinks, with a table for the address of each: its ways exchanged, or their gateways alone."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said

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
