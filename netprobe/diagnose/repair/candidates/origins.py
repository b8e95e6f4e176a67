"""Routes for the packets of one prefix alone: those that others beside have, and this station lacks, for each
prefix is routed by who gave it; those of a router that gives what leaves a source of it only later. Pure.

See: ip-route(8), from; RFC 8028; RFC 2827.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, Route, Stage
from netprobe.model.lookup import but, column, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

_Way = tuple[str, str, str]


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such route, by the gateway that the others use; for all, where there are some for others."""
    for routed in but(loss.prediction.routed, src=""):
        namespace = loss.snapshot[routed.namespace]
        for link in where(namespace.outward, up=True):
            known = Counter(_beside(loss, namespace, link, routed))
            for way, agreeing in (known - Counter(_ways(namespace, link, routed))).items():
                yield from _lacking(loss, namespace, link, way, agreeing)
            if routed.decision.route is None:
                yield from _for_all(loss, namespace, link, routed)


def _beside(loss: Loss, namespace: Namespace, link: Link, routed: Routed) -> Iterator[_Way]:
    for name, station in loss.others(namespace.name, link):
        yield from _ways(loss.snapshot[name], station, routed)


def _ways(station: Namespace, link: Link, routed: Routed) -> Iterator[_Way]:
    """(the destinations, the sources, the gateway) of each such route for a packet by an interface."""
    for route in but(where(station.routes_by(link), type="unicast", table=fib.MAIN), origin=None):
        for leg in but(where(route.nexthops, index=link.index), via=None):
            if _is_for(route, routed) and leg.via is not None and route.origin is not None:
                yield route.dst, route.origin, leg.via


def _is_for(route: Route, routed: Routed) -> bool:
    ends = ((route.origin or "", routed.src), (route.dst, routed.dst))
    return all(prefix.contains(*each) for each in ends)


def _for_all(loss: Loss, namespace: Namespace, link: Link, routed: Routed) -> Iterator[Repair]:
    """The routes of other sources without these: who translates asks for the way before that."""
    routes = but(where(namespace.routes_by(link), type="unicast", table=fib.MAIN), origin=None)
    known = [each for each in routes if prefix.contains(each.dst, routed.dst)]
    for route in known[:1]:
        words = fib.in_full(replace(route, origin=None), route.nexthops[0], link)
        named, origins = " ".join(words), ", ".join(filter(None, column(known, "origin")))
        text = f"{namespace.name} has the route {named} for what comes from {origins} alone"
        thing = Object("route", named, f"{named} (missing)")
        fix = (fixes.ip(route.dst, "route", "add", *words),)
        stop = lost("no-route", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        merit = Merit.restoring(nat_rules.translates(namespace, route.version, link))
        yield from loss.repair(stop, merit, agreeing=len(known))


def _lacking(loss: Loss, namespace: Namespace, link: Link, way: _Way, agreeing: int) -> Iterator[Repair]:
    dst, origin, via = way
    target = "default" if prefix.length(dst) == 0 else dst
    named = f"{target} from {origin} via {via} dev {link.name}"
    text = (
        f"{namespace.name} lacks the route {named}, which {agreeing} beside it have: what it sends from"
        f" {origin} goes to another router"
    )
    thing = Object("route", named, f"{named} (missing)")
    fix = (fixes.ip(dst, "route", "add", *named.split()),)
    stop = lost("no-route", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)
