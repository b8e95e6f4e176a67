"""The hop at which a packet died, where the walk stops behind the last place that it came to. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Cause, Hop, Leg, Paths, Place
from netprobe.predict.prediction import Prediction


def with_last_hop(paths: Paths, leg: Leg | None, prediction: Prediction | None, cause: Cause | None) -> Paths:
    """The paths, the broken one with a hop for the decision that ended it.

    It came in there, so that it was not lost at that hop; and the cause, which lies elsewhere, says nothing
    of this place: what was decided here does.
    """
    if prediction is None or leg is None or cause is None or cause.code == "unknown":
        return paths
    walk = prediction.request if leg is Leg.REQUEST else prediction.reply
    hops = paths.request if leg is Leg.REQUEST else paths.reply
    stop = walk.stop if walk is not None else None
    arrived = hops and hops[-1].bound and hops[-1].observed is not False
    if stop is None or not arrived:
        return paths
    here, place = hops[-1].namespace, stop.place
    if cause.place.namespace == here or place.namespace != here or _is_decided(hops, place):
        return paths
    flow = hops[-1].flow
    n, of = len(hops) + 1, stop.object
    end = Hop(n, here, place.interface, place.stage, flow, object=of, note=stop.text, ends=True)
    grown = (*hops, end)
    return replace(paths, request=grown) if leg is Leg.REQUEST else replace(paths, reply=grown)


def _is_decided(hops: tuple[Hop, ...], place: Place) -> bool:
    """Whether one of the hops is the decision at that place."""
    return any((hop.namespace, hop.stage) == (place.namespace, place.stage) for hop in hops)
