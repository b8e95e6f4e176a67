"""IPsec policies: a packet that one blocks, or that one wants encrypted where no key is.

Kernel: net/xfrm/xfrm_policy.c (xfrm_lookup on the way out, __xfrm_policy_check on the way in); ip-xfrm(8).
"""

from __future__ import annotations

from netprobe.model import Command, Flow, Link, Namespace, Object, Stage, Stop, XfrmPolicy
from netprobe.model.lookup import where

from . import prefix
from .drop import place_of
from .view import Packet

_STAGES = {"out": Stage.OUTPUT, "in": Stage.INPUT, "fwd": Stage.FORWARD}


def check(namespace: Namespace, direction: str, link: Link | None, packet: Packet) -> Stop | None:
    """Why the policies of `direction` (in, out or fwd) do not let the packet pass as it is; None when they
    do.
    """
    policy = _policy(namespace, direction, packet)
    if policy is None:
        return None
    place = place_of(namespace.name, link, _STAGES[direction])
    object = Object("xfrm", f"{direction} src {policy.src} dst {policy.dst}", policy.text)
    forgotten = Command.of("ip", "xfrm", "policy", "delete", *policy.selector, "dir", direction)
    allowed = Command.of("ip", "xfrm", "policy", "setdefault", direction, "accept")
    fix = (allowed if policy.default else forgotten,)
    if policy.action == "block":
        return Stop(
            "xfrm-policy-block",
            place,
            f"an IPsec policy of {namespace.name} blocks the packet: {policy.text}",
            object,
            fix,
        )
    if policy.templates and not (direction == "out" and policy.keyed):
        lack = "and no state holds a key for it" if direction == "out" else "and it comes in without"
        text = (
            f"an IPsec policy of {namespace.name} wants the packet protected ({policy.templates[0]}), {lack}"
        )
        return Stop("xfrm-policy-block", place, text, object, fix)
    return None


def _policy(namespace: Namespace, direction: str, packet: Packet) -> XfrmPolicy | None:
    """The policy that selects the packet: the lowest priority number wins."""
    found = [p for p in where(namespace.policies, direction=direction) if _selects(p, packet.flow)]
    return min(found, key=lambda p: (p.default, p.priority), default=None)


def _selects(policy: XfrmPolicy, flow: Flow) -> bool:
    """Whether a policy is about a packet (xfrm_selector_match); of ICMP the ports are its type and code."""
    if policy.protocol not in (None, flow.protocol.number):
        return False
    icmp = flow.icmp_type is not None
    ends = (flow.icmp_type, flow.icmp_code) if icmp else (flow.sport, flow.dport)
    ports = zip((policy.sport, policy.dport), ends, strict=True)
    if any(want and (want[0] ^ (have or 0)) & want[1] for want, have in ports):
        return False
    return prefix.contains(policy.src, flow.src) and prefix.contains(policy.dst, flow.dst)
