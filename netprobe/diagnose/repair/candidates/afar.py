"""Tables that policy rules chose, and neighbours: a route that takes a network for neighbours, while the same
table has a gateway on that interface by which it would be reached; and a table with a gateway on an interface
that lacks the network there. The rules are meant. Pure.

A host with an interface a provider has a table for each of its addresses. See: ip-rule(8), ip-route(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Object, Route, RouteQuery, Stage
from netprobe.model.lookup import but, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .routes import followed, rests_on_a_rule


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such route, taken away, and each such network."""
    for routed in filter(rests_on_a_rule, loss.decisions):
        yield from _without_its_network(loss, routed)
        yield from _for_neighbours(loss, routed)


def _for_neighbours(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The route that takes a network for neighbours, of which the namespace itself has none, taken away."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    straight = routed.gateway is None and not _is_near(namespace, routed)
    if route is None or not route.is_written or not straight:
        return
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


def _without_its_network(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The network of a sender's own address, in the table for what it sends: that sends its neighbours'
    packets to the gateway.
    """
    namespace, rule, route = loss.snapshot[routed.namespace], routed.decision.rule, routed.decision.route
    near = fib.best(namespace, fib.MAIN, RouteQuery(None, routed.dst))
    if rule is None or rule.src is None or route is None or near is None or near.protocol != "kernel":
        return
    if route.is_default and route.indexes == near.indexes and routed.gateway is not None:
        leg, there = near.nexthops[0], replace(near, table=route.table, protocol="boot", scope="link")
        words = fib.words(there, leg, namespace.link_of(leg))
        named = " ".join(words)
        text = (
            f"table {route.table} of {namespace.name}, in which what is sent from {rule.src} is looked up,"
            f" lacks the network {near.dst} itself, and has its gateway {routed.gateway}"
        )
        thing = Object("route", named, f"{named} (missing)")
        fix = (fixes.ip(near.dst, "route", "add", *words),)
        link = namespace.link_of(leg)
        stop = lost("no-route", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
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
