"""What ebtables looks at in frames between two ports of a bridge, against the kernel."""

from __future__ import annotations

import pytest
from asking import ask, once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ("-p ARP --arp-htype 1 --arp-ptype 0x0800 -j DROP", False),
        ("-p ARP --arp-gratuitous -j DROP", True),
        ("-p ARP ! --arp-gratuitous -j DROP", False),
        ("-p IPv4 --ip-tos 0x00 -j DROP", False),
        ("-p IPv4 --ip-tos 0x10 -j DROP", True),
        ("-p LENGTH -j DROP", True),
        ("--pkttype-type broadcast -j DROP", False),
        ("--pkttype-type otherhost -p IPv4 -j DROP", False),
        ("--pkttype-type host -j DROP", True),
        ("-o veth9b03c7e -p IPv4 --ip-proto icmp -j DROP", False),
    ],
)
def test_forward(fresh_lab: Lab, rule: str, passes: bool) -> None:
    fresh_lab.run(["ebtables", "-A", "FORWARD", *rule.split()], check=True)
    verdict = "reachable" if passes else "unreachable"
    assert ask(fresh_lab, "why", "-o", "json", "c1", "172.17.0.3").report["verdict"] == verdict
    report = trace(fresh_lab, "c1", "172.17.0.3")
    assert report["verdict"] == verdict
    named = [cause["object"]["id"] for cause in report["causes"]]
    assert named[:1] == ([] if passes else ["ebtables filter FORWARD 1"])


def test_the_policy_of_a_chain_of_ones_own(fresh_lab: Lab) -> None:
    """ebtables-nft keeps it as a last rule that it does not print."""
    for line in ("-N guard -P DROP", "-A guard -p ARP --arp-ip-src 172.17.0.2 -j RETURN", "-A FORWARD -j guard"):
        fresh_lab.run(["ebtables", *line.split()], check=True)
    report = trace(fresh_lab, "c1", "172.17.0.3")
    assert report["verdict"] == "unreachable"
    assert report["causes"][0]["object"]["id"] == "ebtables filter guard policy"


def test_answers_made_by_a_rule_with_a_mac_that_nobody_has(fresh_lab: Lab) -> None:
    line = "-t nat -A PREROUTING -p ARP --arp-ip-dst 172.17.0.3 -j arpreply --arpreply-mac 02:42:ac:11:00:66"
    fresh_lab.run(["ebtables", *line.split()], check=True)
    for report in (ask(fresh_lab, "why", "-o", "json", "c1", "172.17.0.3").report, trace(fresh_lab, "c1", "172.17.0.3")):
        assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "arp-filtered")
        assert report["causes"][0]["object"]["id"] == "ebtables nat PREROUTING 1"
