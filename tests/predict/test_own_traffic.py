"""What a bridge device takes up itself, and what the kernel sends of its own: both pass what any packet of an interface passes."""

from __future__ import annotations

import pytest
from networks import probe, relinked, tutorial

from netprobe.model import Flow, Leg, Link, Namespace, Protocol, Qdisc, Ruleset, Snapshot, TcFilter
from netprobe.predict.arp_request import outgoing
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.view import Ground, Packet
from netprobe.rules.read.iptables_save import read_save

CLSACT = (Qdisc("clsact", "ffff:", "clsact"),)


def ends(snapshot: Snapshot) -> set[str]:
    """How the tutorial's probe ends, and what keeps its questions from an answer."""
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return {outcome.stop.code} if outcome.stop is not None else set()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, set()),
        ({"filters": (TcFilter("ingress", "bpf", "x", answers=("pass",)),), "qdiscs": CLSACT}, set()),
        ({"filters": (TcFilter("ingress", "bpf", "x", answers=("drop",)),), "qdiscs": CLSACT}, {"filtered-by-tc"}),
        ({"xdp": "xdpgeneric id 5", "xdp_answers": ("drop",)}, {"filtered-by-xdp"}),
    ],
)
def test_a_frame_for_the_bridge_itself_passes_the_programs_of_the_bridge(fields: dict[str, object], code: set[str]) -> None:
    """br_pass_frame_up hands it to netif_receive_skb as the bridge's own (net/bridge/br_input.c)."""
    assert ends(relinked(tutorial(), "host", "br0", **fields)) == code


@pytest.mark.parametrize(
    ("hook", "rule", "code"),
    [
        ("POSTROUTING", "-p ipv6-icmp -j DROP", "nd-filtered"),
        ("OUTPUT", "-p ipv6-icmp -j DROP", "nd-filtered"),
        ("POSTROUTING", "-p tcp -j DROP", None),
        ("FORWARD", "-p ipv6-icmp -j DROP", None),
    ],
)
def test_a_solicitation_is_sent_through_output_and_postrouting(hook: str, rule: str, code: str | None) -> None:
    """As any packet of ours (net/ipv6/ndisc.c, ndisc_send_skb; net/ipv6/ip6_output.c, ip6_output)."""
    saved = f"*mangle\n:OUTPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A {hook} {rule}\nCOMMIT\n"
    link = Link(2, "eth0", up=True)
    here = Namespace("rack", links=(link,), ruleset=Ruleset(tables=tuple(read_save(saved, "iptables", "ip6")), queues=()))
    asked = Packet(Flow("fd00::1", "fd00::2", Protocol.ND, icmp_type=135), Leg.REQUEST)
    stop = outgoing(Ground(Snapshot({"rack": here})), "rack", link, asked)
    assert (stop.code if stop is not None else None) == code


@pytest.mark.parametrize(
    ("saved", "code"),
    [
        ("*nat\n:POSTROUTING DROP [0:0]\nCOMMIT\n", None),
        ("*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m conntrack --ctstate UNTRACKED -j DROP\nCOMMIT\n", "nd-filtered"),
        ("*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m conntrack --ctstate NEW -j DROP\nCOMMIT\n", None),
    ],
)
def test_a_solicitation_is_of_no_connection(saved: str, code: str | None) -> None:
    """So that no rule translates it (nf_conntrack_icmpv6_error; nf_nat_inet_fn)."""
    link = Link(2, "eth0", up=True)
    here = Namespace("rack", links=(link,), ruleset=Ruleset(tables=tuple(read_save(saved, "iptables", "ip6")), queues=()))
    asked = Packet(Flow("fd00::1", "fd00::2", Protocol.ND, icmp_type=135), Leg.REQUEST)
    stop = outgoing(Ground(Snapshot({"rack": here})), "rack", link, asked)
    assert (stop.code if stop is not None else None) == code
