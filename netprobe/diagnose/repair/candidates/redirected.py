"""A way that a router has told of by an ICMP redirect, and that the kernel keeps beside its routes. Pure.

See: ip-sysctl (kernel documentation), accept_redirects; net/ipv4/route.c (__ip_do_redirect).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import AskedRoute, Object, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import where
from netprobe.predict import fib, fixes
from netprobe.predict.drop import lost

_SURE = 100  # no route is wrong: the namespace's own says so, whatever its neighbours do


def candidates(loss: Loss) -> Iterator[Repair]:
    """The kernel's answers that name a gateway which no route of theirs has."""
    for asked in loss.snapshot.answers:
        known = where(loss.prediction.routed, namespace=asked.namespace, dst=asked.query.dst)
        stop = _forgotten(loss, asked) if known else None
        if stop is not None:
            yield from loss.repair(stop, Merit.RESTORES, agreeing=_SURE)


def _forgotten(loss: Loss, asked: AskedRoute) -> Stop | None:
    """The end of a namespace that sends elsewhere than its route says; None where it does as that says."""
    namespace, answer, dst = loss.snapshot.at(asked.namespace), asked.answer, asked.query.dst
    leg = fib.lookup(namespace, asked.query).leg
    if leg is None or leg.via is None or answer.index != leg.index or answer.type != "unicast":
        return None
    if answer.via is None or answer.via in namespace.gateways:  # another leg of several, or another table's
        return None
    told = answer.via
    link = name_of(namespace.link(answer.index))
    named = f"{dst} via {told} dev {link}"
    text = (
        f"{namespace.name} sends what is for {dst} to {told}, as a router has told it (ICMP redirect); its"
        f" route says {leg.via}"
    )
    thing = Object("route", named, f"{named} (redirected)")
    fix = (fixes.forget_paths(dst, namespace.name),)
    return lost("route-wrong-nexthop", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
