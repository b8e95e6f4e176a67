"""A namespace with too many routes to be read: a walk asks for those of its own addresses."""

from __future__ import annotations

import pytest
from msgspec import json
from msgspec.structs import replace

from netprobe.model import Namespace, Nexthop, PolicyRule, ReadRoute, Route, RouteQuery
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
