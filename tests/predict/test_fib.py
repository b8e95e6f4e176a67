"""The routing decision against literal tables, and the longest prefix against the standard library."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import RULES

from netprobe.model import InterfaceAddress, Link, Namespace, Nexthop, PolicyRule, Route, RouteQuery
from netprobe.predict import fib, prefix

PREFIXES = st.builds(
    lambda number, length: str(ip_network((number >> (32 - length) << (32 - length) if length else 0, length))),
    st.integers(0, 2**32 - 1), st.integers(0, 32),
)  # fmt: skip
ADDRESSES = st.builds(lambda number: str(ip_address(number)), st.integers(0, 2**32 - 1))


def table(*routes: Route, rules: tuple[PolicyRule, ...] = RULES) -> Namespace:
    return Namespace("n", routes=routes, rules=rules)


def via(dst: str, index: int, **more: object) -> Route:
    return Route(dst, nexthops=(Nexthop(index),), **more)  # type: ignore[arg-type]


@given(st.lists(PREFIXES, unique=True, max_size=12), ADDRESSES)
def test_the_longest_prefix_wins_as_the_standard_library_counts_it(prefixes, address):
    routes = [via(dst, index) for index, dst in enumerate(prefixes, 1)]
    decision = fib.lookup(table(*routes), RouteQuery(None, address))
    holding = [(ip_network(p).prefixlen, index) for index, p in enumerate(prefixes, 1) if ip_address(address) in ip_network(p)]
    assert (decision.leg.index if decision.leg else None) == (max(holding)[1] if holding else None)
    assert (decision.error == "ENETUNREACH") == (not holding)


@given(PREFIXES, ADDRESSES)
def test_a_prefix_holds_what_the_standard_library_says_it_holds(text, address):
    assert prefix.contains(text, address) == (ip_address(address) in ip_network(text))


@given(ADDRESSES, st.integers(0, 32))
def test_network_and_broadcast_are_those_of_the_standard_library(address, length):
    network = ip_network(f"{address}/{length}", strict=False)
    assert prefix.network(address, length) == str(network)
    assert prefix.broadcast(address, length) == (str(network.broadcast_address) if length < 31 else None)


OWN = PolicyRule(100, 4, table=100, src="10.0.0.0/8")


@pytest.mark.parametrize(
    ("namespace", "query", "leg", "error"),
    [
        (table(via("0.0.0.0/0", 1, metric=10), via("0.0.0.0/0", 2)), RouteQuery(None, "8.8.8.8"), 2, None),
        (table(via("0.0.0.0/0", 1), Route("8.8.8.8/32", "blackhole")), RouteQuery(None, "8.8.8.8"), None, "EINVAL"),
        (table(via("0.0.0.0/0", 1), Route("8.8.8.8/32", "prohibit")), RouteQuery(None, "8.8.8.8"), None, "EACCES"),
        (table(Route("8.8.8.8/32", "throw"), via("0.0.0.0/0", 1, table=253)), RouteQuery(None, "8.8.8.8"), 1, None),
        (table(via("0.0.0.0/0", 1), via("0.0.0.0/0", 2, table=100), rules=(*RULES, OWN)), RouteQuery("10.0.0.2", "8.8.8.8"), 2, None),
        (table(via("0.0.0.0/0", 1), via("0.0.0.0/0", 2, table=100), rules=(*RULES, OWN)), RouteQuery("192.0.2.2", "8.8.8.8"), 1, None),
        (table(via("0.0.0.0/0", 1), rules=(*RULES, PolicyRule(5, 4, "unreachable", mark=7))), RouteQuery(None, "8.8.8.8", mark=7), None, "EHOSTUNREACH"),
        (table(via("0.0.0.0/0", 1), rules=(*RULES, PolicyRule(5, 4, "unreachable", mark=7))), RouteQuery(None, "8.8.8.8"), 1, None),
        (table(via("0.0.0.0/0", 1), rules=(*RULES, PolicyRule(5, 4, "goto", goto=40000), PolicyRule(40000, 4, "nop"))),
         RouteQuery(None, "8.8.8.8"), None, "ENETUNREACH"),
        (table(via("0.0.0.0/0", 1), rules=(*RULES, PolicyRule(5, 4, "goto", goto=40000))), RouteQuery(None, "8.8.8.8"), 1, None),
        (table(via("0.0.0.0/0", 1), rules=(*RULES, PolicyRule(5, 4, "blackhole", src="10.0.0.0/8", inverted=True))), RouteQuery("10.0.0.2", "8.8.8.8"), 1, None),
        (table(via("0.0.0.0/0", 1, table=200), via("0.0.0.0/0", 2), rules=(*RULES, PolicyRule(5, 4, table=200, suppress_prefixlen=0))), RouteQuery(None, "8.8.8.8"), 2, None),
        (table(Route("0.0.0.0/0", nexthops=(Nexthop(1, flags=("dead",)), Nexthop(2)))), RouteQuery(None, "8.8.8.8"), 2, None),
        (table(), RouteQuery(None, "8.8.8.8"), None, "ENETUNREACH"),
        # of IPv6 a route may be for packets of a prefix alone (ip6_fib.c, fib6_node_lookup_1)
        (table(via("::/0", 1, origin="fd00:1::/64")), RouteQuery("fd00:2::2", "2001:db8::8"), None, "ENETUNREACH"),
        (table(via("::/0", 1, origin="fd00:1::/64")), RouteQuery("fd00:1::2", "2001:db8::8"), 1, None),
        (table(via("::/0", 1, origin="fd00:1::/64")), RouteQuery(None, "2001:db8::8"), None, "ENETUNREACH"),
        (table(via("::/0", 1, metric=10), via("::/0", 2, origin="fd00::/16", metric=900)), RouteQuery("fd00:1::2", "2001:db8::8"), 2, None),
        (table(via("::/0", 1, origin="fd00::/16"), via("::/0", 2, origin="fd00:1::/64", metric=900)), RouteQuery("fd00:1::2", "2001:db8::8"), 2, None),
        (table(via("2001:db8::/32", 1, origin="fd00:9::/64"), via("::/0", 2)), RouteQuery("fd00:1::2", "2001:db8::8"), 2, None),
        # of IPv6 what came in goes out by the same interface, if nothing else tells two routes apart (route.c, rt6_score_route)
        (table(via("::/0", 1), via("::/0", 2)), RouteQuery(None, "2001:db8::8", iif=2), 2, None),
        (table(via("::/0", 1), via("::/0", 2)), RouteQuery(None, "2001:db8::8", iif=3), 1, None),
        (table(via("::/0", 1), via("::/0", 2, metric=9)), RouteQuery(None, "2001:db8::8", iif=2), 1, None),
        (table(via("::/0", 1), via("::/0", 2)), RouteQuery(None, "2001:db8::8"), 1, None),
        (table(via("0.0.0.0/0", 1), via("0.0.0.0/0", 2)), RouteQuery(None, "8.8.8.8", iif=2), 1, None),
    ],
)  # fmt: skip
def test_the_decision_follows_rules_tables_types_and_metrics(namespace, query, leg, error):
    decision = fib.lookup(namespace, query)
    assert (decision.leg.index if decision.leg else None, decision.error) == (leg, error)


@pytest.mark.parametrize(("gateway", "source"), [("10.0.2.1", "10.0.2.9"), ("fe80::1", "10.0.1.9"), (None, "10.0.2.9")])
def test_the_source_is_of_the_gateways_network_and_a_gateway_of_ipv6_says_nothing(gateway: str | None, source: str) -> None:
    """The destination 10.0.2.77 is looked at where there is no gateway."""
    addresses = (InterfaceAddress(2, "10.0.1.9", 24), InterfaceAddress(2, "10.0.2.9", 24), InterfaceAddress(2, "fe80::9", 64, scope="link"))
    route = Route("0.0.0.0/0", nexthops=(Nexthop(2, gateway),))
    namespace = Namespace("n", routes=(route,), rules=RULES, addresses=addresses)
    decision = fib.lookup(namespace, RouteQuery(None, "10.0.2.77"))
    assert fib.source_for(namespace, decision, "10.0.2.77") == source


@pytest.mark.parametrize(
    ("kind", "table", "words"),
    [
        ("local", fib.LOCAL, "local 10.0.2.7/32 dev eth0"),
        ("local", fib.MAIN, "local 10.0.2.7/32 dev eth0 table main"),
        ("unicast", fib.LOCAL, "10.0.2.7/32 dev eth0 table local"),
        ("unicast", fib.MAIN, "10.0.2.7/32 dev eth0"),
        ("unicast", 7, "10.0.2.7/32 dev eth0 table 7"),
    ],
)
def test_a_route_is_written_with_its_table_where_its_type_says_another(kind: str, table: int, words: str) -> None:
    route, link = Route("10.0.2.7/32", type=kind, table=table, nexthops=(Nexthop(2),)), Link(2, "eth0", "veth", "", 1500, True, True)
    assert " ".join(fib.words(route, route.nexthops[0], link)) == words
