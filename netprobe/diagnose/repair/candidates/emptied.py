"""A table of routes that has none, to which a rule leads what a station answers: it was there to send it back
by where it was asked. Pure.

What a program writes into a table of its own goes with the interface that it leads out of, and is not always
written anew. See: ip-rule(8); net/ipv4/fib_frontend.c (fib_disable_ip).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.routers import beside
from netprobe.diagnose.repair.segment import own_addresses
from netprobe.model import Leg, Link, Namespace, Nexthop, Object, PolicyRule, Route, Stage
from netprobe.model.lookup import but, column, not_among, where
from netprobe.predict import fib, fixes, policy, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed


def candidates(loss: Loss) -> Iterator[Repair]:
    """The route back by where the request came in, in each such table."""
    for routed in loss.asked(Leg.REPLY):
        namespace, came = loss.snapshot[routed.namespace], loss.came_in(routed.namespace)
        if came is None or came == loss.out(routed):
            continue
        for rule in _to_an_empty_table(namespace, routed):
            yield from _back(loss, routed, rule, came)


def _to_an_empty_table(namespace: Namespace, routed: Routed) -> tuple[PolicyRule, ...]:
    """The rules that select a packet, and lead it to a table without a route."""
    asked = filter(is_special, policy.selected(namespace, routed.query))
    filled = column(where(namespace.routes, version=prefix.version(routed.dst)), "table")
    return not_among(but(asked, src=None), table={None, *filled})


def _back(loss: Loss, routed: Routed, rule: PolicyRule, came: Link) -> Iterator[Repair]:
    namespace = loss.snapshot[routed.namespace]
    for via in _askers(loss, namespace, came):
        # what a rule takes of a whole network is led on for the one destination
        wide = prefix.length(rule.src or "") == prefix.bits(routed.dst)
        whole = prefix.WHOLE[prefix.version(routed.dst)]
        dst = whole if wide else f"{routed.dst}/{prefix.bits(routed.dst)}"
        route = Route(dst, table=rule.table or 0, nexthops=(leg := Nexthop(came.index, via),))
        words = fib.words(route, leg, came)
        named = " ".join(words)
        text = (
            f"the rule «{routing.describe_rule(rule)}» of {namespace.name} leads to table {rule.table}, which"
            f" is empty; {routed.dst} has asked by {came.name}"
        )
        thing, fix = (
            Object("route", named, f"{named} (missing)"),
            (fixes.ip(dst, "route", "add", *words),),
        )
        stop = lost("no-route", namespace.name, came, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _askers(loss: Loss, namespace: Namespace, came: Link) -> Iterator[str]:
    """The addresses on the segment of an interface of those by whom the request came."""
    sent = {*map(attrgetter("namespace"), loss.asked(Leg.REQUEST))} - {namespace.name}
    for router, station in beside(loss, namespace.name, came):
        known = own_addresses(router, station, loss.version) if router.name in sent else ()
        yield from map(attrgetter("address"), known)
