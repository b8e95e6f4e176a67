"""The hop at which a packet died, where the walk stops behind the last place that it came to. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Cause, Hop, Leg, Paths, Place
from netprobe.model.lookup import find
from netprobe.predict.prediction import Prediction


def with_last_hop(paths: Paths, leg: Leg | None, prediction: Prediction | None, cause: Cause | None) -> Paths:
    """The paths, the broken one with a hop for the decision that ended it.

    It came in there, so that it was not lost at that hop; and the cause, which lies elsewhere, says nothing
    of this place: what was decided here does.
    """
    if prediction is None or leg is None or cause is None or cause.code == "unknown":
        return paths
    stop, hops = prediction.stop_of(leg), paths.of(leg)
    if stop is None or not hops or not _ends_at(hops, stop.place, cause.place):
        return paths
    here, place = hops[-1].namespace, stop.place
    n, of = len(hops) + 1, stop.object
    end = Hop(n, here, place.interface, place.stage, hops[-1].flow, object=of, note=stop.text, ends=True)
    return replace(paths, **{leg.value: (*hops, end)})


def _ends_at(hops: tuple[Hop, ...], end: Place, cause: Place) -> bool:
    """Whether the packet came into the namespace of its end, which the cause is not in, and none of the hops
    is the decision that ended it.
    """
    last = hops[-1]
    came = last.bound and last.observed is not False and last.namespace == end.namespace != cause.namespace
    return bool(came) and find(hops, namespace=end.namespace, stage=end.stage) is None
