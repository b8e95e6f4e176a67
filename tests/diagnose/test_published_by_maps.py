"""Ports and addresses that nft publishes by a map or a set: what these lack, and where their elements lead."""

from __future__ import annotations

import pytest
from literal_rules import nft_table, payload, test
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial
from test_published import cause, fix, network, web

from netprobe.diagnose.repair.candidates import lacking
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, Protocol, Rule, Ruleset, Snapshot, Socket, Stage, Table
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.nft_text import rule_statements


def with_a_map(*ports: int, to: object = "172.17.0.2") -> Snapshot:
    """The host publishes c1's ports by a map of nft; c1 listens on both."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    elements = [[port, to] for port in ports]
    data = ["ipv4_addr", "inet_service"] if to != "172.17.0.2" else "ipv4_addr"
    named = {"map": {"name": "ports", "handle": 2, "type": "inet_service", "map": data, "elem": elements}}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": "@ports"}}}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [test({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), led]}}
    listening = tuple(web(port) for port in (8080, 8443))
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    return edited(snapshot, "c1", sockets=listening)


def test_a_port_that_the_map_of_published_ports_lacks() -> None:
    found = cause(with_a_map(8443), "internet", "203.0.113.2", 8080)
    assert found.code == "dnat-missing"
    assert [" ".join(map(str, each.words)) for each in found.commands] == ["nft add element ip t ports { 8080 : 172.17.0.2 }"]


@pytest.mark.parametrize(("c1", "c2"), [((8443,), (8080,)), ((8443,), (8080, 8443))])
def test_a_map_of_addresses_leads_to_another_station_and_to_no_other_port(c1: tuple[int, ...], c2: tuple[int, ...]) -> None:
    """c1 listens on the other one of its two ports, to which such a map cannot lead: the kernel refuses what is no address."""
    network = edited(with_a_map(8080), "c1", sockets=tuple(map(web, c1)))
    found = cause(edited(network, "c2", sockets=tuple(map(web, c2))), "internet", "203.0.113.2", 8080)
    lines = ["nft delete element ip t ports { 8080 }", "nft add element ip t ports { 8080 : 172.17.0.3 }"]
    assert (found.code, fix(found)) == ("dnat-dead-target", lines)


def test_an_element_has_the_port_of_a_program_apart() -> None:
    snapshot = with_a_map(8080, 8443, to={"concat": ["172.17.0.2", 9090]})
    found = cause(edited(snapshot, "c1", sockets=(web(8000),)), "internet", "203.0.113.2", 8080)
    assert fix(found) == [
        "nft delete element ip t ports { 8080 }",
        "nft add element ip t ports { 8080 : 172.17.0.2 . 8000 }",
    ]


def test_a_map_of_published_ports_in_which_nothing_is_left() -> None:
    """Who was published no rule tells any more."""
    found = cause(with_a_map(), "internet", "203.0.113.2", 8080)
    assert (found.code, found.thing.id) == ("dnat-missing", "nft ip t ports")
    assert [" ".join(map(str, each.words)) for each in found.commands] == ["nft add element ip t ports { 8080 : TARGET }"]


@pytest.mark.parametrize(("address", "code"), [("203.0.113.2", "dnat-missing"), ("203.0.113.7", "port-closed")])
def test_an_address_that_is_there_to_be_led_on_by_a_mark(address: str, code: str) -> None:
    """And nothing marks this packet."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"map": {"name": "backs", "handle": 2, "type": "mark", "map": "ipv4_addr", "elem": [[1, "172.17.0.2"]]}}
    led = {"dnat": {"addr": {"map": {"key": {"meta": {"key": "mark"}}, "data": "@backs"}}}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [test(payload("ip", "daddr"), address), led]}}
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    assert cause(snapshot, "internet", "203.0.113.2", 8080).code == code


def test_a_port_that_a_map_has_and_the_rule_does_not_ask_for() -> None:
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    known = {"set": [[8080, "172.17.0.2"], [8443, "172.17.0.2"]]}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": known}}}}
    asked = [test(payload("ip", "daddr"), "203.0.113.2"), test(payload("tcp", "dport"), {"set": [77, 8443]}), led]
    rules = nft_table(chain, {"rule": {"chain": "p", "handle": 3, "expr": asked}}, family="ip")
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=())
    found = [cause(snapshot, "internet", "203.0.113.2", port).code for port in (8080, 8081)]
    assert found == ["dnat-missing", "port-closed"]


def test_what_lets_all_pass_before_the_map_that_leads_to_the_rule_that_publishes() -> None:
    chains = [{"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}]
    chains += [{"chain": {"name": "web", "handle": 2}}]
    ports = {"set": [[8080, {"goto": {"target": "web"}}]]}
    rules = [[{"accept": None}], [{"vmap": {"key": payload("tcp", "dport"), "data": ports}}]]
    objects = [*chains, *({"rule": {"chain": "p", "handle": 3 + n, "expr": rule}} for n, rule in enumerate(rules))]
    led = {"rule": {"chain": "web", "handle": 9, "expr": [{"dnat": {"addr": "172.17.0.2"}}]}}
    snapshot = edited(tutorial(), "host", ruleset=nft_table(*objects, led, family="ip"), sockets=())
    said = cause(edited(snapshot, "c1", sockets=(web(8080),)), "internet", "203.0.113.2", 8080)
    assert (said.code, fix(said)) == ("dnat-missing", ["nft delete rule ip t p handle 3"])


@pytest.mark.parametrize(("asked", "count"), [("172.17.0.2", 0), ("203.0.113.2", 1)])
def test_a_map_of_who_hands_on_what_is_for_a_station_lacks_nothing(asked: str, count: int) -> None:
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"map": {"name": "m", "handle": 2, "type": "inet_service", "map": "verdict", "elem": [[22, {"drop": None}]]}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [{"vmap": {"key": payload("tcp", "dport"), "data": "@m"}}]}}
    led = {"rule": {"chain": "web", "handle": 9, "expr": [{"dnat": {"addr": "172.17.0.9"}}]}}
    rules = nft_table(chain, {"chain": {"name": "web", "handle": 4}}, named, rule, led, family="ip")
    snapshot = edited(edited(tutorial(), "host", ruleset=rules, sockets=()), "c1", sockets=())
    probing = probe("red", asked, Protocol.TCP, source_port=40000)
    lost = predict(snapshot, replace(probing, destination=replace(probing.destination, port=8080)), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert len([*lacking.candidates(Loss.of(snapshot, lost, lost.stop))]) == count


@pytest.mark.parametrize("held", [(), ("192.0.2.7",)])
def test_an_address_that_the_set_of_published_addresses_lacks(held: tuple[str, ...]) -> None:
    """kube-proxy publishes ports of nodes at the addresses of a set."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"set": {"name": "nodes", "handle": 2, "type": "ipv4_addr", "elem": [*held]}}
    rule = {
        "rule": {"chain": "p", "handle": 3, "expr": [test(payload("ip", "daddr"), "@nodes"), {"dnat": {"addr": "172.17.0.2", "port": 80}}]}
    }
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    found = cause(edited(snapshot, "c1", sockets=(web(80),)), "internet", "203.0.113.2", 8080)
    assert (found.code, found.place.stage, fix(found)) == ("dnat-missing", Stage.PREROUTING, ["nft add element ip t nodes { 203.0.113.2 }"])


@pytest.mark.parametrize(("listening", "code"), [((), "dnat-missing"), ((web(443),), "policy-drop")])
def test_a_port_that_the_map_lacks_and_the_host_neither_opens_nor_serves(listening: tuple[Socket, ...], code: str) -> None:
    """To open the host's own input would bring nobody to a program."""
    named = {"name": "ports", "type": "inet_service", "map": "ipv4_addr", "elem": [[80, "172.17.0.2"]]}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": "@ports"}}}}
    chain = {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}
    inner = {"name": "inp", "handle": 2, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}
    rules = nft_table({"map": named}, {"chain": chain}, {"chain": inner}, {"rule": {"chain": "pre", "handle": 3, "expr": [led]}})
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=listening)
    said = cause(snapshot, "red", "203.0.113.2", 443)
    assert (said.code, said.place.namespace) == (code, "host")


BY_PORT = "tcp dport vmap { 80 : goto web, 443 : goto web }"


@pytest.mark.parametrize(
    ("door", "asked", "line"),
    [
        ('iifname "ens3" ', 80, f'nft replace rule ip nat pre handle 1 iifname "br0" {BY_PORT}'),
        ('iifname "docker0" ', 80, "nft insert rule ip nat pre position 1 tcp dport 80 goto web"),
        ("ip saddr 10.9.0.0/24 ", 443, "nft insert rule ip nat pre position 1 tcp dport 443 goto web"),
        ('iifname "ens3" ', 81, None),
    ],
)
def test_a_port_that_a_map_leads_to_what_publishes_but_not_for_this_packet(door: str, asked: int, line: str | None) -> None:
    rules = [(Rule(1, f"{door}{BY_PORT}", tuple(rule_statements(f"{door}{BY_PORT}")), handle=1),)]
    rules += [(Rule(1, "dnat to 172.17.0.2", tuple(rule_statements("dnat to 172.17.0.2")), handle=2),)]
    chains = (Chain("pre", rules[0], "prerouting", -100, "nat"), Chain("web", rules[1]))
    snapshot = edited(network(listening=(web(80), web(443))), "host", ruleset=Ruleset(tables=(Table("nft", "ip", "nat", chains),)))
    said = cause(snapshot, "red", "10.0.0.1", asked)
    assert (said.code, fix(said)) == (("dnat-missing", [line]) if line else ("port-closed", fix(said)))
