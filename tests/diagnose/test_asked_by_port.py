"""Rules that ask by which port of a bridge a packet came, where nobody tells them."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from test_beside import chosen, lines

from netprobe.model import Snapshot

KEY = "net.bridge.bridge-nf-call-iptables"


def by_ports(*rules: str, handed: str | None = "0") -> Snapshot:
    """The tutorial's host with rules that forward what they name, and nothing else."""
    host = tutorial()["host"]
    text = "\n".join(("*filter", ":FORWARD DROP [0:0]", ":SG - [0:0]", *(f"-A {each}" for each in rules), "COMMIT"))
    given = {} if handed is None else {KEY: handed}
    sysctls = {key: value for key, value in {**host.sysctls, **given}.items() if handed is not None or key != KEY}
    return edited(tutorial(), "host", ruleset=iptables(text), sysctls=sysctls)


ANSWERS = "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"


@pytest.mark.parametrize(
    "rules",
    [
        ("FORWARD -m physdev --physdev-in veth0 -j ACCEPT",),
        ("FORWARD -m physdev --physdev-in veth+ -j SG", "SG -p icmp -j ACCEPT"),
        ("FORWARD -m physdev --physdev-is-in -j ACCEPT",),
    ],
)
def test_rules_for_a_port_are_told_by_which_port_a_packet_came(rules: tuple[str, ...]) -> None:
    cause = chosen(by_ports(ANSWERS, *rules), "red", "8.8.8.8")
    assert (cause.code, cause.thing.kind, cause.thing.id) == ("policy-drop", "sysctl", KEY)
    assert lines(cause) == [f"sysctl -w {KEY}=1"]


@pytest.mark.parametrize(
    ("rule", "handed"),
    [
        ("FORWARD -m physdev --physdev-in veth9 -j ACCEPT", "0"),  # of another port: to be told would not help
        ("FORWARD -i br9 -j ACCEPT", "0"),  # nobody asks
        ("FORWARD -m physdev --physdev-in veth0 -j ACCEPT", None),  # br_netfilter is not there
    ],
)
def test_nothing_is_told_to_whom_it_would_not_help(rule: str, handed: str | None) -> None:
    cause = chosen(by_ports(ANSWERS, rule, handed=handed), "red", "8.8.8.8")
    assert (cause.code, cause.thing.id) == ("policy-drop", "iptables filter FORWARD policy")
