"""A namespace with too many routes to be read: a walk asks for those of its own addresses."""

from __future__ import annotations

import pytest
from msgspec import json
from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Nexthop, PolicyRule, ReadRoute, Route, RouteQuery
from netprobe.predict import fib
from netprobe.predict.view import Lacking

QUERY = RouteQuery(None, "198.51.100.7")
DEFAULT = Route("0.0.0.0/0", nexthops=(Nexthop(2, "10.0.0.1"),))
LONGER = Route("198.51.100.0/24", nexthops=(Nexthop(3, "10.1.0.1"),))
ROUTER = Namespace("r", routes=(DEFAULT,), rules=(PolicyRule(32766, 4, "lookup", table=254),), routed=())


def test_routes_that_were_not_read_are_asked_for() -> None:
    with pytest.raises(Lacking) as lacking:
        fib.sought(ROUTER, QUERY)
    assert lacking.value.needs == (ReadRoute("r", QUERY),)
    read = replace(ROUTER, routes=(DEFAULT, LONGER), routed=(QUERY,))
    again = json.decode(json.encode(read), type=Namespace)
    assert fib.sought(again, QUERY).via == "10.1.0.1"


def test_where_all_routes_were_read_nothing_is_asked() -> None:
    assert fib.sought(replace(ROUTER, routed=None), QUERY).via == "10.0.0.1"


def test_who_looks_without_a_walk_takes_what_is_there() -> None:
    assert fib.lookup(ROUTER, QUERY).via == "10.0.0.1"


def test_an_address_whose_local_route_was_not_read_is_its_own_all_the_same() -> None:
    """Of very many routes the kernel's own are told by the addresses that it makes them of."""
    up, down = Link(2, "eth0", up=True), Link(3, "eth1", up=False)
    own, other = InterfaceAddress(2, "10.0.0.2", 32), InterfaceAddress(3, "10.0.0.3", 32)
    host = replace(ROUTER, links=(up, down), addresses=(own, other))
    assert [fib.is_local(host, address) for address in ("10.0.0.2", "10.0.0.3", "10.0.0.4")] == [True, False, False]
    assert not fib.is_local(replace(host, routed=None), "10.0.0.2")
    made = Route("10.0.0.0/29", "local", table=fib.LOCAL)
    assert fib.is_local(replace(host, routes=(made,)), "10.0.0.4")
