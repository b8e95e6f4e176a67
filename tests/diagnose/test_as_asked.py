"""Rules for a published port that name it as it is asked for, where they see it as it was led on."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_published import cause, fix
from test_published_to import web

from netprobe.model import Chain, Rule, Ruleset, Snapshot, Table
from netprobe.rules.read.nft_text import rule_statements

NAT = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:USER - [0:0]
-A FORWARD -j USER
"""


def network(*rules: str) -> Snapshot:
    lines = "\n".join(f"-A {each}" for each in rules)
    return led(iptables(f"{NAT}{lines}\nCOMMIT"))


def led(ruleset: Ruleset) -> Snapshot:
    return edited(edited(tutorial(), "c1", sockets=(web(80),)), "host", ruleset=ruleset)


ANSWERS = "USER -i docker0 -j RETURN"


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ("USER -i eth0 -p tcp -m tcp --dport 8080 -j RETURN", "USER 2 -i eth0 -p tcp -m tcp --dport 80 -j RETURN"),
        ("USER -d 203.0.113.2/32 -p tcp -j ACCEPT", "USER 2 -d 172.17.0.2/32 -p tcp -j ACCEPT"),
        (
            "USER -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j ACCEPT",
            "USER 2 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT",
        ),
    ],
)
def test_a_rule_for_a_published_port_is_for_what_it_becomes(rule: str, meant: str) -> None:
    said = cause(network(ANSWERS, rule, "USER -i eth0 -j DROP"), "internet", "203.0.113.2", 8080)
    assert fix(said) == [f"iptables -R {meant}"]
    assert (said.code, said.thing.id) == ("filtered-by-rule", "iptables filter USER 2")


def test_answers_have_the_port_of_the_program_until_they_leave() -> None:
    rules = ("USER -i eth0 -j RETURN", "USER -o eth0 -p tcp -m tcp --sport 8080 -j RETURN", "USER -o eth0 -j DROP")
    said = cause(network(*rules), "internet", "203.0.113.2", 8080)
    assert fix(said) == ["iptables -R USER 2 -o eth0 -p tcp -m tcp --sport 80 -j RETURN"]


def test_the_same_of_nft_and_its_policy() -> None:
    nat, asked = "ip daddr 203.0.113.2 tcp dport 8080 dnat to 172.17.0.2:80", 'iifname "eth0" tcp dport 8080 accept'
    made = [
        Rule(at, each, tuple(rule_statements(each)), handle=10 + at) for at, each in enumerate((nat, 'iifname "docker0" accept', asked))
    ]
    chains = (
        Chain("pre", (made[0],), "prerouting", type="nat", priority=-100),
        Chain("fwd", tuple(made[1:]), "forward", type="filter", policy="drop"),
    )
    said = cause(led(Ruleset((), (Table("nft", "ip", "fw", chains),))), "internet", "203.0.113.2", 8080)
    assert fix(said) == ['nft replace rule ip fw fwd handle 12 iifname "eth0" tcp dport 80 accept']


def test_a_port_that_nobody_led_on_is_meant_as_it_is_said() -> None:
    rules = ("USER -i eth0 -p tcp -m tcp --dport 8080 -j RETURN", "USER -i eth0 -j DROP")
    direct = (*tutorial()["internet"].routes, via("172.17.0.0/16", "203.0.113.2", 2))
    said = cause(edited(network(ANSWERS, *rules), "internet", routes=direct), "internet", "172.17.0.2", 80)
    assert said.thing.id == "iptables filter USER 3"
