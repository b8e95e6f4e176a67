"""The way back that a source check looks for. Pure.

See: net/ipv4/fib_frontend.c (fib_validate_source).
"""

from __future__ import annotations

from netprobe.model import Hop, Namespace, RouteQuery
from netprobe.model.lookup import where
from netprobe.predict import fib, rp_filter
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed


def looked_for(prediction: Prediction, here: Namespace, hop: Hop) -> Routed:
    """Where a source check would route back to, of the packet that it refused at a hop: as the packet came,
    and by its mark where that is heeded. Raises as `fib.sought`.
    """
    flow, leg = hop.flow, prediction.lost_leg
    came = where(prediction.routed, namespace=here.name, src=flow.src, dst=flow.dst)
    forth = came[-1].decision if came else fib.sought(here, RouteQuery(flow.src, flow.dst))
    mark = rp_filter.heeded(here, came[-1].iif, came[-1].mark) if came else 0
    query = RouteQuery(flow.dst, flow.src, iif=rp_filter.seen_from(forth), mark=mark)
    return Routed(here.name, leg, fib.sought(here, query), flow.dst, flow.src, mark=mark)
