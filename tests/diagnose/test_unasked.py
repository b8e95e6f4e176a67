"""Sets and maps of nft in which no rule looks any more."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import ACCEPT, DROP, nft_table, payload, test
from networks import edited, tutorial, via
from test_beside import chosen, lines
from test_published import cause as connecting
from test_repair import lost_in

from netprobe.diagnose.repair.candidates import lacking
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, Rule, Ruleset, Snapshot, Socket, Statement, Table, Term
from netprobe.rules.read.nft_text import rule_statements

NAMES, PORT = ["ifname", "ifname", "inet_service"], 22
ANSWERS = {"rule": {"chain": "pass", "handle": 10, "expr": [test({"meta": {"key": "iifname"}}, "docker0"), ACCEPT]}}


def hooked(name: str, hook: str, kind: str, policy: str = "accept") -> dict[str, Any]:
    return {"chain": {"name": name, "handle": 1, "type": kind, "hook": hook, "prio": 0, "policy": policy}}


def held(name: str, kinds: Any, *elements: Any) -> dict[str, Any]:
    return {"set": {"name": name, "type": kinds, "handle": 5, "elem": [*elements]}}


def mapped(name: str, kinds: Any, data: str, *elements: Any) -> dict[str, Any]:
    return {"map": {"name": name, "type": kinds, "map": data, "handle": 6, "elem": [*elements]}}


def firewall(*sets: dict[str, Any]) -> Ruleset:
    return nft_table(hooked("pass", "forward", "filter", "drop"), *sets, ANSWERS)


def test_a_set_of_what_may_pass() -> None:
    known = held("flows", NAMES, {"concat": ["br0", "docker0", PORT]}, {"concat": ["br0", "docker0", 80]})
    network = edited(edited(tutorial(), "host", ruleset=firewall(known)), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    cause = connecting(network, "red", "172.17.0.3", 80)
    assert lines(cause) == ["nft add rule inet t pass iifname . oifname . tcp dport @flows accept"]


def test_no_set_that_does_not_know_the_packet() -> None:
    """That a rule looks there, and that the set has it, would be two things that nobody has seen."""
    known = held("flows", NAMES, {"concat": ["br0", "docker0", PORT]}, {"concat": ["br0", "docker0", 443]})
    network = edited(edited(tutorial(), "host", ruleset=firewall(known)), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    assert "@flows" not in " ".join(lines(connecting(network, "red", "172.17.0.3", 80)))


@pytest.mark.parametrize("banned", ["10.0.0.2", "172.17.0.3"])
def test_no_set_of_addresses_alone(banned: str) -> None:
    """Those may be who is banned."""
    network = edited(tutorial(), "host", ruleset=firewall(held("some", "ipv4_addr", banned)))
    cause = chosen(network, "red", "172.17.0.3")
    assert "@some" not in " ".join(lines(cause))


def test_a_map_of_where_services_are() -> None:
    """The chain that looked there is empty, and the one at the hook still leads to it."""
    jump = {"rule": {"chain": "pre", "handle": 11, "expr": [{"jump": {"target": "services"}}]}}
    there = payload("tcp", "dport")
    pod = {"dnat": {"family": "ip", "addr": "172.17.0.3", "port": 80}}
    pods = {"rule": {"chain": "pod", "handle": 12, "expr": [test(there, 8080), pod]}}
    known = mapped("ports", ["inet_proto", "inet_service"], "verdict", [{"concat": ["tcp", 8080]}, {"goto": {"target": "pod"}}])
    chains = ({"chain": {"name": "services", "handle": 2}}, {"chain": {"name": "pod", "handle": 3}})
    ruleset = nft_table(hooked("pre", "prerouting", "nat"), *chains, known, jump, pods, family="ip")
    network = edited(edited(tutorial(), "host", ruleset=ruleset), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    network = edited(network, "host", sockets=(Socket("tcp", "0.0.0.0", 22, "listen"),))
    cause = connecting(network, "red", "10.0.0.1", 8080)
    assert (cause.code, lines(cause)) == ("dnat-missing", ["nft add rule ip t services meta l4proto . th dport vmap @ports"])


@pytest.mark.parametrize(("hook", "rule", "fix"), [
    ("postrouting", "oifname eth0 ip saddr 172.17.0.0/24 snat ip prefix to 10.101.0.0/24",
     'nft insert rule ip t prerouting iifname "eth0" ip daddr 10.101.0.0/24 dnat ip prefix to 172.17.0.0/24'),
    ("postrouting", "snat ip prefix to ip saddr map { 172.17.0.0/24 : 10.101.0.0/24 }",
     "nft insert rule ip t prerouting ip daddr 10.101.0.0/24 dnat ip prefix to 172.17.0.0/24"),
])  # fmt: skip
def test_a_network_that_leaves_as_another_one_is_led_back(hook: str, rule: str, fix: str) -> None:
    there = Chain(hook, (Rule(1, rule, rule_statements(rule), handle=7),), hook, type="nat")
    table = Table("nft", "ip", "t", (Chain("prerouting", (), "prerouting", type="nat"), there))
    network = edited(tutorial(), "host", ruleset=Ruleset((), (table,)))
    routes = (via("10.101.0.0/24", "203.0.113.2", 2), *network["internet"].routes)
    cause = chosen(edited(network, "internet", routes=routes), "internet", "10.101.0.3")
    assert (cause.code, lines(cause)) == ("dnat-missing", [fix])


SERVICES = {"rule": {"chain": "pre", "handle": 11, "expr": [{"vmap": {"key": {"concat": [
    {"meta": {"key": "l4proto"}}, payload("th", "dport")]}, "data": "@ports"}}]}}  # fmt: skip


def without_a_service(other: int | None, name: str) -> Snapshot:
    """The element of a map is for another port, or gone, and nothing leads to the chain of this name any more."""
    pod = {"rule": {"chain": name, "handle": 12, "expr": [{"dnat": {"family": "ip", "addr": "172.17.0.3", "port": 80}}]}}
    away = {"rule": {"chain": "away", "handle": 13, "expr": [DROP]}}
    chains = ({"chain": {"name": name, "handle": 3}}, {"chain": {"name": "away", "handle": 4}})
    elements = [[{"concat": ["udp", 53]}, {"goto": {"target": "away"}}]]
    elements += [[{"concat": ["tcp", other]}, {"goto": {"target": name}}]] if other else []
    known = mapped("ports", ["inet_proto", "inet_service"], "verdict", *elements)
    ruleset = nft_table(hooked("pre", "prerouting", "nat"), *chains, known, SERVICES, pod, away, family="ip")
    network = edited(edited(tutorial(), "host", ruleset=ruleset), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    return edited(network, "host", sockets=(Socket("tcp", "0.0.0.0", 22, "listen"),))


@pytest.mark.parametrize("other", [8081, None])
def test_a_map_that_lacks_a_service(other: int | None) -> None:
    cause = connecting(without_a_service(other, "pod"), "red", "10.0.0.1", 8080)
    assert (cause.code, lines(cause)) == ("dnat-missing", ["nft add element ip t ports { tcp . 8080 : goto pod }"])


@pytest.mark.parametrize("other", [8081, None])
def test_a_name_that_is_more_than_a_name_is_in_no_command(other: int | None) -> None:
    cause = connecting(without_a_service(other, "pod }; flush ruleset"), "red", "10.0.0.1", 8080)
    assert "flush" not in " ".join(lines(cause))


def test_what_maps_a_network_and_is_passed_over() -> None:
    texts = ("snat ip prefix to ip saddr map { 172.17.0.0/24 : 10.101.0.0/24 }", "ip daddr 10.101.0.0/24 dnat ip prefix to 172.17.0.0/24")
    out, back = (Rule(2, text, rule_statements(text), handle=7) for text in texts)
    first = Rule(1, "accept", rule_statements("accept"), handle=8)
    hooks = (("prerouting", (first, back)), ("postrouting", (out,)))
    table = Table("nft", "ip", "t", tuple(Chain(hook, rules, hook, type="nat") for hook, rules in hooks))
    network = edited(tutorial(), "host", ruleset=Ruleset((), (table,)))
    routes = (via("10.101.0.0/24", "203.0.113.2", 2), *network["internet"].routes)
    cause = chosen(edited(network, "internet", routes=routes), "internet", "10.101.0.3")
    assert (cause.code, lines(cause)) == ("dnat-missing", ["nft delete rule ip t prerouting handle 8"])


def test_a_set_of_those_who_alone_are_not_turned_away() -> None:
    """The rule that refuses says who may speak at a door."""
    who = {"concat": [{"meta": {"key": "iifname"}}, payload("ip", "saddr")]}
    refuses = {"rule": {"chain": "pass", "handle": 12, "expr": [test(who, "@known", "!="), DROP]}}
    known = held("known", ["ifname", "ipv4_addr"], {"concat": ["br0", "10.0.0.77"]}, {"concat": ["docker0", "172.17.0.3"]})
    ruleset = nft_table(hooked("pass", "forward", "filter"), known, refuses)
    cause = chosen(edited(tutorial(), "host", ruleset=ruleset), "red", "172.17.0.3")
    assert lines(cause) == ['nft add element inet t known { "br0" . 10.0.0.2 }']


@pytest.mark.parametrize(("others", "added"), [
    (["10.9.0.0/16"], "10.0.0.0/16"), (["10.0.5.0/24"], "10.0.0.2"), ([], "10.0.0.2"),
])  # fmt: skip
def test_a_set_of_networks_gets_the_network(others: list[str], added: str) -> None:
    """Unless one that it has is of it."""
    known = {"set": {"name": "known", "type": "ipv4_addr", "handle": 5, "flags": ["interval"],
                     "elem": [{"prefix": {"addr": each.partition("/")[0], "len": int(each[-2:])}} for each in others]}}  # fmt: skip
    lets = {"rule": {"chain": "pass", "handle": 12, "expr": [test(payload("ip", "saddr"), "@known"), ACCEPT]}}
    ruleset = nft_table(hooked("pass", "forward", "filter", "drop"), known, lets, ANSWERS)
    cause = chosen(edited(tutorial(), "host", ruleset=ruleset), "red", "172.17.0.3")
    assert lines(cause) == [f"nft add element inet t known {{ {added} }}"]


def test_a_map_of_services_maps_no_network() -> None:
    """What it has for a key may be an address with a port."""
    there = Term("concat", args=(Term("value", "172.17.0.3"), Term("value", "80")))
    pairs = Term("set", args=(Term("pair", args=(Term("value", "80"), there)),))
    leads = Statement("dnat", right=Term("map", args=(Term("key", "tcp dport"), pairs)))
    table = Table("nft", "ip", "t", (Chain("prerouting", (Rule(1, "", (leads,), handle=3),), "prerouting", type="nat"),))
    network = edited(tutorial(), "host", ruleset=Ruleset((), (table,)))
    routes = (via("10.101.0.0/24", "203.0.113.2", 2), *network["internet"].routes)
    assert chosen(edited(network, "internet", routes=routes), "internet", "10.101.0.3").code == "route-loop"


@pytest.mark.parametrize(("held_for", "code"), [("br0", "filtered-by-rule"), ("eth0", "policy-drop")])
def test_a_map_lacks_no_name_that_it_holds(held_for: str, code: str) -> None:
    """Names stand in quotation marks in commands, and without in what the kernel says."""
    looked = {"rule": {"chain": "pass", "handle": 12, "expr": [{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@doors"}}]}}
    inside = {"rule": {"chain": "inside", "handle": 13, "expr": [DROP]}}
    spare = {"rule": {"chain": "spare", "handle": 14, "expr": [ACCEPT]}}
    chains = ({"chain": {"name": "inside", "handle": 3}}, {"chain": {"name": "spare", "handle": 4}})
    known = mapped("doors", ["ifname"], "verdict", [held_for, {"goto": {"target": "inside"}}], ["docker0", {"accept": None}])
    ruleset = nft_table(hooked("pass", "forward", "filter", "drop"), *chains, known, looked, inside, spare)
    snapshot = edited(tutorial(), "host", ruleset=ruleset)
    lost = lost_in(snapshot, "red", "172.17.0.3")
    assert lost.stop is not None
    assert lost.stop.code == code
    loss = Loss.of(snapshot, lost, lost.stop)
    made = [each.stop.commands[0].words[-1] for each in lacking.candidates(loss)]
    assert ('{ "br0" : goto spare }' in made) is (held_for != "br0")
