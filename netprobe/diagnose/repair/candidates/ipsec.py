"""IPsec policies: the exception for a network, which one direction has and the other one lacks. Pure.

Who sends everything through a tunnel lets the networks beside it out of that, both ways.
See: ip-xfrm(8); net/xfrm/xfrm_policy.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Object, XfrmPolicy
from netprobe.model.lookup import has, where

_BACK = {"out": ("in", "fwd"), "in": ("out",), "fwd": ("out",)}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each exception as the other direction has it."""
    if loss.stop.code != "xfrm-policy-block":
        return
    known = loss.here.policies
    for policy in where(known, action="allow", templates=()):
        for direction in _BACK[policy.direction]:
            back = replace(policy, direction=direction, src=policy.dst, dst=policy.src)
            if not has(known, direction=direction, src=back.src, dst=back.dst):
                why = f"as it is {policy.direction}"
                yield from _with_exception(loss, back, why, 1)


def _with_exception(loss: Loss, policy: XfrmPolicy, why: str, agreeing: int) -> Iterator[Repair]:
    chosen = ("src", policy.src, "dst", policy.dst, "dir", policy.direction)
    words = (*chosen, *(("priority", str(policy.priority)) if policy.priority else ()))
    named = " ".join(chosen)
    between = f"{policy.src} to {policy.dst} {policy.direction}"
    text = f"{loss.here.name} has no exception from IPsec for {between}, {why}"
    thing = Object("xfrm", named, f"{named} (missing)")
    fix = (Command.of("ip", "xfrm", "policy", "add", *words),)
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)
