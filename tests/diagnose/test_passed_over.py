"""Policy rules that lead past the others, and routes in the place of those that the kernel makes."""

from __future__ import annotations

from networks import RULES, edited, tutorial
from test_beside import chosen, lines

from netprobe.model import Nexthop, PolicyRule, Route


def test_a_rule_that_passes_over_main_is_taken_away() -> None:
    rule = PolicyRule(5, 4, "goto", goto=32767)
    cause = chosen(edited(tutorial(), "host", rules=(rule, *RULES)), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule del pref 5 from all goto 32767"])


def test_a_route_by_a_gateway_in_the_place_of_the_kernels() -> None:
    network = tutorial()
    host = network["host"]
    [own] = [each for each in host.routes if each.dst == "172.17.0.0/16" and each.type == "unicast"]
    astray = Route(own.dst, nexthops=(Nexthop(own.indexes[0], "10.99.0.9", ("onlink",)),))
    routes = tuple(astray if each is own else each for each in host.routes)
    cause = chosen(edited(network, "host", routes=routes), "red", "172.17.0.3")
    assert lines(cause) == [f"ip route replace {own.dst} dev docker0 proto kernel scope link src 172.17.0.1"]


def test_a_rule_for_what_root_sends_is_for_what_is_forwarded() -> None:
    rule = PolicyRule(5, 4, "blackhole", uids=(0, 0))
    cause = chosen(edited(tutorial(), "host", rules=(rule, *RULES)), "red", "8.8.8.8")
    assert lines(cause) == ["ip rule del pref 5 from all uidrange 0-0 blackhole"]
