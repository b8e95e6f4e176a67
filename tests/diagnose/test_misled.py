"""Rules that lead to another chain than they were to."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables, nft_table, payload, test
from networks import edited, tutorial
from predict.networks import via, with_link_locals
from test_mistyped import of_tcp
from test_repair_whole import after, ask, chosen, said

from netprobe.model import Ruleset, Socket

STATES = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
LAN, CONTAINERS = "-A lan -s 10.0.0.0/16 -j ACCEPT", "-A containers -s 172.17.0.0/16 -j ACCEPT"


def filtering(*lines: str) -> Ruleset:
    heads = ("*filter", ":FORWARD DROP [0:0]", ":lan - [0:0]", ":containers - [0:0]")
    return iptables("\n".join((*heads, STATES, *lines, LAN, CONTAINERS, "COMMIT", "")))


@pytest.mark.parametrize(
    ("jumps", "fix"),
    [
        (("-A FORWARD -i docker0 -j containers", "-A FORWARD -i br0 -j containers"), "-R FORWARD 3 -i br0 -j lan"),
        (("-A FORWARD -i br0 -j containers",), "-I FORWARD -i br0 -j lan"),  # else none would lead to the other
    ],
)
def test_of_two_rules_that_lead_to_one_chain_one_was_to_lead_to_that_which_none_leads_to(jumps: tuple[str, ...], fix: str) -> None:
    found = chosen(edited(tutorial(), "host", ruleset=filtering(*jumps)), ask("red", "8.8.8.8"))
    assert said(found) == [f"host: iptables {fix}"]


def test_a_hook_leads_to_the_chain_of_all_services_and_not_to_that_of_one() -> None:
    """As the other hook does."""
    heads = ("*nat", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":services - [0:0]", ":web - [0:0]", ":mail - [0:0]")
    ports = [f"-A services -d 203.0.113.2/32 -p tcp -m tcp --dport {port} -j {name}" for port, name in ((80, "web"), (25, "mail"))]
    to = ("-A web -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2", "-A mail -p tcp -j DNAT --to-destination 172.17.0.3")
    saved = "\n".join((*heads, "-A PREROUTING -j web", "-A OUTPUT -j services", *ports, *to, "COMMIT", ""))
    network = edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 25, "listen"),))
    found = chosen(edited(network, "host", ruleset=iptables(saved), sockets=()), of_tcp("internet", "203.0.113.2", 25))
    assert said(found) == ["host: iptables -t nat -R PREROUTING 1 -j services"]


def test_each_hook_leads_to_the_chain_of_all_services() -> None:
    """One that lost its rule there is no better goal for a hook."""
    heads = ("*nat", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":services - [0:0]", ":mail - [0:0]", ":web - [0:0]")
    led = ("-A PREROUTING -j services", "-A OUTPUT -j services", "-A services -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j web")
    to = ("-A web -p tcp -j DNAT --to-destination 172.17.0.2", "-A mail -p tcp -j DNAT --to-destination 172.17.0.3")
    saved = "\n".join((*heads, *led, *to, "COMMIT", ""))
    network = edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 25, "listen"),))
    found = chosen(edited(network, "host", ruleset=iptables(saved), sockets=()), of_tcp("internet", "203.0.113.2", 25))
    every = (found.stop, *(each.stop for each in found.others))
    assert not [command for each in every for command in each.commands if "-R" in command.words]


@pytest.mark.parametrize(
    ("sender", "fix"),
    [
        ("-s 172.17.0.0/16", ["host: iptables -t nat -I web 1 -s 10.0.0.0/16 -j there"]),
        ("-m iprange --src-range 172.17.0.1-172.17.0.9", []),  # no network, in the place of which another could be put
    ],
)
def test_a_chain_leads_on_what_comes_from_the_networks_that_it_names(sender: str, fix: list[str]) -> None:
    heads = ("*nat", ":PREROUTING ACCEPT [0:0]", ":web - [0:0]", ":there - [0:0]")
    led = ("-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j web", f"-A web {sender} -j there")
    saved = "\n".join((*heads, *led, "-A there -p tcp -j DNAT --to-destination 172.17.0.2:80", "COMMIT", ""))
    network = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    found = chosen(edited(network, "host", ruleset=iptables(saved), sockets=()), of_tcp("red", "203.0.113.2", 8080))
    assert [line for line in said(found) if " web " in line] == fix


def zones(*elements: list[Any]) -> Ruleset:
    """A firewall that leads to its zones by a map, and to that of red by nothing."""
    came: dict[str, Any] = {"meta": {"key": "iifname"}}
    mapped: dict[str, Any] = {"vmap": {"key": came, "data": "@zones"}}
    of_red = test(payload("ip", "saddr"), {"prefix": {"addr": "10.0.0.0", "len": 16}})
    known = {"elem": [*elements]} if elements else {}
    return nft_table(
        {"chain": {"name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
        {"chain": {"name": "containers", "handle": 2}},
        {"chain": {"name": "lan", "handle": 3}},
        {"chain": {"name": "others", "handle": 4}},
        {"map": {"name": "zones", "handle": 5, "type": "ifname", "map": "verdict", **known}},
        {"rule": {"chain": "f", "handle": 11, "expr": [mapped]}},
        {"rule": {"chain": "f", "handle": 12, "expr": [test(came, "eth0"), {"accept": None}]}},
        {"rule": {"chain": "f", "handle": 13, "expr": [{"jump": {"target": "others"}}]}},
        {"rule": {"chain": "containers", "handle": 14, "expr": [{"accept": None}]}},
        {"rule": {"chain": "lan", "handle": 15, "expr": [of_red, {"accept": None}]}},
    )


@pytest.mark.parametrize(("elements", "word"), [([["docker0", {"goto": {"target": "containers"}}]], "lan"), ([], "accept")])
def test_a_map_of_which_all_is_known_leads_nowhere_else(elements: list[Any], word: str) -> None:
    found = chosen(edited(tutorial(), "host", ruleset=zones(*elements)), ask("red", "8.8.8.8"))
    assert word in said(found)[0]


@pytest.mark.parametrize(
    ("sent", "known", "led"),
    [("192.0.2.0/24", None, True), ("192.0.2.0/24", "fe80::7", True), ("2001:db8::/64", "fe80::7", False)],
)
def test_a_router_on_a_segment_without_a_network_is_reached_by_its_link_local_address(sent: str, known: str | None, led: bool) -> None:
    """Where IPv4 is sent to such addresses, and of several by the one that other routes use."""
    cable = ("host: ip address del 203.0.113.2/24 dev eth0", "internet: ip address del 203.0.113.1/24 dev eth0")
    network = with_link_locals(after(tutorial(), *cable))
    network = after(network, "internet: ip address add fe80::7/64 dev eth0", "internet: ip address add 198.51.100.1/24 dev lo")
    [link] = [each for each in network["host"].links if each.name == "eth0"]
    other = via(sent, known or "fe80::9", link.index)
    network = edited(network, "host", routes=(*network["host"].routes, other), ruleset=None)
    first = said(chosen(network, ask("red", "198.51.100.1")))[0]
    assert first.startswith("host: ip -4 route add 198.51.100.0/24 via inet6 fe80::") is led
    assert ("fe80::7" in first) is (led and known is not None)
