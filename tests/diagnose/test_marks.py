"""Marks that one rule gives and another asks for: nothing looks at one, or nobody gives it to this packet."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, tutorial, via
from test_beside import chosen, lines
from test_policy_siblings import sorted_rules
from test_published import cause as of_a_port
from test_published import fix

from netprobe.model import Chain, IpSet, IpSetEntry, NamedSet, PolicyRule, Rule, Ruleset, Socket, Statement, Table, Term

MARKED = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i br0 -j MARK --set-xmark 0x1bd21/0xffffffff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -i br0 -j DROP
{more}COMMIT"""


def test_a_mark_that_nothing_looks_at_was_for_a_rule_that_accepts_it() -> None:
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(MARKED.format(more=""))), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -I FORWARD 1 -m mark --mark 0x1bd21 -j ACCEPT"]


def test_a_mark_at_which_others_look_is_for_them() -> None:
    more = "-A FORWARD -m mark --mark 0x1bd21 -j ACCEPT\n"
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(MARKED.format(more=more))), "red", "8.8.8.8")
    assert not any("-m mark" in line and "-I" in line for line in lines(cause))


def test_a_mark_in_nft() -> None:
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    sets = Rule(1, "meta mark set 0x00000007", (came, Statement("set", Term("key", "meta mark"), right=Term("value", "7"))), handle=5)
    rest = Rule(1, 'iifname "br0" drop', (came, Statement("drop")), handle=8)
    chains = (Chain("pre", (sets,), "prerouting", priority=-150), Chain("fwd", (rest,), "forward"))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "ip", "fw", chains),))), "red", "8.8.8.8")
    assert lines(cause) == ["nft insert rule ip fw fwd position 8 meta mark 0x7 accept"]


def test_a_set_of_those_that_are_not_marked_gets_the_network() -> None:
    """What comes from br0 is marked for a way that is off, but for networks that are near."""
    host = tutorial()["host"]
    near = NamedSet("near", elements=(Term("value", "203.0.113.0/24"),), types=("ipv4_addr",))
    looks = Statement("match", Term("key", "ip daddr"), "==", Term("ref", "near"))
    unmarked = Statement("match", Term("key", "meta mark"), "==", Term("value", "0"))
    first = Rule(1, "ip daddr @near meta mark set 1", (looks, marks("1")), handle=5)
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    rest = Rule(2, 'iifname "br0" meta mark 0 meta mark set 2', (came, unmarked, marks("2")), handle=6)
    table = Table("nft", "ip", "fw", (Chain("pre", (first, rest), "prerouting", priority=-150),), (near,))
    rules = sorted_rules(*host.rules, PolicyRule(2062, 4, action="unreachable", mark=2))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (table,)), rules=rules), "red", "172.17.0.2")
    assert lines(cause) == ["nft add element ip fw near { 172.17.0.0/16 }"]


NEAR = """*mangle
:PREROUTING ACCEPT [0:0]
:NEAR - [0:0]
-A PREROUTING -j NEAR
-A NEAR -m set --match-set near dst -j {spared}
-A NEAR -m mark --mark 0x0/0xff -j MARK --set-xmark 0x2/0xff
COMMIT"""


@pytest.mark.parametrize("spared", ["MARK --set-xmark 0x1/0xff", "RETURN", "ACCEPT"])
@pytest.mark.parametrize(
    ("action", "gateway", "code"),
    [("unreachable", "", "rule-prohibit"), ("lookup", "203.0.113.1", "rule-wrong-table"), ("lookup", "203.0.113.77", "rule-wrong-table")],
)
def test_the_same_by_ipset_and_of_those_that_are_spared(spared: str, action: str, gateway: str, code: str) -> None:
    """Uplinks are balanced by marks, but for what is near (openwrt/packages#20779); what is marked is refused, or lost elsewhere."""
    host = tutorial()["host"]
    near = IpSet("near", "hash:net", 4, entries=(IpSetEntry(first="203.0.113.0/24"), IpSetEntry(first="10.0.0.0/16")))
    rules = sorted_rules(*host.rules, PolicyRule(2062, 4, action=action, table=7 if action == "lookup" else None, mark=2, mask=0xFF))
    read = replace(iptables(NEAR.format(spared=spared)), ipsets=(near,))
    routes = (*host.routes, via("0.0.0.0/0", gateway, 4, table=7))
    cause = chosen(edited(tutorial(), "host", ruleset=read, rules=rules, routes=routes), "red", "172.17.0.2")
    assert (cause.code, cause.place.namespace, lines(cause)) == (code, "host", ["ipset add near 172.17.0.0/16"])


def marks(value: str) -> Statement:
    return Statement("set", Term("key", "meta mark"), right=Term("value", value))


MARKS = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i br0 -p tcp -m tcp --dport 22 -j MARK --set-xmark 0x7/0xffffffff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m mark --mark 0x7 -j ACCEPT
-A FORWARD -i br0 -j REJECT
COMMIT"""
LED_ON = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
COMMIT"""


def marking(rules: str, dst: str) -> list[str]:
    """What is said of port 8080 of c1 behind these rules, asked by its own address or another one."""
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    return fix(of_a_port(edited(listening, "host", ruleset=iptables(rules)), "red", dst, 8080))


def test_a_published_port_is_not_marked_as_another_one_that_is_let_through_by_its_mark() -> None:
    line = "iptables -t mangle -A PREROUTING -i br0 -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x7/0xffffffff"
    assert marking(f"{LED_ON}\n{MARKS}", "203.0.113.2") == [line]
    assert line not in marking(MARKS, "172.17.0.2")  # nobody said that it is to be let through


def test_who_refuses_what_has_no_mark_means_it() -> None:
    refusing = MARKS.replace("-A FORWARD -i br0 -j REJECT", "-A FORWARD -i br0 -m mark ! --mark 0x7 -j REJECT")
    assert not any("--dport 8080 -j MARK" in line for line in marking(f"{LED_ON}\n{refusing}", "203.0.113.2"))


BALANCED = """*nat
:PREROUTING ACCEPT [0:0]
:FW - [0:0]
:TO - [0:0]
:MARK-DROP - [0:0]
-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j FW
-A FW -s 198.51.100.0/24 -j TO
-A FW -j MARK-DROP
-A FW -s 203.0.113.0/24 -j TO
-A FW {last}-j MARK-DROP
-A TO -j DNAT --to-destination 172.17.0.2
-A MARK-DROP -j MARK --set-xmark 0x8000/0x8000
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m mark --mark 0x8000/0x8000 -j DROP
COMMIT"""


@pytest.mark.parametrize(("last", "early"), [("", True), ("-p tcp ", False)])
def test_what_is_marked_before_others_were_asked_is_marked_too_early(last: str, early: bool) -> None:
    """Balancers of a service with two addresses drop the second one's (kubernetes#109826)."""
    network = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    said = of_a_port(edited(network, "host", ruleset=iptables(BALANCED.format(last=last))), "internet", "203.0.113.2", 80)
    assert (fix(said) == ["iptables -t nat -D FW -j MARK-DROP"]) is early
