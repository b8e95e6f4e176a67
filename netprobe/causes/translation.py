"""Causes in address translation: the reply that finds no way because the request left as it should not have."""

from __future__ import annotations

from netprobe.model import Cause, Confidence, Evidence, Hop, Leg, Object, Place, Source, Stage
from netprobe.path.case import Case
from netprobe.path.prefix import contains

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
_UNROUTABLE = ("no-route", "neigh-no-answer", "route-unreachable", "route-wrong-nexthop", "martian-source", "route-loop")


def nat_missing(case: Case) -> Cause | None:
    """A private source address leaves untranslated, and the far end has no way back to it.

    What: the router forwards the request with its private source address; nothing on the way translates it.
    How we know: the far end's route lookup for the reply fails for that address, or nobody beyond answers it.
    Fix: a MASQUERADE (or SNAT) rule in POSTROUTING of the router, for the interface the packet leaves by.
    """
    stop = case.stop
    if stop is None or case.leg is not Leg.REPLY or stop.code not in _UNROUTABLE or not case.request:
        return None
    return _missing(case)


def _missing(case: Case) -> Cause | None:
    forwards = [hop for hop in case.request if hop.stage is Stage.FORWARD]
    source = case.request[-1].flow.src
    original = case.request[0].flow.src
    if not forwards or source != original or not any(contains(p, source) for p in _PRIVATE):
        return None
    router = forwards[-1]
    out = _left_by(case.request, router)
    if case.stop is not None and case.stop.place.namespace == router.namespace:
        return None
    text = f"{router.namespace} forwards {source} out of {out} untranslated, and the far end has no way back to it"
    six = "6" if ":" in source else ""
    rule = f"ip{six}tables -t nat -A POSTROUTING -s {source} -o {out} -j MASQUERADE"
    evidence = [Evidence(Source.MODEL, case.stop.text if case.stop else "no reply")]
    place = Place(router.namespace, out, Stage.POSTROUTING)
    return Cause("nat-missing", place, text, Object("nat-rule", f"ip{six}tables nat POSTROUTING", "no rule translates this packet"),
                 (*evidence, *case.witnesses()), Confidence.CORROBORATED if case.watched else Confidence.INFERRED, (rule,))  # fmt: skip


def _left_by(hops: tuple[Hop, ...], router: Hop) -> str | None:
    """The interface by which a router's packet left."""
    behind = hops[hops.index(router) + 1 :]
    return next((h.interface for h in behind if h.namespace == router.namespace and h.interface), None)


CAUSES = (nat_missing,)
