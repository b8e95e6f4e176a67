"""Marks of which each program sets bits of its own: who asks for one asks for these bits."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from test_beside import chosen, lines
from test_policy_siblings import sorted_rules

from netprobe.model import Chain, PolicyRule, Route, Rule, Ruleset, Snapshot, Statement, Table, Term

MARKED = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i br0 -j MARK --set-xmark 0x40000/0xf0000
-A PREROUTING -i br0 -j MARK --set-xmark {given}
COMMIT
*filter
:FORWARD ACCEPT [0:0]
{more}COMMIT"""
ACCEPTED = "-A FORWARD -m mark --mark 0x80 -j ACCEPT\n-A FORWARD -i br0 -j DROP\n"


def marked_for_main(given: str) -> Snapshot:
    """One program marks the packet for the table main; what else comes from there is refused. Another marks it, too."""
    rules = (PolicyRule(1024, 4, table=254, mark=0x80), PolicyRule(1536, 4, table=2, mask=0, iif="br0"))
    host = tutorial()["host"]
    routes = (*host.routes, Route("0.0.0.0/0", "unreachable", 2))
    ruleset = iptables(MARKED.format(given=given, more=""))
    return edited(tutorial(), "host", ruleset=ruleset, routes=routes, rules=sorted_rules(*host.rules, *rules))


def test_a_policy_rule_asks_for_the_bits_that_rules_set() -> None:
    assert lines(chosen(marked_for_main("0x80/0x80"), "red", "8.8.8.8")) == [
        "ip rule del pref 1024 from all fwmark 0x80 lookup main",
        "ip rule add pref 1024 from all fwmark 0x80/0x80 lookup main",
    ]


def test_a_policy_rule_asks_for_the_field_that_rules_set() -> None:
    """0x80 in a field of eight bits, of which another program sets none."""
    line = "ip rule add pref 1024 from all fwmark 0x80/0xff lookup main"
    assert lines(chosen(marked_for_main("0x80/0xff"), "red", "8.8.8.8"))[-1] == line


def test_a_rule_asks_for_the_field_that_rules_set() -> None:
    network = edited(tutorial(), "host", ruleset=iptables(MARKED.format(given="0x80/0xff", more=ACCEPTED)))
    assert lines(chosen(network, "red", "8.8.8.8")) == ["iptables -R FORWARD 1 -m mark --mark 0x80/0xff -j ACCEPT"]


def test_a_mark_that_is_set_whole_is_asked_for_whole() -> None:
    """It wiped what the other one had set: then the rule is met."""
    with pytest.raises(AssertionError):
        chosen(marked_for_main("0x80/0xffffffff"), "red", "8.8.8.8")


def test_a_rule_asks_for_the_bits_that_rules_set() -> None:
    network = edited(tutorial(), "host", ruleset=iptables(MARKED.format(given="0x80/0x80", more=ACCEPTED)))
    assert lines(chosen(network, "red", "8.8.8.8")) == ["iptables -R FORWARD 1 -m mark --mark 0x80/0x80 -j ACCEPT"]


def sets(text: str, value: str) -> Rule:
    bits = Term("|", args=(Term("key", "meta mark"), Term("value", value)))
    return Rule(1, text, (Statement("set", Term("key", "meta mark"), right=bits),), handle=4)


def test_a_rule_of_nft_asks_for_the_bits_that_rules_set() -> None:
    both = (sets("meta mark set meta mark | 0x00040000", "0x40000"), sets("meta mark set meta mark | 0x00000080", "0x80"))
    asks = Statement("match", Term("key", "meta mark"), "==", Term("value", "0x80"))
    first = Rule(1, "meta mark 0x00000080 accept", (asks, Statement("accept")), handle=7)
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    rest = Rule(2, 'iifname "br0" drop', (came, Statement("drop")), handle=8)
    chains = (Chain("pre", both, "prerouting", priority=-150), Chain("fwd", (first, rest), "forward"))
    network = edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "ip", "fw", chains),)))
    assert lines(chosen(network, "red", "8.8.8.8")) == ["nft replace rule ip fw fwd handle 7 meta mark & 0x00000080 == 0x00000080 accept"]
