"""A port that rules let through to a station behind, where the rule that led there is gone."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from test_published import cause, fix

from netprobe.model import Snapshot, Socket

OPEN = "-A FORWARD -d 172.17.0.3/32 -p tcp -m tcp --dport {} -j ACCEPT\n-A FORWARD -i docker0 -j ACCEPT"
TRANSLATED = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\n-A FORWARD -i docker0 -j ACCEPT"


def network(rules: str, refuses: str = "ACCEPT") -> Snapshot:
    saved = f"*filter\n:INPUT {refuses} [0:0]\n:FORWARD DROP [0:0]\n{rules}\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT"
    listening = edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    return edited(listening, "host", ruleset=iptables(saved), sockets=(Socket("tcp", "0.0.0.0", 22, "listen"),))


@pytest.mark.parametrize(("asked", "let"), [(80, 80), (8080, 80)])
def test_to_the_station_that_a_rule_names(asked: int, let: int) -> None:
    said = cause(network(OPEN.format(let)), "red", "10.0.0.1", asked)
    led = f"iptables -t nat -A PREROUTING -p tcp -d 10.0.0.1 --dport {asked} -j DNAT --to-destination 172.17.0.3:{let}"
    assert (said.code, fix(said)) == ("dnat-missing", [led])


@pytest.mark.parametrize(("refuses", "code"), [("DROP", "dnat-missing"), ("ACCEPT", "port-closed")])
def test_to_who_listens_where_the_router_refuses_it_itself(refuses: str, code: str) -> None:
    """Where it lets the port in, a program of its own is what is missing."""
    assert cause(network(TRANSLATED, refuses), "red", "10.0.0.1", 80).code == code


def test_not_to_a_port_on_which_nobody_listens() -> None:
    assert cause(network(OPEN.format(443)), "red", "10.0.0.1", 443).code == "port-closed"


def test_not_to_who_is_not_in_sight() -> None:
    """A rule that lets a machine be reached which nobody here sees may be for those who ask it by its own address."""
    assert cause(network(OPEN.format(80).replace("172.17.0.3", "192.168.1.2"), "DROP"), "red", "10.0.0.1", 25).code == "policy-drop"


def test_to_another_port_is_a_guess() -> None:
    """Where a rule for the port itself refuses it, that comes first."""
    snapshot = network(f"-A INPUT -p tcp -m tcp --dport 22 -j DROP\n{OPEN.format(80)}")
    assert cause(snapshot, "red", "10.0.0.1", 22).code == "filtered-by-rule"
