"""A route that refuses, where a router beside its namespace knows the way: that router in its place. Pure.

Taken away it is better, where that is enough: another route leads there then.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import of_the_twin, routers_for
from netprobe.model import Object, Stage, Stop
from netprobe.model.lookup import where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from . import routes
from .missing_routes import reached_by

_CODES = {"blackhole": "route-blackhole", "unreachable": "route-unreachable", "prohibit": "route-prohibit"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each route that refused the packet, by way of each router that may be meant: first of the one that its
    table has for the other IP version.
    """
    for routed in (each for each in loss.decisions if each.decision.type in _CODES):
        kept = routes.is_of_a_block(loss.snapshot[routed.namespace], routed.decision.route)
        for hop in _of_the_other_version(loss, routed):
            yield from loss.repair(_by_way_of(routed, hop), Merit.RESTORES)
        for hop in routers_for(loss, routed.namespace, routed.dst):
            around = kept or _is_for_more(loss, routed, hop)
            yield from loss.repair(_by_way_of(routed, hop), Merit.GOES_AROUND if around else Merit.ADDS)


def _is_for_more(loss: Loss, routed: Routed, hop: hints.Gateway) -> bool:
    """Whether a route refuses what is for more networks than the one that the router leads to: the rest of
    them is not to go there.
    """
    for route in filter(None, (routed.decision.route,)):
        routers = (
            each for each in loss.others(routed.namespace, hop.link) if each[0] in loss.bearers(hop.via)
        )
        known = (reached_by(loss.snapshot[name], end, routed.dst) for name, end in routers)
        lengths = map(prefix.length, filter(None, known))
        whole = prefix.bits(routed.dst)  # one address is no network
        return not route.is_default and any(prefix.length(route.dst) < each < whole for each in lengths)
    return False


def _of_the_other_version(loss: Loss, routed: Routed) -> Iterator[hints.Gateway]:
    namespace = loss.snapshot[routed.namespace]
    for route in filter(None, (routed.decision.route,)):
        for link in where(namespace.outward, up=True):
            yield from (hints.Gateway(via, link) for via in of_the_twin(loss, namespace, link, route))


def _by_way_of(routed: Routed, hop: hints.Gateway) -> Stop:
    """The refusing route as one that leads on, in the same table."""
    name, route = routed.namespace, routed.decision.route
    assert route is not None
    named = " ".join(fib.words(route, None, None))
    text = f"the route {named} of {name} refuses {routed.dst}, and {hop.via} leads there"
    table = fib.table_words(route.table)
    metric = ("metric", str(route.metric)) if route.metric else ()
    way = ("via", hop.via, "dev", hop.link.name)
    fix = (fixes.ip(route.dst, "route", "replace", route.target, *way, *table, *metric, *hop.flags),)
    thing = Object("route", named, named)
    return lost(_CODES[route.type], name, None, Stage.ROUTE, text, object=thing, fix=fix)
