"""Hosts and routers with a table for each of their ways: a route that takes who is far for a neighbour, a rule for all ways in."""

from __future__ import annotations

import pytest
from networks import edited, lo, local, tutorial, via
from test_beside import chosen, lines
from test_dispatched import dropping
from test_of_which_table import of_two_sides
from test_policy_siblings import by_table, rule, sorted_rules

from netprobe.model import PolicyRule, Route, Snapshot


def with_a_table(*routes: Route) -> Snapshot:
    """What red sends from its address is looked up in table 2."""
    red = tutorial()["red"]
    rules = sorted_rules(*red.rules, PolicyRule(32765, 4, table=2, mask=0, src="10.0.0.2/32"))
    return edited(tutorial(), "red", routes=(*red.routes, *routes), rules=rules)


FAR = via("172.17.0.0/16", None, 2, table=2, scope="link")


def test_a_table_with_a_gateway_takes_nobody_far_for_a_neighbour() -> None:
    """Without the rule the packet would pass as well; but it is what the other addresses have, too."""
    cause = chosen(with_a_table(FAR, via("0.0.0.0/0", "10.0.0.1", 2, table=2)), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("route-overlap", ["ip route del 172.17.0.0/16 dev eth0 table 2"])


@pytest.mark.parametrize("other", [(), (via("9.9.9.0/24", "10.0.0.1", 2, table=2),)])
def test_a_table_that_leads_nowhere_else_is_not_for_the_packet(other: tuple[Route, ...]) -> None:
    cause = chosen(with_a_table(FAR, *other), "red", "172.17.0.2")
    assert lines(cause) == ["ip rule del pref 32765 from 10.0.0.2/32 lookup 2"]


def test_a_rule_that_ways_in_of_other_kinds_have_is_for_this_one() -> None:
    known = (rule(iif="eth0"), PolicyRule(221, 4, table=220, mask=0, iif="vethc1"))
    cause = chosen(by_table(*known), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule add pref 220 iif br0 lookup 220"])


def test_half_of_the_world_is_no_network_that_a_table_lacks() -> None:
    like, half = (via(dst, "203.0.113.1", 4, table=table) for dst, table in (("9.9.9.0/24", 2), ("0.0.0.0/1", 1)))
    cause = chosen(of_two_sides(like, half), "red", "8.8.8.8")
    assert not any("0.0.0.0/1" in line for line in lines(cause))


@pytest.mark.parametrize("made", ["bird", "boot"])
def test_a_route_has_the_source_that_the_others_of_its_maker_have(made: str) -> None:
    """The address is on no interface by which the packet leaves; whose source another hand wrote says nothing."""
    red, host = tutorial()["red"], tutorial()["host"]
    told = via("9.9.9.0/24", "10.0.0.1", 2, protocol="bird", source="10.99.0.1")
    used = via("172.17.0.0/16", "10.0.0.1", 2, protocol=made, source="10.0.0.2")
    routes = (*local("10.0.0.2", "10.99.0.1"), via("10.0.0.0/16", None, 2), *red.routes[-1:], told, used)
    snapshot = edited(tutorial(), "red", addresses=(*lo("10.99.0.1")[1], *red.addresses[-1:]), routes=routes)
    snapshot = edited(snapshot, "host", routes=(*host.routes, via("10.99.0.1/32", "10.0.0.2", 2)))
    cause = chosen(edited(snapshot, "c1", ruleset=dropping("INPUT", "-A INPUT -s 10.99.0.0/24 -j ACCEPT")), "red", "172.17.0.2")
    expected = "ip route replace 172.17.0.0/16 via 10.0.0.1 dev eth0 proto bird src 10.99.0.1"
    assert (cause.code, lines(cause) == [expected]) == {"bird": ("route-wrong-src", True), "boot": ("policy-drop", False)}[made]
