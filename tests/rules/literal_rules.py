"""Rulesets as their tools print them, for tests without a kernel."""

from __future__ import annotations

import json
from typing import Any

from netprobe.linux.netfilter.kernel import KernelChain
from netprobe.model import Flow, Link, Protocol, Ruleset
from netprobe.rules import HookPacket, Ruling, Surroundings, traverse
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_json import read_listing

BR0, ETH0, LO = Link(4, "br0", "bridge"), Link(2, "eth0", "veth"), Link(1, "lo", "loopback")
PING = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP, icmp_type=8, icmp_id=7, ttl=63, length=84)
WEB = Flow("10.0.0.2", "8.8.8.8", Protocol.TCP, sport=40000, dport=80, ttl=63, length=60)
PING6 = Flow("fd00::2", "2001:db8::8", Protocol.ICMPV6, icmp_type=128, icmp_id=7, ttl=63, length=104)


def forwarded(flow: Flow = PING, **more: Any) -> HookPacket:
    """A first packet on its way from br0 to eth0."""
    given: dict[str, Any] = {"iif": BR0, "oif": ETH0, "state": "new", "tcp_flags": ("syn",) if flow.protocol is Protocol.TCP else None}
    return HookPacket(flow, **(given | more))


def iptables(text: str, engine: str = "iptables", family: str = "ip") -> Ruleset:
    """`iptables-save -c` lines; a table may be left out, it is then filter."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines[0].startswith("*"):
        lines = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *lines, "COMMIT"]
    return Ruleset(tables=tuple(read_save("\n".join(lines), engine, family)), queues=())


def nft_table(*objects: dict[str, Any], family: str = "inet", name: str = "t", chains: tuple[KernelChain, ...] = ()) -> Ruleset:
    """A table of nft's JSON; family and table are filled in."""
    items: list[dict[str, Any]] = [{"table": {"family": family, "name": name, "handle": 1}}]
    for each in objects:
        [(kind, inside)] = each.items()
        items.append({kind: {"family": family, "table": name, **inside}})
    listing = json.dumps({"nftables": items}).encode()
    return Ruleset(tables=tuple(read_listing(listing, "", chains, {(family, name)})), queues=())


def nft_forward(*rules: list[Any], policy: str = "accept", family: str = "inet", more: tuple[dict[str, Any], ...] = ()) -> Ruleset:
    """A table with one chain `f` at the forward hook and these rules, handles from 10 on."""
    chain = {"chain": {"name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": policy}}
    numbered = [{"rule": {"chain": "f", "handle": 10 + n, "expr": expressions}} for n, expressions in enumerate(rules)]
    return nft_table(chain, *more, *numbered, family=family)


def payload(protocol: str, field: str) -> dict[str, Any]:
    """A header field in nft's JSON."""
    return {"payload": {"protocol": protocol, "field": field}}


def test(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:  # noqa: PT028 - a builder, not a test
    """A match in nft's JSON."""
    return {"match": {"op": op, "left": left, "right": right}}


test.__test__ = False  # type: ignore[attr-defined]
DROP, ACCEPT = {"drop": None}, {"accept": None}


def forward(ruleset: Ruleset, packet: HookPacket | None = None, around: Surroundings | None = None) -> Ruling:
    """What the rules at the forward hook do to a packet."""
    packet = packet or forwarded()
    return traverse(ruleset, packet.ethertype, "forward", packet, around=around)


def decided(ruling: Ruling) -> tuple[str, str | None, str | None]:
    """The verdict, and which rule or policy it is from, for what kind of reason."""
    decision = ruling.decision
    return ruling.verdict.value, decision and decision.object.id, decision and decision.reason.value


SADDR, DADDR = payload("ip", "saddr"), payload("ip", "daddr")
MASQUERADE = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT"
