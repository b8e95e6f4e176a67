"""Two routes that lead each by the gateway of the other, and two neighbours with each other's MAC: what is
for the second is lost as well, and both come to where they were meant for by one exchange. Pure.

See: ip-route(8); ip-neighbour(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from msgspec.structs import replace

from netprobe.diagnose.repair.harm import breaks, echo, passing
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Nexthop, Object, Place, PolicyRule, Route, RouteQuery, Stage, Stop
from netprobe.model.lookup import but, column, not_among, where
from netprobe.predict import fib, fixes, prefix, routing
from netprobe.predict.trace import Resolved, Routed

from . import marked
from .before import with_neighbour

_MOST = 8  # of what could be the other one
_ASKED = 32  # addresses, of which one may be what the other one is for
_BOTH = 3  # destinations say the same, and what there is for each


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each exchange that answers both, which of what nobody in sight has cannot be told; and each that the
    addresses of the two sides tell.
    """
    in_sight = loss.goal in loss.owned
    for routed in loss.decisions:
        here = loss.snapshot[routed.namespace]
        for one in filter(_has_one_gateway, filter(None, (routed.decision.route,))):
            known = where(here.routes, version=one.version, type="unicast")
            others = [*filter(_has_one_gateway, not_among(known, gateways=(one.gateways,)))]
            for other in where(others, is_written=True)[: _MOST * (in_sight and one.is_written)]:
                yield from _of_routes(loss, routed, one, other)
            for other in where(others, dst=one.dst)[:_MOST]:
                yield from _of_sides(loss, here, one, other)
        yield from _of_rules(loss, routed)
    for resolved in loss.prediction.resolved if in_sight else ():
        yield from _of_neighbours(loss, resolved)


def _has_one_gateway(route: Route) -> bool:
    """Whether a route has one gateway of its own."""
    return route.nhid is None and len([*filter(None, route.gateways)]) == 1


def _of_routes(loss: Loss, routed: Routed, one: Route, other: Route) -> Iterator[Repair]:
    here = loss.snapshot[routed.namespace]
    stop = _exchange(loss, here, (one, other), (other.nexthops[0], one.nexthops[0]))
    asked = filter(partial(_is_led_by, here, other), islice(sorted(loss.owned), _ASKED))
    yield from _answering(loss, stop, here.name, next(asked, None), _BOTH)


def _exchange(loss: Loss, here: Namespace, both: tuple[Route, Route], legs: tuple[Nexthop, Nexthop]) -> Stop:
    """Two routes with these next hops in the place of their own."""
    thing, beside = (" ".join(_written(here, each, each.nexthops[0])) for each in both)
    words = map(partial(_written, here), both, legs)
    fix = tuple(fixes.ip(both[0].dst, "route", "replace", *each) for each in words)
    text = f"the routes {thing} and {beside} of {here.name} lead each by the gateway of the other"
    place = Place(here.name, None, Stage.ROUTE)
    return Stop("route-wrong-nexthop", place, text, Object("route", thing, thing), fix, (loss.stop.text,))


def _of_sides(loss: Loss, here: Namespace, one: Route, other: Route) -> Iterator[Repair]:
    """Two routes to the same, each in the table for the address of the interface that the other one leads out
    of, where tables are for one; or each by a gateway of the network of that.
    """
    both, legs = (one, other), (one.nexthops[0], other.nexthops[0])
    if legs[0].index == legs[1].index:
        return
    told = [_sides(here, each) <= {leg.index} for each, leg in zip(both, reversed(legs), strict=True)]
    if all(told) and any(_sides(here, each) for each in both):
        yield from _sided(loss, here, both, (legs[1], legs[0]))
    elif [_near(here, each.via or "") for each in legs] == [{legs[1].index}, {legs[0].index}]:
        turned = zip(legs, (legs[1].via, legs[0].via), strict=True)
        first, second = (replace(leg, via=via, flags=()) for leg, via in turned)
        yield from _sided(loss, here, both, (first, second))


def _sided(
    loss: Loss, here: Namespace, both: tuple[Route, Route], legs: tuple[Nexthop, Nexthop]
) -> Iterator[Repair]:
    yield from loss.repair(_exchange(loss, here, both, legs), Merit.RESTORES, agreeing=_BOTH)


def _sides(here: Namespace, route: Route) -> set[int | None]:
    """The interfaces, by ifindex, for which a namespace asks the table of a route."""
    rules = where(here.rules, table=route.table, version=route.version, action="lookup")
    return {*chain.from_iterable(map(partial(_sides_of, here), rules))}


def _sides_of(here: Namespace, rule: PolicyRule) -> set[int | None]:
    """The interfaces, by ifindex, whose answers a policy rule is for: it names their address, or the mark of
    what came in there.
    """
    own = here.address((rule.src or "").partition("/")[0])
    if own is not None:
        return {own.index}
    return marked.ways_in(here, rule.mark) if rule.mark else set()


def _of_rules(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """Two policy rules, each of which leads to the table by which the other one's answers are to leave."""
    here, one = loss.snapshot[routed.namespace], routed.decision.rule
    if one is None or not _leads_out(here, one) or not _sides_of(here, one).isdisjoint(_leads_out(here, one)):
        return
    rules = where(here.rules, version=one.version, action="lookup")
    for other in islice(not_among(rules, table=(one.table, fib.LOCAL, fib.MAIN)), _MOST):
        both = (one, other), (other, one)
        if all(_sides_of(here, rule) == _leads_out(here, to) != set() for rule, to in both):
            fix = tuple(chain.from_iterable(_led_to(loss, *each) for each in both))
            named, beside = map(routing.describe_rule, (one, other))
            text = f"«{named}» and «{beside}» of {here.name} lead each to the table of the other"
            thing, place = Object("policy-rule", named, named), Place(here.name, None, Stage.ROUTE)
            stop = Stop("rule-wrong-table", place, text, thing, fix, (loss.stop.text,))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=_BOTH)


def _leads_out(here: Namespace, rule: PolicyRule) -> set[int | None]:
    """The interfaces, by ifindex, out of which the table of a policy rule leads to all the world."""
    routes = where(here.routes, table=rule.table, version=rule.version, is_default=True, type="unicast")
    return {*chain.from_iterable(column(routes, "indexes"))}


def _led_to(loss: Loss, rule: PolicyRule, other: PolicyRule) -> fixes.Fix:
    """A policy rule that leads to the table of another one."""
    now, then = (routing.describe_rule(each) for each in (rule, replace(rule, table=other.table)))
    put = fixes.ip(loss.goal, "rule", "add", "pref", *then.replace(":", "", 1).split())
    return (fixes.without_policy_rule(loss.goal, now), put)


def _near(here: Namespace, gateway: str) -> set[int | None]:
    """The interfaces, by ifindex, on whose networks a gateway is."""
    return {*column(prefix.neighbours_of(gateway, here.addresses), "index")} if gateway else set()


def _written(here: Namespace, route: Route, leg: Nexthop) -> tuple[str, ...]:
    """The words of a route with a next hop."""
    return fib.in_full(replace(route, nexthops=(leg,)), leg, here.link_of(leg))


def _is_led_by(here: Namespace, route: Route, address: str) -> bool:
    return fib.lookup(here, RouteQuery(None, address)).route == route


def _of_neighbours(loss: Loss, resolved: Resolved) -> Iterator[Repair]:
    """The MAC of an entry that somebody wrote with that of another one on the same interface."""
    name, link, entry = resolved.namespace, resolved.link, resolved.entry
    here = where(loss.snapshot[name].neighbours, index=link.index, state="permanent", proxy=False)
    known = where(here, address=entry.address)
    for other in islice(but(here, mac=entry.mac), _MOST * len(known)):
        pairs = ((entry.address, other.mac or ""), (other.address, entry.mac or ""))
        fix = tuple(with_neighbour(*pair, link) for pair in pairs)
        text = f"{entry.address} and {other.address} on {link.name} of {name} have each other's MAC address"
        thing = Object("neighbour", f"{entry.address} dev {link.name} lladdr {entry.mac}", text)
        place = Place(name, link.name, Stage.NEIGHBOUR)
        stop = Stop("neigh-wrong-entry", place, text, thing, fix, (loss.stop.text,))
        # to exchange the routes by two gateways would lead around that
        yield from _answering(loss, stop, name, other.address, _BOTH + 1)


def _answering(loss: Loss, stop: Stop, name: str, asked: str | None, agreeing: int) -> Iterator[Repair]:
    """The exchange, where the second destination is not answered today, and is with it."""
    if asked is None or passing(loss, ((name, asked),)):
        return
    for repair in loss.repair(stop, Merit.RESTORES, agreeing=agreeing):
        if not breaks(loss, repair, (echo(loss, name, asked),)):
            yield repair
