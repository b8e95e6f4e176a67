"""A route of a table that a policy rule chose refuses, and main has none: who knows the way takes its place."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import RULES, edited, tutorial
from test_beside import chosen, lines

from netprobe.model import PolicyRule, Route, Snapshot


def with_table(kind: str, *main: Route) -> Snapshot:
    """host gives what comes from red's bridge to a table whose route refuses; main has `main` in place of its default route."""
    routes = tuple(route for route in tutorial()["host"].routes if not route.is_default)
    rules = (PolicyRule(100, 4, table=77, iif="br0"), *RULES)
    return edited(tutorial(), "host", routes=(*routes, *main, Route("8.8.8.0/24", kind, table=77)), rules=rules)


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_the_router_that_knows_the_way_takes_its_place(kind: str) -> None:
    cause = chosen(with_table(kind), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == (f"route-{kind}", ["ip route replace 8.8.8.0/24 via 203.0.113.1 dev eth0 table 77"])


def test_where_main_leads_there_the_rule_is_odd() -> None:
    default = next(route for route in tutorial()["host"].routes if route.is_default)
    cause = chosen(with_table("blackhole", replace(default)), "red", "8.8.8.8")
    assert cause.code == "rule-wrong-table"
