"""A rule is found by the words that name it: those of its own tool; and its target is led elsewhere, nothing else of it."""

from __future__ import annotations

from itertools import product

import pytest

from netprobe.diagnose.nat_rules import all_said, found, retargeted, said
from netprobe.diagnose.source_rules import meant_for
from netprobe.model import Chain, InterfaceAddress, Link, Namespace, Object, Rule, Ruleset, Statement, Table, Term
from netprobe.rules.read.iptables_save import read_save

TO = "-j DNAT --to-destination"


def table(engine: str, family: str, text: str) -> Table:
    return Table(engine, family, "nat", (Chain("PREROUTING", (Rule(1, text, ()),), "prerouting", type="nat"),))


def test_tables_of_one_name_are_told_apart_by_their_tools() -> None:
    tables = (table("ebtables", "bridge", "-A PREROUTING -j ACCEPT"), table("iptables", "ip", "-A PREROUTING -j RETURN"))
    namespace = Namespace("host", ruleset=Ruleset(tables=tables))
    for tool, text in (("iptables", "-j RETURN"), ("ebtables", "-j ACCEPT")):
        rule = found(namespace, Object("nat-rule", "", words=(tool, "nat", "PREROUTING", "1")))
        assert rule is not None
        assert rule.text.endswith(text)
    assert found(namespace, Object("nat-rule", "", words=("ip6tables", "nat", "PREROUTING", "1"))) is None


@pytest.mark.parametrize(
    ("tool", "rule", "old", "new", "fix"),
    [
        ("iptables", f"{TO} 10.0.0.99:80", "10.0.0.99", "10.0.0.3", f"{TO} 10.0.0.3:80"),
        ("iptables", f"-d 10.0.0.9 {TO} 10.0.0.9", "10.0.0.9", "10.0.0.3", f"-d 10.0.0.9 {TO} 10.0.0.3"),
        ("ip6tables", f"-p tcp {TO} [fd00::99]:80", "fd00::99", "fd00::3", f"-p tcp {TO} [fd00::3]:80"),
        ("ip6tables-legacy", f"-p tcp {TO} fd00::99", "fd00::99", "fd00::3", f"-p tcp {TO} fd00::3"),
        ("iptables", f"{TO} 10.0.0.99:80", "10.0.0.9", "10.0.0.3", None),
        ("iptables", f"-s 10.0.0.9/32 {TO} 10.0.0.8", "10.0.0.9", "10.0.0.3", None),
    ],
)  # fmt: skip
def test_a_target_is_led_elsewhere(tool: str, rule: str, old: str, new: str, fix: str | None) -> None:
    thing = Object("nat-rule", "a rule", words=(tool, "nat", "PREROUTING", "2"))
    made = retargeted(Namespace("host"), thing, Rule(2, f"-A PREROUTING {rule}", ()), old, new)
    wanted = [f"{tool} -t nat -R PREROUTING 2 {fix}"] if fix is not None else []
    assert [" ".join(command.words) for command in made] == wanted


def test_the_words_of_a_comment_stay_one() -> None:
    rule = Rule(1, '-A PREROUTING -m comment --comment "my web server" -j DNAT --to-destination 10.0.0.99:80', ())
    thing = Object("nat-rule", "a rule", words=("iptables", "nat", "PREROUTING", "1"))
    (made,) = retargeted(Namespace("host"), thing, rule, "10.0.0.99", "10.0.0.3")
    assert "my web server" in made.words


FIREWALL = """\
*nat
:POSTROUTING ACCEPT [0:0]
:OUTSIDE - [0:0]
:ALL - [0:0]
-A POSTROUTING -o {door} -j OUTSIDE
-A OUTSIDE -j ALL
-A ALL -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize(("door", "meant"), [("eth0", 0), ("br0", 1), ("gone0", 1)])
def test_a_rule_is_for_the_interface_that_its_chain_is_asked_for(door: str, meant: int) -> None:
    """eth0 is another interface of the namespace than that by which the packet leaves; gone0 is none at all."""
    save = read_save(FIREWALL.format(door=door), "iptables", "ip")
    links = (Link(2, "br0", "bridge"), Link(3, "eth0", "veth"))
    namespace = Namespace("host", links=links, ruleset=Ruleset(tables=tuple(save)))
    assert len([*meant_for(namespace, links[0], "10.0.0.2", "192.0.2.1", expected=False)]) == meant


def test_what_the_rules_of_chains_say_is_what_each_says() -> None:
    rules = tuple(
        Rule(n, "", (Statement("match", Term("key", key), op, Term("value", value)), Statement("accept")))
        for n, (key, op, value) in enumerate(product(("ip daddr", "ip saddr"), ("", "==", "in", "!=", "<"), ("10.0.0.1", "10.0.0.0/8", "")))
    )
    chains = (Chain("a", rules), Chain("b", rules[:3]), Chain("c"))
    for keys in (("ip daddr",), ("ip daddr", "ip saddr"), ("tcp dport",)):
        assert all_said(chains, *keys) == {text for rule in rules for text in said(rule.statements, *keys)}


ENGINES_OWN = """\
*nat
:POSTROUTING ACCEPT [0:0]
:NETWORK1 - [0:0]
:NETWORK2 - [0:0]
-A POSTROUTING -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A POSTROUTING {asked} -j NETWORK1
-A POSTROUTING -s 10.2.0.0/24 -j NETWORK2
-A NETWORK1 -d 10.1.0.0/24 -j ACCEPT
-A NETWORK1 -j MASQUERADE
-A NETWORK2 -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("-s 10.11.0.0/24", "iptables nat POSTROUTING 2"),  # nobody's network
        ("-d 10.1.0.0/24", "iptables nat POSTROUTING 2"),  # the sender's, asked of the receiver
        ("-s 10.2.0.0/25", "iptables nat POSTROUTING 1"),  # for another network of its own
    ],
)
def test_a_rule_that_leads_to_a_translation_passes_over_the_sender(asked: str, named: str) -> None:
    """As engines have a chain for each network, and a mark for published ports."""
    save = read_save(ENGINES_OWN.format(asked=asked), "iptables", "ip")
    addresses = (InterfaceAddress(2, "10.1.0.1", 24), InterfaceAddress(4, "10.2.0.1", 24))
    links = (Link(2, "br1", "bridge"), Link(3, "eth0", "veth"), Link(4, "br2", "bridge"))
    namespace = Namespace("host", links=links, addresses=addresses, ruleset=Ruleset(tables=tuple(save)))
    first = next(meant_for(namespace, links[1], "10.1.0.2", "192.0.2.1", expected=True))
    assert first.object.id == named
