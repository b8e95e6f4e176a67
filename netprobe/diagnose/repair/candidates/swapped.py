"""Two routes that lead each by the gateway of the other, and two neighbours with each other's MAC: what is
for the second is lost as well, and both come to where they were meant for by one exchange. Pure.

See: ip-route(8); ip-neighbour(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

from msgspec.structs import replace

from netprobe.diagnose.repair.harm import breaks, echo, passing
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Object, Place, Route, RouteQuery, Stage, Stop
from netprobe.model.lookup import but, not_among, where
from netprobe.predict import fib, fixes
from netprobe.predict.trace import Resolved, Routed

from .before import with_neighbour

_MOST = 8  # of what could be the other one
_ASKED = 32  # addresses, of which one may be what the other one is for
_BOTH = 3  # destinations say the same, and what there is for each


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each exchange that answers both; of what nobody in sight has that cannot be told."""
    for routed in loss.decisions if loss.goal in loss.owned else ():
        here = loss.snapshot[routed.namespace]
        for one in filter(_leads_on, filter(None, (routed.decision.route,))):
            written = where(here.routes, version=one.version, type="unicast", is_written=True)
            others = filter(_leads_on, not_among(written, gateways=(one.gateways,)))
            for other in islice(others, _MOST):
                yield from _of_routes(loss, routed, one, other)
    for resolved in loss.prediction.resolved:
        yield from _of_neighbours(loss, resolved)


def _leads_on(route: Route) -> bool:
    """Whether somebody wrote a route with one gateway of its own."""
    return route.is_written and route.nhid is None and len([*filter(None, route.gateways)]) == 1


def _of_routes(loss: Loss, routed: Routed, one: Route, other: Route) -> Iterator[Repair]:
    here = loss.snapshot[routed.namespace]
    said = [_written(here, *pair) for pair in ((one, one), (other, other), (one, other), (other, one))]
    fix = tuple(fixes.ip(one.dst, "route", "replace", *words) for words in said[2:])
    thing, beside = (" ".join(words) for words in said[:2])
    text = f"the routes {thing} and {beside} of {here.name} lead each by the gateway of the other"
    place = Place(here.name, None, Stage.ROUTE)
    stop = Stop("route-wrong-nexthop", place, text, Object("route", thing, thing), fix, (loss.stop.text,))
    asked = filter(partial(_is_led_by, here, other), islice(sorted(loss.owned), _ASKED))
    yield from _answering(loss, stop, here.name, next(asked, None), _BOTH)


def _written(here: Namespace, route: Route, by: Route) -> tuple[str, ...]:
    """The words of a route with the next hop of one."""
    leg = by.nexthops[0]
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
