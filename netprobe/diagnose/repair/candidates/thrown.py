"""A network beside the namespace in a table for what goes far, which throws the others back to main. Pure.

VPN clients make such tables: a default route into the tunnel, and a throw route for each network that is not
to go there. See: ip-route(8), throw.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Object, Route, RouteQuery, Stage
from netprobe.model.lookup import where
from netprobe.predict import fib, fixes
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

_KEPT = {fib.LOCAL, fib.MAIN, fib.DEFAULT}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each network beside, thrown back to main as others of the table are."""
    for routed in loss.prediction.routed:
        route = routed.decision.route
        if route is not None and route.table not in _KEPT:
            yield from _thrown(loss, routed, route)


def _thrown(loss: Loss, routed: Routed, route: Route) -> Iterator[Repair]:
    namespace = loss.snapshot[routed.namespace]
    alike = where(namespace.routes, table=route.table, version=route.version, type="throw")
    known = fib.best(namespace, fib.MAIN, RouteQuery(routed.src, routed.dst))
    if not alike or known is None or known.protocol != "kernel":
        return
    named = f"throw {known.dst} table {route.table}"
    others = f"{len(alike)} other network{'s' * (len(alike) > 1)}"
    text = (
        f"table {route.table} of {namespace.name} throws {others} back to main, and sends what is for"
        f" {known.dst}, which is beside it, elsewhere"
    )
    fix = (fixes.ip(known.dst, "route", "replace", *named.split()),)
    thing = Object("route", named, f"{named} (missing)")
    stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1 + len(alike))
