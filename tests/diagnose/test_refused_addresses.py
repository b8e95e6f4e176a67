"""Addresses for which rules refuse: they are known there, and nobody's."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from test_repair_whole import ask, chosen, said

from netprobe.model import IpSet, IpSetEntry, Ruleset


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("-d 10.96.0.0/16 -j REJECT --reject-with icmp-port-unreachable", "rejected-by-rule"),
        ("-d 10.96.0.10/32 -j services", "rejected-by-rule"),
        ("-m set --match-set addresses dst -j DROP", "filtered-by-rule"),
        ("-i br0 -j REJECT --reject-with icmp-port-unreachable", "addr-missing"),
    ],
)
def test_an_address_for_which_a_rule_refuses_is_not_meant_to_be_the_hosts_own(rule: str, code: str) -> None:
    """A port of it is translated, and the rest is refused: the address of a service, which nobody bears."""
    port = "-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2"
    nat = f"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING {port}\nCOMMIT\n"
    saved = f"*filter\n:FORWARD ACCEPT [0:0]\n:services - [0:0]\n-A FORWARD {rule}\n-A services -j REJECT\nCOMMIT\n"
    named = IpSet("addresses", "hash:net", 4, entries=(IpSetEntry("10.96.0.0/12"),))
    ruleset = Ruleset(tables=(*iptables(nat).tables, *iptables(saved).tables), ipsets=(named,))
    assert chosen(edited(tutorial(), "host", ruleset=ruleset), ask("red", "10.96.0.10")).stop.code == code


@pytest.mark.parametrize("entry", ["8.8.8.8", "8.8.8.0/24"])
def test_a_chain_that_refuses_all_refuses_for_the_set_by_which_it_is_led_to(entry: str) -> None:
    """And what would accept behind the chain that looks there is not too late: that gives the rest back."""
    lines = (
        "FORWARD -i br0 -j guard",
        "FORWARD -i br0 -p icmp -j ACCEPT",
        "guard -m set --match-set bad dst -j refuse",
        "refuse -j REJECT",
    )
    heads = ("*filter", ":FORWARD ACCEPT [0:0]", ":guard - [0:0]", ":refuse - [0:0]", "-A refuse -j REJECT")
    saved = iptables("\n".join((*heads, *(f"-A {each}" for each in lines), "COMMIT", "")))
    named = IpSet("bad", "hash:net", 4, entries=(IpSetEntry(entry), IpSetEntry("192.0.2.1")))
    found = chosen(edited(tutorial(), "host", ruleset=Ruleset(tables=saved.tables, ipsets=(named,))), ask("red", "8.8.8.8"))
    assert (found.stop.code, said(found)) == ("rejected-by-rule", [f"host: ipset del bad {entry}"])
