"""IPsec policies, and rules that see what a bridge forwards, are asked about neighbour discovery as about any packet; Linux 6.18 answered
so in a lab of two namespaces."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, tutorial, via, with_link_locals

from netprobe.model import InterfaceAddress, Protocol, Ruleset, Snapshot, Stop, XfrmPolicy
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save

HERE, THERE = "fd00::2", "fd00::3"


@pytest.mark.parametrize(
    ("policy", "blocked"),
    [
        (XfrmPolicy("in", "::/0", "::/0", "block"), True),
        (XfrmPolicy("out", "::/0", "::/0", "block"), True),
        (XfrmPolicy("in", f"{HERE}/128", f"{THERE}/128", "block", protocol=58, sport=(135, 0xFFFF)), False),  # it is asked by a group
        (XfrmPolicy("out", f"{THERE}/128", f"{HERE}/128", "block", protocol=58, sport=(136, 0xFFFF)), True),
        (XfrmPolicy("in", "::/0", "::/0", "block", protocol=6), False),
        (XfrmPolicy("in", "::/0", "::/0", "allow", ("esp tunnel",)), True),
    ],
)
def test_what_blocks_a_question_or_its_answer(policy: XfrmPolicy, blocked: bool) -> None:
    stop = lost(edited(asked(), "c2", xfrm=(policy,)))
    assert (stop.code if stop else None) == ("xfrm-policy-block" if blocked else None)


@pytest.mark.parametrize(
    ("rule", "blocked"),
    [
        ("! -d fd00::/64 -i docker0 -j DROP", True),  # a question goes to a group
        ("! -s fd00::/64 -o docker0 -j DROP", False),
        ("! -d fd00::/64 -i docker0 ! -o docker0 -j DROP", False),
        ("-d ff02::/16 -j REJECT", True),
        (f"-d {THERE}/128 -j DROP", False),
        (f"-d {HERE}/128 -p ipv6-icmp -j DROP", True),  # the answer
        ("-p tcp -j DROP", False),
        ("-m conntrack --ctstate INVALID -j DROP", False),  # it is tracked by nobody
    ],
)
@pytest.mark.parametrize("handed", ["1", "0"])
def test_rules_see_what_a_bridge_forwards_of_it(rule: str, blocked: bool, handed: str) -> None:
    """The addresses are those of its header: ip6tables of Docker kept who is on an internal network from each other (moby 45460)."""
    text = f"*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD {rule}\nCOMMIT"
    rules = Ruleset(tables=tuple(read_save(text, "iptables", "ip6")), queues=())
    sysctls = {**asked()["host"].sysctls, "net.bridge.bridge-nf-call-ip6tables": handed}
    stop = lost(edited(asked(), "host", ruleset=rules, sysctls=sysctls))
    assert (stop.code if stop else None) == ("nd-filtered" if blocked and handed == "1" else None)
    assert stop is None or stop.place.namespace == "host"


@pytest.mark.parametrize(
    ("chain", "rule", "blocked"),
    [
        ("INPUT", "-j HL --hl-set 1", True),
        ("OUTPUT", "-p ipv6-icmp -j HL --hl-dec 1", True),
        ("INPUT", "-p tcp -j HL --hl-set 1", False),
        ("FORWARD", "-j HL --hl-set 1", False),
        ("INPUT", "-j HL --hl-set 255", False),
    ],
)
def test_who_hears_a_question_takes_no_other_hop_limit(chain: str, rule: str, blocked: bool) -> None:
    text = f"*mangle\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A {chain} {rule}\nCOMMIT"
    stop = lost(edited(asked(), "c2", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip6")), queues=())))
    assert (stop.code if stop else None) == ("nd-filtered" if blocked else None)
    assert stop is None or stop.fix == (f"ip6tables -t mangle -D {chain} {rule}",)


def asked() -> Snapshot:
    """The tutorial's containers with addresses of IPv6."""
    snapshot = tutorial()
    for name, address in (("c1", HERE), ("c2", THERE)):
        own = replace(via(f"{address}/128", None, 2), type="local", table=255)
        routes = (*snapshot[name].routes, via("fd00::/64", None, 2), own)
        snapshot = edited(snapshot, name, addresses=(*snapshot[name].addresses, InterfaceAddress(2, address, 64)), routes=routes)
    return with_link_locals(snapshot)


def lost(snapshot: Snapshot) -> Stop | None:
    found = predict(snapshot, probe("c1", THERE, Protocol.ND), ask=False)
    assert isinstance(found, Prediction)
    return found.stop
