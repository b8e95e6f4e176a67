"""One value that is of nothing here, in whatever kind of row: what the packet has in its place is meant."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_mistyped import of_tcp
from test_policy_siblings import by_table, sorted_rules
from test_policy_values import rule
from test_repair_whole import ask, chosen, said

from netprobe.model import Probe, Snapshot, Socket

PING, WEB = ask("red", "8.8.8.8"), of_tcp("red", "8.8.8.8", 8080)


def listening(snapshot: Snapshot, name: str, *ports: int) -> Snapshot:
    return edited(snapshot, name, sockets=tuple(Socket("tcp", "0.0.0.0", port, "listen") for port in ports))


@pytest.mark.parametrize(
    ("fields", "asked", "old", "new"),
    [
        ({"iif": "br1"}, PING, "iif br1", "iif br0"),
        ({"src": "10.0.0.0/16", "dst": "8.8.9.8/32"}, PING, "to 8.8.9.8/32", "to 8.8.8.8/32"),
        ({"protocol": 17, "dports": (8080, 8080)}, WEB, "ipproto udp dport 8080-8080", "ipproto tcp dport 8080-8080"),
        ({"protocol": 6, "dports": (8800, 8800)}, WEB, "dport 8800-8800", "dport 8080"),
    ],
)
def test_a_policy_rule_is_for_what_is_there(fields: dict[str, Any], asked: Probe, old: str, new: str) -> None:
    """Table 220 has the way out, and main refuses."""
    found = said(chosen(listening(by_table(*sorted_rules(rule(**fields))), "internet", 8080), asked))
    assert found[1] == found[0].replace("rule del", "rule add").replace(old, new)


@pytest.mark.parametrize(
    "fields",
    [
        {"src": "10.0.0.0/16", "dst": "1.1.1.1/32"},  # of the world, whatever is there
        {"iif": "br+"},  # of any that is called so
        {"protocol": 17, "dports": (443, 443)},  # which is for both
        {"protocol": 6, "dports": (8081, 8081)},  # where the usual one was not free
    ],
)
def test_a_policy_rule_for_what_may_be_there_is_as_it_was_meant(fields: dict[str, Any]) -> None:
    asked = WEB if "dports" in fields else PING
    found = said(chosen(listening(by_table(*sorted_rules(rule(**fields))), "internet", 8080), asked))
    assert not any("rule del" in each for each in found)


def publishing(*rules: str) -> Snapshot:
    """The host leads ports to c1 and c2, which listen on 80, and has a program of its own on 22."""
    text = "\n".join(("*nat", ":PREROUTING ACCEPT [0:0]", *(f"-A PREROUTING {each}" for each in rules), "COMMIT", ""))
    network = listening(edited(tutorial(), "host", ruleset=iptables(text)), "host", 22)
    routes = (*network["internet"].routes, via("172.17.0.0/16", "203.0.113.2", 2))
    return edited(listening(listening(network, "c1", 80), "c2", 80), "internet", routes=routes)


LED = "-p tcp -m tcp --dport {} -j DNAT --to-destination {}:80"
OTHER = LED.format(8081, "172.17.0.3")


@pytest.mark.parametrize(("wrong", "right"), [("-i eth1", "-i eth0"), ("-d 203.0.113.3/32", "-d 203.0.113.2/32")])
def test_a_port_is_published_where_it_is_asked_for(wrong: str, right: str) -> None:
    one = LED.format(8080, "172.17.0.2")
    found = chosen(publishing(f"{wrong} {one}", f"{right} {OTHER}"), of_tcp("internet", "203.0.113.2", 8080))
    assert said(found) == [f"host: iptables -t nat -R PREROUTING 1 {right} {one}"]


def test_a_translation_is_for_a_network_of_somebody() -> None:
    rules = ("-A POSTROUTING -s 10.1.0.0/16 -o eth0 -j MASQUERADE", "-A POSTROUTING -s 172.17.0.0/16 -o eth0 -j MASQUERADE")
    text = "\n".join(("*nat", ":POSTROUTING ACCEPT [0:0]", *rules, "COMMIT", ""))
    unknown = tuple(each for each in tutorial()["internet"].routes if each.dst != "10.0.0.0/16")
    network = edited(edited(tutorial(), "internet", routes=unknown), "host", ruleset=iptables(text))
    found = said(chosen(network, ask("red", "8.8.8.8")))
    assert found == ["host: iptables -t nat -R POSTROUTING 1 -s 10.0.0.0/16 -o eth0 -j MASQUERADE"]
