"""A rule that ends its chain before the one that accepts; a policy of a chain that only alters."""

from __future__ import annotations

import pytest
from networks import edited, tutorial
from test_beside import chosen, lines
from test_sets import by_iptables

from netprobe.model import Chain, Rule, Ruleset, Statement, Table, Term


@pytest.mark.parametrize("returning", ["-A FORE -j RETURN", "-A FORE -s 10.0.0.0/24 -j RETURN"])
def test_a_rule_that_returns_before_the_one_that_accepts_is_taken_away(returning: str) -> None:
    rules = (":FORE - [0:0]", "-A INPUT -j FORE", "-A FORE -p tcp -j ACCEPT", returning, "-A FORE -p icmp -j ACCEPT")
    cause = chosen(by_iptables(*rules, policy="DROP"), "red", "172.17.0.2")
    assert (cause.code, cause.object and cause.object.id) == ("policy-drop", "iptables filter FORE 2")
    assert lines(cause) == [f"iptables -D {returning.removeprefix('-A ')}"]


def test_a_rule_that_returns_before_nothing_stays() -> None:
    rules = (":FORE - [0:0]", "-A INPUT -j FORE", "-A FORE -j RETURN", "-A FORE -p tcp -j ACCEPT")
    cause = chosen(by_iptables(*rules, policy="DROP"), "red", "172.17.0.2")
    assert lines(cause) == ["iptables -I INPUT -i eth0 -p icmp -j ACCEPT"]


@pytest.mark.parametrize(
    ("kinds", "line"),
    [
        (("set",), "nft chain inet fw pre { policy accept; }"),
        (("set", "accept"), "nft insert rule inet fw pre iifname eth0 icmp type echo-request accept"),
        (("jump",), "nft insert rule inet fw pre iifname eth0 icmp type echo-request accept"),
    ],
)
def test_a_policy_of_a_chain_that_only_marks_is_turned(kinds: tuple[str, ...], line: str) -> None:
    made = {"set": Statement("set", Term("key", "meta mark"), "=", Term("value", "3"))}
    test = Statement("match", Term("key", "ip saddr"), "==", Term("value", "192.0.2.7"))
    rule = Rule(1, "", (test, *(made.get(kind, Statement(kind, target="other")) for kind in kinds)), handle=4)
    chain = Chain("pre", (rule,), "prerouting", -150, policy="drop")
    table = Table("nft", "inet", "fw", (chain, Chain("other")))
    cause = chosen(edited(tutorial(), "c1", ruleset=Ruleset((), (table,))), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("policy-drop", [line])
