"""A set holds an address that a rule refuses for it, or lacks one that a rule would let through: the element is what is off."""

from __future__ import annotations

import pytest
from networks import edited, tutorial
from test_beside import chosen, lines
from test_mistyped import of_tcp
from test_repair_whole import chosen as of_probe
from test_repair_whole import lost, said

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair.candidates.elements import holds
from netprobe.model import (
    Cause,
    Chain,
    Command,
    IpSet,
    IpSetEntry,
    Leg,
    NamedSet,
    Place,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Stage,
    Statement,
    Table,
    Term,
)
from netprobe.rules.read.iptables_save import read_save


def by_iptables(*rules: str, policy: str = "ACCEPT", **sets: tuple[str, ...]) -> Snapshot:
    """The tutorial's network; c1's INPUT has these rules, which look into these sets of ipset."""
    text = "\n".join(("*filter", f":INPUT {policy} [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *rules, "COMMIT", ""))
    ipsets = tuple(IpSet(name, "hash:net", 4, entries=tuple(IpSetEntry(first=each) for each in held)) for name, held in sets.items())
    return edited(tutorial(), "c1", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip")), ipsets=ipsets))


BANNED = "-A INPUT -m set --match-set banned src -j DROP"


@pytest.mark.parametrize(("held", "element"), [("10.0.0.2", "10.0.0.2"), ("10.0.0.0/24", "10.0.0.0/24")])
def test_an_address_that_is_banned_is_let_go_and_the_rule_stays(held: str, element: str) -> None:
    cause = chosen(by_iptables(BANNED, banned=("192.0.2.7", held)), "red", "172.17.0.2")
    assert (cause.code, cause.object and cause.object.id) == ("filtered-by-rule", "iptables filter INPUT 1")
    assert lines(cause) == [f"ipset del banned {element}"]


def test_a_rule_that_refuses_for_another_reason_as_well_is_taken_away_where_the_set_is_not_why() -> None:
    rule = "-A INPUT -m set ! --match-set known src -j DROP"
    cause = chosen(by_iptables(rule, known=("192.0.2.7",)), "red", "172.17.0.2")
    assert lines(cause) == ["iptables -D INPUT -m set ! --match-set known src -j DROP"]


def test_an_address_that_is_missing_among_the_accepted_is_added() -> None:
    rule = "-A INPUT -m set --match-set allowed src -j ACCEPT"
    cause = chosen(by_iptables(rule, policy="DROP", allowed=("192.0.2.7",)), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("policy-drop", ["ipset add allowed 10.0.0.2"])


ALLOWED = "-A INPUT -m set --match-set allowed src -j ACCEPT"


def with_known(*rules: Rule, policy: str = "accept") -> Snapshot:
    """The tutorial's network; c1 has these rules in nft's table fw, and a set there that knows one station."""
    held = NamedSet("known", ("ipv4_addr",), elements=(Term("value", "192.0.2.7"),))
    table = Table("nft", "inet", "fw", (Chain("in", rules, "input", policy=policy),), (held,))
    return edited(tutorial(), "c1", ruleset=Ruleset((), (table,)))


def of_known(op: str, verdict: str) -> Rule:
    test = Statement("match", Term("key", "ip saddr"), op, Term("ref", "known"))
    return Rule(1, f"ip saddr {op} @known {verdict}", (test, Statement(verdict)), handle=4)


@pytest.mark.parametrize(
    ("snapshot", "who"),
    [
        (with_known(of_known("!=", "drop")), "nft inet fw in handle 4"),
        (with_known(of_known("==", "accept"), Rule(2, "drop", (Statement("drop"),), handle=5)), "nft inet fw in handle 5"),
        (with_known(of_known("==", "accept"), policy="drop"), "nft inet fw in policy"),
        (
            by_iptables("-A INPUT -m set --match-set allowed src -j ACCEPT", policy="DROP", allowed=("192.0.2.7",)),
            "iptables filter INPUT policy",
        ),
    ],
)
def test_what_a_set_lacks_is_told_of_the_rule_or_policy_that_refuses_for_it(snapshot: Snapshot, who: str) -> None:
    cause = chosen(snapshot, "red", "172.17.0.2")
    assert cause.object is not None
    assert cause.object.id == who
    assert "lacks 10.0.0.2" in cause.text
    assert lines(cause)[0] in ("nft add element inet fw known { 10.0.0.2 }", "ipset add allowed 10.0.0.2")


def test_the_port_of_who_asked_is_none_of_those_that_are_let_in() -> None:
    """It is another one each time."""
    test = Statement("match", Term("key", "tcp dport"), "==", Term("ref", "open"))
    held = NamedSet("open", ("inet_service",), elements=(Term("value", "80"),))
    chain = Chain("on", (Rule(1, "tcp dport @open accept", (test, Statement("accept")), handle=4),), "forward", policy="drop")
    network = edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "inet", "fw", (chain,), (held,)),)))
    network = edited(network, "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    found = of_probe(network, of_tcp("red", "172.17.0.2", 80))
    assert lost(network, of_tcp("red", "172.17.0.2", 80))[0].leg is Leg.REPLY
    assert not any("element" in line for line in said(found))


@pytest.mark.parametrize("elements", [("10.0.0.2", "192.0.2.7"), ("192.0.2.7", "10.0.0.0/24")])
def test_an_element_of_an_nft_set_is_taken_out(elements: tuple[str, ...]) -> None:
    test = Statement("match", Term("key", "ip saddr"), "==", Term("ref", "banned"))
    rule = Rule(1, "ip saddr @banned drop", (test, Statement("drop")), handle=4)
    held = NamedSet("banned", ("ipv4_addr",), elements=tuple(Term("value", each) for each in elements))
    table = Table("nft", "inet", "fw", (Chain("in", (rule,), "input"),), (held,))
    cause = chosen(edited(tutorial(), "c1", ruleset=Ruleset((), (table,))), "red", "172.17.0.2")
    element = next(each for each in elements if each.startswith("10."))
    assert lines(cause) == [f"nft delete element inet fw banned {{ {element} }}"]


@pytest.mark.parametrize(
    "line", ["ipset add banned 192.0.2.7", "ipset del banned 192.0.2.8", "ipset del other 192.0.2.7", "ipset flush banned x"]
)
def test_what_ipset_refuses_is_carried_out_on_no_snapshot(line: str) -> None:
    cause = Cause("", Place("c1", None, Stage.INPUT), "", commands=(Command(tuple(line.split())),))
    assert mend(by_iptables(BANNED, banned=("192.0.2.7",)), cause) is None


@pytest.mark.parametrize(
    ("element", "value", "held"),
    [
        ("10.0.0.1-10.0.0.9", "10.0.0.9", True),
        ("10.0.0.1-10.0.0.9", "10.0.0.10", False),
        ("fd00::1-fd00::ff", "fd00::a", True),
        ("fd00::1-fd00::ff", "10.0.0.9", False),
        ("8000-8100", "8080", True),
        ("8000-8100", "80", False),
        ("veth-a", '"veth-a"', True),
        ("10.0.0.0/24 . 80-90", "10.0.0.7 . 81", True),
    ],
)
def test_an_element_may_be_a_range(element: str, value: str, held: bool) -> None:
    assert holds(element, value) is held
