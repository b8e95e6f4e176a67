"""A route of a table that a policy rule chose, which takes a network for neighbours, while the same table has
a gateway on that interface by which the network would be reached: the rule is meant, and the route is wrong.
Pure.

A host with an interface a provider has a table for each of its addresses. See: ip-rule(8), ip-route(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Object, Route, RouteQuery, Stage
from netprobe.model.lookup import but, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .routes import followed, rests_on_a_rule


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such route, taken away."""
    for routed in filter(rests_on_a_rule, loss.decisions):
        namespace, route = loss.snapshot[routed.namespace], routed.decision.route
        if (
            route is not None
            and routed.gateway is None
            and route.is_written
            and not _is_near(namespace, routed)
        ):
            for other in _by_a_gateway(namespace, route, routed.dst)[:1]:
                words, link = followed(namespace, routed)
                named, via = " ".join(words), other.nexthops[0].via
                text = (
                    f"the route {named} of {namespace.name} takes {routed.dst} for a neighbour; the same"
                    f" table has the gateway {via} there"
                )
                thing, fix = Object("route", named, named), (fixes.ip(route.dst, "route", "del", *words),)
                stop = lost("route-overlap", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
                yield from loss.repair(stop, Merit.RESTORES)


def _is_near(namespace: Namespace, routed: Routed) -> bool:
    """Whether the namespace is on the network of the packet's destination."""
    known = fib.best(namespace, fib.MAIN, RouteQuery(None, routed.dst))
    return known is not None and known.protocol == "kernel"


def _by_a_gateway(namespace: Namespace, route: Route, goal: str) -> tuple[Route, ...]:
    """The other routes of the table that lead to a goal by a gateway on the same interface."""
    same = but(where(namespace.routes, table=route.table, version=route.version), dst=route.dst)
    there = where(same, type="unicast", indexes=route.indexes)
    return tuple(each for each in but(there, gateways=[None]) if prefix.contains(each.dst, goal))
