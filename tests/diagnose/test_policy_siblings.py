"""A policy rule that its siblings have, a table of a sender that knows no way out, a translation for what stays at home."""

from __future__ import annotations

import pytest
from networks import edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_dispatched import dropping
from test_roots import MASQUERADE, ruled

from netprobe.model import PolicyRule, Route, Ruleset, Snapshot
from netprobe.rules.read.iptables_save import read_save


def by_table(*rules: PolicyRule) -> Snapshot:
    """The host's way out is in table 220 alone, main refuses; internet knows both networks."""
    host, internet = tutorial()["host"], tutorial()["internet"]
    out = via("0.0.0.0/0", "203.0.113.1", 4, table=220)
    routes = (*(each for each in host.routes if not each.is_default), Route("0.0.0.0/0", "blackhole"), out)
    known = (*internet.routes, via("172.17.0.0/16", "203.0.113.2", 2))
    return edited(edited(tutorial(), "internet", routes=known), "host", routes=routes, rules=sorted_rules(*host.rules, *rules))


def sorted_rules(*rules: PolicyRule) -> tuple[PolicyRule, ...]:
    """As the kernel lists them."""
    return tuple(sorted(rules, key=lambda each: (each.version, each.priority)))


def test_what_is_for_a_station_goes_where_that_for_the_others_goes() -> None:
    """A later rule takes what comes in by br0 to the provider, who sends it back."""
    host = tutorial()["host"]
    astray = via("0.0.0.0/0", "203.0.113.1", 4, table=7)
    rules = sorted_rules(*host.rules, PolicyRule(512, 4, table=254, mask=0, dst="172.17.0.3/32"), PolicyRule(900, 4, table=7, iif="br0"))
    cause = chosen(edited(tutorial(), "host", routes=(*host.routes, astray), rules=rules), "red", "172.17.0.2")
    assert lines(cause) == ["ip rule add pref 512 to 172.17.0.2/32 lookup main"]


def test_what_is_behind_a_router_goes_where_that_for_the_other_networks_there_goes() -> None:
    host, red = tutorial()["host"], tutorial()["red"]
    behind = [via(f"10.{each}.0.0/16", "10.0.0.2", 2) for each in (8, 9)]
    routes = (*host.routes, *behind, via("0.0.0.0/0", "203.0.113.1", 4, table=7))
    rules = sorted_rules(*host.rules, PolicyRule(512, 4, table=254, mask=0, dst="10.9.0.0/16"), PolicyRule(900, 4, table=7, iif="docker0"))
    known = (Route("10.8.0.1/32", "local", table=255), *red.routes)
    cause = chosen(edited(edited(tutorial(), "host", routes=routes, rules=rules), "red", routes=known), "c1", "10.8.0.1")
    assert lines(cause) == ["ip rule add pref 512 to 10.8.0.0/16 lookup main"]


def test_a_table_that_none_leads_to_is_for_the_mark_that_a_rule_refuses() -> None:
    host = tutorial()["host"]
    out = (via("0.0.0.0/0", "203.0.113.1", 4, table=7), Route("203.0.113.0/24", nexthops=kernel("203.0.113.0/24", 4).nexthops, table=7))
    refused = PolicyRule(900, 4, action="unreachable", mark=0xA000, mask=0xF000)
    rules = ruled(MASQUERADE, "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j MARK --set-xmark 0xa000/0xf000\nCOMMIT\n")
    marked = edited(rules, "host", routes=(*host.routes, *out), rules=sorted_rules(*host.rules, refused))
    assert lines(chosen(marked, "red", "8.8.8.8")) == ["ip rule add fwmark 0xa000/0xf000 lookup 7"]


def rule(**fields: object) -> PolicyRule:
    return PolicyRule(220, 4, table=220, mask=0, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "known", "line"),
    [
        ("c1", {"src": "172.17.0.3/32"}, "ip rule add pref 220 from 172.17.0.2/32 lookup 220"),
        ("red", {"iif": "docker0"}, "ip rule add pref 220 iif br0 lookup 220"),
    ],
)
def test_a_rule_that_a_sibling_has_is_made_for_the_other(source: str, known: dict[str, str], line: str) -> None:
    cause = chosen(by_table(rule(**known)), source, "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", [line])


def test_a_way_in_with_a_rule_of_its_own_lacks_one_that_most_others_have() -> None:
    ways = [rule(iif=each) for each in ("eth0", "veth0")]
    ways += [PolicyRule(221, 4, table=221, mask=0, iif=each) for each in ("eth0", "br0")]
    refused = PolicyRule(222, 4, action="unreachable", mask=0, iif="br0")
    cause = chosen(by_table(*ways, refused), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule add pref 220 iif br0 lookup 220"])


@pytest.mark.parametrize(
    ("source", "field", "own", "others"),
    [("red", "iif", "br0", ("docker0", "eth0")), ("c1", "src", "172.17.0.2/32", ("172.17.0.3/32", "172.17.0.9/32"))],
)
def test_where_each_has_one_of_several_tables_none_is_led_to_another_s(source: str, field: str, own: str, others: tuple[str, str]) -> None:
    """Two customers, whose ways in are told apart: what fails for one does not go where the other's goes."""
    ways = [PolicyRule(221, 4, table=221, mask=0, **{field: each}) for each in (own, others[1])]  # type: ignore[arg-type]
    refused = PolicyRule(222, 4, action="unreachable", mask=0, **{field: own})  # type: ignore[arg-type]
    cause = chosen(by_table(rule(**{field: others[0]}), *ways, refused), source, "8.8.8.8")
    assert not any("lookup 220" in line for line in lines(cause))


@pytest.mark.parametrize(
    "known",
    [
        {"src": "10.9.0.0/16"},  # a network is no station
        {"src": "203.0.113.1/32"},  # behind another kind of interface
        {"src": "172.17.0.1/32"},  # its own
        {"dst": "1.1.1.1/32"},  # the world
        {"iif": "eth0"},
        {"src": "172.17.0.3/32", "mark": 5},  # and of something else
    ],
)
def test_what_is_of_another_kind_says_nothing(known: dict[str, object]) -> None:
    cause = chosen(by_table(rule(**known)), "red", "8.8.8.8")
    assert not any("rule add pref 220" in line for line in lines(cause))


def test_a_table_of_a_sender_gets_the_router_of_its_network() -> None:
    c1 = tutorial()["c1"]
    table = Route("172.17.0.0/16", nexthops=kernel("172.17.0.0/16", 2).nexthops, table=100)
    routes = (*(each for each in c1.routes if not each.is_default), table)
    rules = sorted_rules(*c1.rules, PolicyRule(100, 4, table=100, src="172.17.0.2/32"))
    cause = chosen(edited(tutorial(), "c1", routes=routes, rules=rules), "red", "172.17.0.2")
    assert lines(cause) == ["ip route add default via 172.17.0.1 dev eth0 table 100"]


def translating(*rules: str) -> Ruleset:
    text = "\n".join(("*nat", ":POSTROUTING ACCEPT [0:0]", *rules, "COMMIT", ""))
    return Ruleset(tables=tuple(read_save(text, "iptables", "ip")))


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ("10.0.0.0/16", "iptables -t nat -I POSTROUTING 1 -s 10.0.0.0/16 -d 172.17.0.0/16 -j ACCEPT"),
        ("192.0.2.0/24", "iptables -I INPUT -i eth0 -p icmp -j ACCEPT"),
    ],
)
def test_what_stays_at_home_is_exempted_where_it_is_known_by_its_own_address(known: str, line: str) -> None:
    snapshot = edited(tutorial(), "c1", ruleset=dropping("INPUT", f"-A INPUT -s {known} -j ACCEPT"))
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 ! -d 10.0.0.0/16 -j MASQUERADE")
    cause = chosen(edited(snapshot, "host", ruleset=nat), "red", "172.17.0.2")
    assert lines(cause) == [line]


def test_a_translation_of_what_comes_from_the_world_is_taken_away() -> None:
    snapshot = edited(tutorial(), "c1", ruleset=dropping("INPUT", "-A INPUT -s 8.8.8.8 -j ACCEPT"))
    nat = translating("-A POSTROUTING -o docker0 -j MASQUERADE")
    internet = tutorial()["internet"]
    snapshot = edited(snapshot, "internet", routes=(*internet.routes, via("172.17.0.0/16", "203.0.113.2", 2, source="8.8.8.8")))
    cause = chosen(edited(snapshot, "host", ruleset=nat), "internet", "172.17.0.2")
    assert lines(cause) == ["iptables -t nat -D POSTROUTING -o docker0 -j MASQUERADE"]
