"""What a rule writes into a header is there for the rules further on: in the same namespace, in the next one, in the answer; and limits."""

from __future__ import annotations

import pytest
from asking import once
from questions import C2, FAR, Probe
from witness import said, wrong

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, once]

MARKED = "-t mangle -A POSTROUTING -o eth0 -j TOS --set-tos"


@pytest.mark.parametrize(
    ("rules", "probe"),
    [
        (("host: -t mangle -A PREROUTING -j TOS --set-tos 0x01", "host: -A FORWARD -m tos --tos 0x01 -j DROP"), Probe("red", C2)),
        (("host: -t mangle -A PREROUTING -j TOS --set-tos 0x01", "host: -A FORWARD -m dscp --dscp 0 -j DROP"), Probe("red", C2)),
        (("host: -t mangle -A PREROUTING -j TOS --set-tos 0x04", "host: -A FORWARD -m tos --tos 0x01 -j DROP"), Probe("red", C2)),
        ((f"host: {MARKED} 0x21", "internet: -A INPUT -m tos --tos 0x21 -j DROP"), Probe("red", FAR)),
        ((f"host: {MARKED} 0x21", "internet: -A INPUT -m ecn --ecn-ip-ect 2 -j DROP"), Probe("red", FAR)),
        ((f"host: {MARKED} 0x20", "host: -A FORWARD -i eth0 -m tos --tos 0x20 -j DROP"), Probe("red", FAR)),
        ((f"host: {MARKED} 0x20", "host: -A FORWARD -i eth0 -m tos --tos 0x20 -j DROP"), Probe("red", FAR, "tcp", 80)),
        (("host: -A FORWARD -p tcp -m conntrack --ctstate NEW -m tcpmss ! --mss 536:65535 -j DROP",), Probe("red", FAR, "tcp", 80)),
        (("host: -A FORWARD -p tcp --syn -m tcpmss --mss 1460 -j DROP",), Probe("red", FAR, "tcp", 80)),
        (("host: -A FORWARD -m string --string BitTorrent --algo bm -j DROP",), Probe("red", FAR, "tcp", 80)),
        (("host: -t mangle -A PREROUTING -m socket -j DROP",), Probe("red", FAR, "tcp", 80)),
    ],
)
def test_headers(fresh_lab: Lab, rules: tuple[str, ...], probe: Probe) -> None:
    for line in rules:
        namespace, _, words = line.partition(": ")
        fresh_lab.run(["iptables", *words.split()], namespace, check=True)
    assert not wrong(fresh_lab, probe)


def test_a_limit_that_both_ways_meet_is_noted_once(fresh_lab: Lab) -> None:
    for words in ("-p icmp -m limit --limit 1/sec -j ACCEPT", "-p icmp -j DROP"):
        fresh_lab.run(["iptables", "-A", "FORWARD", *words.split()], check=True)
    report = said(fresh_lab, Probe("red", FAR))
    assert report["verdict"] == "reachable"
    assert [note for note in report["notes"] if "limit" in note] == [
        "iptables filter FORWARD 1 decides by -m limit --limit 1/sec: it lets some packets pass and not others"
    ]
