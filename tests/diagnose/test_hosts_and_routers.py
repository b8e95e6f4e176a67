"""Of several repairs that would do, the one that is meant: on hosts with tunnels, two ways out, and translations of their own."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_beside import chosen, lines
from test_policy_siblings import translating

from netprobe.model import Route, Ruleset, Snapshot

SNAT = "-A POSTROUTING -s 172.17.0.0/16 -j SNAT --to-source 203.0.113.2"


def without_a_way_to(network: str, name: str = "c1", ruleset: Ruleset | None = None) -> Snapshot:
    """c1 keeps nothing of a network, which it otherwise gets by its gateway."""
    routes = (*tutorial()[name].routes, Route(network, "blackhole"))
    return edited(edited(tutorial(), name, routes=routes), "host", ruleset=ruleset)


def knowing_no_way_back(*routes: Route) -> Snapshot:
    """The host translates nothing, and internet has no route to red's network, but these."""
    known = (each for each in tutorial()["internet"].routes if each.dst != "10.0.0.0/16")
    return edited(edited(tutorial(), "internet", routes=(*known, *routes)), "host", ruleset=Ruleset())


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (SNAT, "iptables -t nat -I POSTROUTING 1 -s 172.17.0.0/16 -d 172.17.0.0/16 -j ACCEPT"),
        (SNAT.replace("-s 172.17.0.0/16", "-o docker0"), "ip route del blackhole 203.0.113.0/24"),  # which somebody wrote for this way
    ],
)
def test_what_a_host_sends_to_its_neighbour_needs_no_other_source(rule: str, line: str) -> None:
    """A server of a VPN gives its clients its public address, and so itself, where it asks one of them."""
    cause = chosen(without_a_way_to("203.0.113.0/24", ruleset=translating(rule)), "host", "172.17.0.2")
    assert lines(cause) == [line]


@pytest.mark.parametrize(("gateway", "code"), [("203.0.113.2", "route-blackhole"), ("203.0.113.9", "nat-missing")])
def test_towards_a_station_that_has_it_as_its_gateway_a_router_translates_nothing(gateway: str, code: str) -> None:
    """The station has taken the half of the world for a tunnel besides."""
    there = knowing_no_way_back(Route("0.0.0.0/1", "blackhole"), via("0.0.0.0/0", gateway, 2))
    assert chosen(there, "red", "203.0.113.1").code == code


@pytest.mark.parametrize(("known", "code"), [("203.0.113.2/32", "nat-missing"), ("203.0.113.9/32", "policy-drop")])
def test_who_lets_the_router_in_lets_in_what_comes_by_it_with_its_address(known: str, code: str) -> None:
    """One translation, and neither a rule for each sender nor a way back to it."""
    lets_in = f"*filter\n:INPUT DROP [0:0]\n-A INPUT -s {known} -j ACCEPT\nCOMMIT"
    there = edited(knowing_no_way_back(), "internet", ruleset=iptables(lets_in))
    assert chosen(there, "red", "203.0.113.1").code == code
