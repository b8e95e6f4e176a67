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
    stop = walk.stop if walk is not None else None
    hops = paths.of(leg)
    if stop is None or not hops or not _ends_at(hops, stop.place, cause.place):
        return paths
    here, place = hops[-1].namespace, stop.place
    n, of = len(hops) + 1, stop.object
    end = Hop(n, here, place.interface, place.stage, hops[-1].flow, object=of, note=stop.text, ends=True)
    grown = (*hops, end)
    return replace(paths, request=grown) if leg is Leg.REQUEST else replace(paths, reply=grown)


def _ends_at(hops: tuple[Hop, ...], end: Place, cause: Place) -> bool:
    """Whether the packet came into the namespace of its end, which the cause is not in, and none of the hops
    is the decision that ended it.
    """
    last = hops[-1]
    if not last.bound or last.observed is False or cause.namespace == last.namespace:
        return False
    decided = [(hop.namespace, hop.stage) for hop in hops]
    return end.namespace == last.namespace and (end.namespace, end.stage) not in decided
