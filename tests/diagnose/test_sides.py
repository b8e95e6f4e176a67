"""A host of two uplinks, with a table for the address of each: its ways exchanged, or their gateways alone."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from literal_rules import iptables
from predict.networks import edited, tutorial, via
from test_beside import two_uplinks

from netprobe.model import Nexthop, PolicyRule, Route, Snapshot, Socket

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


MARKING = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xffffffff
-A PREROUTING -i eth1 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x2/0xffffffff
-A PREROUTING -i br0 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT"""


def by_sides(*rules: PolicyRule) -> Snapshot:
    """A host of two uplinks, whose tables are 100, by eth0, and 200, by eth1; and whose rules are these."""
    network = two_uplinks(*rules)
    host = network["host"]
    routes = (*host.routes, Route("0.0.0.0/0", nexthops=(Nexthop(4, "203.0.113.1"),), table=100))
    ordered = tuple(sorted(host.rules, key=lambda rule: rule.priority))
    return edited(network, "host", ruleset=iptables(MARKING), routes=routes, rules=ordered)


def of_marks(first: int, second: int) -> tuple[PolicyRule, ...]:
    return (
        PolicyRule(101, 4, table=first, mark=1, mask=0xFFFFFFFF),
        PolicyRule(102, 4, table=second, mark=2, mask=0xFFFFFFFF),
    )


def test_two_rules_for_marks_that_lead_each_to_the_table_of_the_other_are_exchanged() -> None:
    """A connection to a station behind the host, which came in by the second uplink. Rules for addresses tell that the tables are right."""
    own = (PolicyRule(110, 4, table=100, src="203.0.113.2/32"), PolicyRule(111, 4, table=200, src="198.51.100.2/32"))
    network = by_sides(*of_marks(200, 100), *own)
    internet = network["internet"]
    routes = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), via("10.0.0.0/16", "198.51.100.2", 3))
    found = chosen(edited(network, "internet", routes=routes), ask("internet", "10.0.0.2"))
    assert {line for line in said(found) if " add " in line} == {
        "host: ip rule add pref 101 from all fwmark 0x1 lookup 100",
        "host: ip rule add pref 102 from all fwmark 0x2 lookup 200",
    }
