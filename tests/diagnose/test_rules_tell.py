"""Rules tell what was meant: what a set lacks, a refusal that was turned, the name of an interface."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, lost, said

from netprobe.diagnose.repair.candidates import sets
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, NamedSet, Protocol, Rule, Ruleset, Snapshot, Socket, Statement, Table, Term


def rule(number: int, text: str, *statements: Statement) -> Rule:
    return Rule(number, text, statements, handle=number)


def firewall(*rules: Rule) -> Snapshot:
    """host lets through what these rules accept."""
    ports = NamedSet("ports", ("inet_service",), elements=(Term("value", "22"),))
    table = Table("nft", "inet", "fw", (Chain("pass", rules, "forward", policy="drop"),), (ports,))
    return edited(tutorial(), "host", ruleset=Ruleset((), (table,)))


ANSWERS = rule(
    1, "ct state established accept", Statement("match", Term("key", "ct state"), "in", Term("value", "established")), Statement("accept")
)
OPEN = rule(2, "tcp dport @ports accept", Statement("match", Term("key", "tcp dport"), "==", Term("ref", "ports")), Statement("accept"))
TURNED = rule(2, "ip daddr 172.17.0.3 counter packets 3 bytes 9 drop",
              Statement("match", Term("key", "ip daddr"), "==", Term("value", "172.17.0.3")), Statement("drop"))  # fmt: skip


def test_what_a_set_lacks_is_added_to_it() -> None:
    network = edited(firewall(ANSWERS, OPEN), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = replace(ask("red", "172.17.0.3"), protocol=Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80), source=replace(asked.source, port=4001))
    assert said(chosen(network, asked)) == ["host: nft add element inet fw ports { 80 }"]


@pytest.mark.parametrize(("last", "adds"), [("drop", False), ("reject", False), ("accept", True)])
def test_nothing_is_added_to_a_set_of_what_is_turned_away(last: str, adds: bool) -> None:
    """The last word of a chain says for whom it is, whatever exceptions it and other rules make."""
    test = Statement("match", Term("key", "tcp dport"), "==", Term("ref", "ports"))
    network = firewall(ANSWERS, rule(2, "tcp dport @ports goto zone", test, Statement("goto", target="zone")), replace(OPEN, number=3))
    [table] = network["host"].tables
    zone = Chain("zone", (rule(1, "udp dport 53 accept", Statement("accept")), rule(2, last, Statement(last))))
    network = edited(network, "host", ruleset=Ruleset((), (replace(table, chains=(*table.chains, zone)),)))
    asked = replace(ask("red", "172.17.0.3"), protocol=Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80), source=replace(asked.source, port=4001))
    found = [repair.stop.text for repair in sets.candidates(Loss.of(network, *lost(network, asked)))]
    assert any("the set ports of host lacks 80" in text for text in found) is adds


def test_a_refusal_without_which_the_policy_refuses_is_turned() -> None:
    found = chosen(firewall(ANSWERS, TURNED), ask("red", "172.17.0.3"))
    assert found.stop.code == "filtered-by-rule"
    assert said(found) == ["host: nft replace rule inet fw pass handle 2 ip daddr 172.17.0.3 counter accept"]


def test_an_interface_gets_the_name_by_which_rules_call_it() -> None:
    """Renaming takes it down: its routes have to come back as well."""
    said_twice = tuple(
        rule(n, f'iifname "{name}" accept', Statement("match", Term("key", "meta iifname"), "==", Term("value", name)), Statement("accept"))
        for n, name in enumerate(("eth0", "eth0", "br0", "docker0"), 1)
    )
    network = after(firewall(*said_twice), *(f"host: ip link set dev {words}" for words in ("eth0 down", "eth0 name new9", "new9 up")))
    found = chosen(network, ask("red", "8.8.8.8"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "host")
    assert said(found) == [
        "host: ip link set dev new9 down",
        "host: ip link set dev new9 name eth0",
        "host: ip link set dev eth0 up",
        "host: ip route add default via 203.0.113.1",
    ]
