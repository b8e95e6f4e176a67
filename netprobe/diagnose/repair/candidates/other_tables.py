"""A route to a network that another table has, and that the table to which a policy rule leads the packet
lacks; and one by a gateway that is beside two interfaces, of which another table has this one. Pure.

Routing daemons put routes into tables by what they are told of each neighbour. See: ip-rule(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose.hints import Gateway
from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.model import Namespace, Object, PolicyRule, Route, Stage
from netprobe.model.lookup import but, column, not_among, where
from netprobe.predict import fib, fixes, policy, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .routes import mistaken, rests_on_a_rule

_KEPT = (fib.LOCAL, fib.MAIN, fib.DEFAULT)
_MOST = 4  # routes that are tried


def candidates(loss: Loss) -> Iterator[Repair]:
    """A copy of each such route, where nothing leads to the network itself."""
    for routed in loss.prediction.routed:
        if not routed.decision.found.is_to_a_network:
            namespace = loss.snapshot[routed.namespace]
            query = replace(routed.query, iif=getattr(routed.iif, "index", None))
            asked = where(tuple(policy.selected(namespace, query)), action="lookup")
            for rule in not_among(filter(is_special, asked), table=_KEPT):
                yield from _copied(loss, namespace, routed, rule)
    for routed in but(filter(rests_on_a_rule, loss.prediction.routed), gateway=None):
        yield from _by_its_own(loss, routed, routed.via)


def _by_its_own(loss: Loss, routed: Routed, gateway: str) -> Iterator[Repair]:
    """The same route by the interface that no other table has: two VPNs may have one address for their
    gateway, and `ip route add` takes the first interface beside which that is (fib_check_nh).
    """
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    assert route is not None
    same = where(namespace.routes, dst=route.dst, indexes=route.indexes, gateways=[gateway])
    beside = but(where(namespace.outward, up=True), index=routed.decision.index)
    for link, twin in product(beside, but(same, table=route.table)[:1]):
        tables = {*column(where(namespace.routes_by(link), gateways=[gateway]), "table")}
        if tables <= {route.table} and prefix.neighbours_of(gateway, namespace.addresses_of(link)):
            stop = mistaken(namespace, routed, route, Gateway(gateway, link))
            text = (
                f"{stop.thing.text} of {namespace.name} leads by the interface that table {twin.table} has:"
                f" the gateway {gateway} is beside {link.name} as well"
            )
            agreeing = len(where(namespace.routes_by(link), table=route.table))
            yield from loss.repair(replace(stop, text=text), Merit.RESTORES, agreeing=agreeing)


def _copied(loss: Loss, namespace: Namespace, routed: Routed, rule: PolicyRule) -> Iterator[Repair]:
    others = not_among(
        where(namespace.routes, is_to_a_network=True, is_written=True), table=(*_KEPT, rule.table)
    )
    holding = [each for each in others if _holds(each, routed.dst)]
    for route in sorted(holding, key=lambda each: -prefix.length(each.dst))[:_MOST]:
        leg = route.nexthops[0]
        agreeing = len(where(namespace.routes, table=rule.table, gateways=route.gateways))
        there = replace(route, table=rule.table or fib.MAIN, nhid=None)
        words = fib.in_full(there, leg, namespace.link_of(leg))
        text = (
            f"table {rule.table} of {namespace.name}, to which «{routing.describe_rule(rule)}» leads, lacks"
            f" {route.dst}, which table {route.table} has"
        )
        named = " ".join(fib.words(there, leg, namespace.link_of(leg)))
        thing, fix = (
            Object("route", named, f"{named} (missing)"),
            (fixes.ip(route.dst, "route", "add", *words),),
        )
        stop = lost("no-route", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        # who has others by this gateway there was to have this one as well
        yield from loss.repair(stop, Merit.restoring(agreeing), agreeing=agreeing)


def _holds(route: Route, address: str) -> bool:
    """Whether a route is to the network of an address; half of the world is none: a VPN takes all by two."""
    known = route.version == prefix.version(address) and prefix.contains(route.dst, address)
    return known and prefix.length(route.dst) > 1
