"""When the predicted end of a probe is believed: not where the taps saw it get past, nor where it was missed
already on its way there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import filterfalse

from netprobe.model import Hop, Leg, Observation, Stop
from netprobe.model.lookup import but, column, has, not_among, where
from netprobe.predict.outcome import is_group

from .correlate import frames, is_probe, unseen
from .evidence import Case, suspects_of
from .verdict import never_arrived

_IN_PIECES = ("frag-dropped", "frag-reassembly")
_DOWN = ("link-admin-down", "link-no-carrier")


def believed(case: Case) -> Stop | None:
    """The predicted stop of a probe that fails, unless the taps saw the packet get past it."""
    stop = case.foreseen
    if stop is None:
        return None
    if case.watched and (_got_past(case, stop) or _missed_before(case)):
        return None
    if _is_behind_unread_rules(case, stop):
        return None
    return stop


def _missed_before(case: Case) -> bool:
    """Whether the probe was missed already on its way to the predicted end: behind something that may have
    stopped it there, or before it arrived at all, where the end is of what happens then.
    """
    leg = case.lost_leg
    return never_arrived(case) or (case.is_missed(leg) and bool(case.suspects(leg)))


def _is_behind_unread_rules(case: Case, stop: Stop) -> bool:
    """Whether rules of another namespace that could not be read may keep the probe from `stop`: it was not
    seen to get past them.
    """
    hops = (*case.request, *case.reply) if case.walks[1:] else case.request
    behind = but(unseen(hops), namespace=stop.place.namespace)
    return has(suspects_of(behind), code="unknown")


def _got_past(case: Case, stop: Stop) -> bool:
    """Whether the probe was seen where the request's predicted way does not lead: another namespace, or out
    of another interface. Of a packet in pieces the first one may get further than the packet.
    """
    way = case.walks[0]
    if way.stop is None or stop.code in _IN_PIECES:
        return False
    seen = [*filter(is_probe, but(frames(case.observations), bound="other"))]
    visited = {case.probe.source.namespace, *column(way.hops, "namespace"), *_flooded(way.hops, seen)}
    if not_among(filterfalse(_is_for_many, seen), namespace=visited):
        return True
    expected = {(hop.namespace, hop.interface) for hop in way.hops} | _without_carrier(case, stop)
    left = where(seen, leg=Leg.REQUEST, bound="out")
    return not all((each.namespace, each.interface) in expected or _is_copy(case, each) for each in left)


def _flooded(way: Sequence[Hop], seen: Sequence[Observation]) -> set[str | None]:
    """Where a tunnel that sends to each of its ends sent copies, beside the one that is on the way."""
    ends = {None, *column(way, "tunnel_end")}
    copies = not_among(where(seen, bound="in"), tunnel_end=ends)
    return {*column(copies, "namespace")} if len(ends) > 1 else set()


def _is_copy(case: Case, seen: Observation) -> bool:
    """Whether a frame left by a port of a bridge: a copy for another port is no progress."""
    links = where(case.snapshot.at(seen.namespace).links, name=seen.interface)
    return bool(but(links, master=None))


def _is_for_many(seen: Observation) -> bool:
    """Whether a frame came in that is for a group: every station of its segment gets a copy."""
    mac = seen.flow.dst_mac if seen.flow is not None else None
    return seen.bound == "in" and is_group(mac)


def _without_carrier(case: Case, stop: Stop) -> set[tuple[str, str | None]]:
    """The interface before one that is down: it still takes packets until the kernel tells it, up to 1 s
    later (linkwatch).
    """
    routed = case.routed if stop.code in _DOWN else ()
    outs = ((case.snapshot[each.namespace], each.decision.index) for each in routed)
    return {
        (namespace.name, link.name)
        for namespace, index in outs
        for link in where(namespace.links, index=index, carrier=False)
    }
