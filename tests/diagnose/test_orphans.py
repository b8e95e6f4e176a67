"""Chains that nothing leads to: one that asks for something of the packet was lost, one that lets all through tells nothing."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from test_beside import chosen, lines

LED = "iptables -I FORWARD -i br0 -j lan"
CASES = [
    (("-A lan -s 10.0.0.0/16 -j ACCEPT",), LED),
    (("-A lan -j ACCEPT",), None),  # ufw has such chains for each policy, and uses one
    (("-A lan -s 10.0.0.0/16 -j ACCEPT", "-A wan -i eth0 -p icmp -j ACCEPT"), None),
    (("-A lan -s 10.0.0.0/16 -j ACCEPT", "-A wan -j ACCEPT"), LED),
]


@pytest.mark.parametrize(("rules", "line"), CASES)
def test_a_jump_is_put_back_to_the_one_that_was_for_such_packets(rules: tuple[str, ...], line: str | None) -> None:
    """The chain of the containers is led to, and so is a part of the same ruleset."""
    heads = ":FORWARD DROP [0:0]\n:lan - [0:0]\n:wan - [0:0]\n:containers - [0:0]\n"
    led = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i docker0 -j containers\n"
    every = "\n".join((*rules, "-A containers -s 172.17.0.0/16 -j ACCEPT"))
    snapshot = edited(tutorial(), "host", ruleset=iptables(f"*filter\n{heads}{led}{every}\nCOMMIT\n"))
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (lines(cause)[0] == LED) is (line is not None)
    assert cause.code == "policy-drop"
