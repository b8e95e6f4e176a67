"""When the predicted end of a probe is believed: not where the taps saw it get past, nor where it was missed
already on its way there.
"""

from __future__ import annotations

from itertools import chain

from netprobe.model import Leg, Observation, Stop, Verdict
from netprobe.model.lookup import but, find
from netprobe.predict.prediction import Prediction

from .correlate import frames, is_probe, unseen
from .evidence import Case
from .verdict import never_arrived

_IN_PIECES = ("frag-dropped", "frag-reassembly")
_DOWN = ("link-admin-down", "link-no-carrier")


def believed(case: Case, verdict: Verdict) -> Stop | None:
    """The predicted stop, unless the taps saw the packet get past it."""
    prediction = case.prediction
    if verdict is Verdict.REACHABLE or prediction is None or prediction.stop is None:
        return None
    past = case.watched and (_got_past(case, prediction) or _missed_before(case))
    return None if past or _is_behind_unread_rules(case, prediction, prediction.stop) else prediction.stop


def _missed_before(case: Case) -> bool:
    """Whether the probe was missed already on its way to the predicted end: behind something that may have
    stopped it there, or before it arrived at all, where the end is of what happens then.
    """
    leg = case.leg or Leg.REQUEST
    return never_arrived(case) or (case.first_missed(leg) is not None and bool(case.suspects(leg)))


def _is_behind_unread_rules(case: Case, prediction: Prediction, stop: Stop) -> bool:
    """Whether rules of another namespace that could not be read may keep the probe from `stop`: it was not
    seen to get past them.
    """
    hops = case.request if prediction.reply is None else (*case.request, *case.reply)
    behind = (hop.suspects for hop in but(unseen(hops), namespace=stop.place.namespace))
    return find(chain.from_iterable(behind), code="unknown") is not None


def _got_past(case: Case, prediction: Prediction) -> bool:
    """Whether the probe was seen where the predicted way does not lead: another namespace, or out of another
    interface. Of a packet in pieces the first one may get further than the packet.
    """
    stop = prediction.request.stop
    if stop is None or stop.code in _IN_PIECES:
        return False
    places = {(hop.namespace, hop.interface) for hop in prediction.request.hops}
    expected = places | _without_carrier(case, prediction)
    seen = [*filter(is_probe, but(frames(case.observations), bound="other"))]
    visited = {case.probe.source.namespace, *(name for name, _ in places)}
    elsewhere = (each for each in seen if (each.namespace, each.interface) not in expected)
    return (
        any(_went_out(case, each) for each in elsewhere) or not {each.namespace for each in seen} <= visited
    )


def _went_out(case: Case, seen: Observation) -> bool:
    """Whether the request left by an interface; a copy on another port of a bridge is no progress."""
    link = case.snapshot.at(seen.namespace).link_named(seen.interface or "")
    flooded = link is not None and link.master is not None
    return (seen.leg, seen.bound, flooded) == (Leg.REQUEST, "out", False)


def _without_carrier(case: Case, prediction: Prediction) -> set[tuple[str, str | None]]:
    """The interface before one that is down: it still takes packets until the kernel tells it, up to 1 s
    later (linkwatch).
    """
    if prediction.stop is None or prediction.stop.code not in _DOWN:
        return set()
    links = ((r.namespace, case.snapshot[r.namespace].link(r.decision.index)) for r in prediction.routed)
    return {(name, link.name) for name, link in links if link is not None and not link.carrier}
