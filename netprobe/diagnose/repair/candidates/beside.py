"""Routes that lead past a station that is right beside, and gateways on another segment. Pure.

See: ip-route(8); net/ipv4/fib_trie.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose.hints import Gateway
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import routers_for
from netprobe.diagnose.repair.segment import is_network
from netprobe.model import InterfaceAddress, Leg, Link, Namespace, Object, Route, RouteQuery, Stage
from netprobe.model.link import name_of
from netprobe.model.lookup import but, column, find, has, holding, those_not_in, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .missing_routes import is_meant
from .routes import followed, gateways, mistaken, rests_on_a_rule


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each decision: the route to the station itself, and the gateways of the other segments."""
    yield from straight(loss)
    for routed in loss.prediction.routed:
        for link in _others(loss, routed):
            yield from _by_its_gateways(loss, routed, link)
    for routed in where(loss.prediction.routed[-1:], gateway=None):
        yield from _behind_a_router(loss, routed)
        yield from _taken_for_its_own(loss, routed)


def straight(loss: Loss) -> Iterator[Repair]:
    """For each decision: the route to the station itself."""
    return chain.from_iterable(map(partial(led_past, loss), loss.prediction.routed))


def led_past(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """For one decision: the route to the station itself, on each interface that was not taken."""
    for link in _others(loss, routed):
        yield from _to_the_station(loss, routed, link)


def _others(loss: Loss, routed: Routed) -> tuple[Link, ...]:
    """The interfaces that were not taken."""
    taken = loss.out(routed)
    return those_not_in(where(loss.snapshot[routed.namespace].outward, up=True), (taken,))


def _to_the_station(loss: Loss, routed: Routed, link: Link) -> Iterator[Repair]:
    """The route to the one who has the destination's address on the segment of this interface."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    own = _owner(loss, namespace, link, routed.dst)
    if own is None or routed.decision.type == "local":
        return
    target = f"{routed.dst}/{prefix.bits(routed.dst)}"
    table = route.table if route is not None and rests_on_a_rule(routed) else fib.MAIN
    text = f"{namespace.name} has no route to {routed.dst}, which is on {link.name}"
    code, thing = "no-route", Object("route", f"{target} dev {link.name}", text)
    alone, by_hosts = routed.decision.found.dst == target, _by_hosts(namespace, link, table)
    if is_meant(route) and (alone or not by_hosts):
        named = " ".join(followed(namespace, routed)[0])
        code, thing = "route-overlap", Object("route", named, named)
        text = f"the route {named} of {namespace.name} leads past {routed.dst}, which is on {link.name}"
    fix = (fixes.ip(routed.dst, "route", "replace", target, "dev", link.name, *fib.table_words(table)),)
    stop = lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    if loss.stop.code == "macvlan-parent-isolated":  # why there must be another way
        stop = replace(loss.stop, commands=fix)
    sure = _covers(namespace, link, routed.dst) or (not is_network(own) and by_hosts)
    first = sure and (_lists_hosts(namespace, table) if table != fib.MAIN else not _is_written(route))
    far = loss.known_end(namespace.name, loss.out(routed)) or ("", None)
    # who is answered took the address from the other one
    has_it = routed.leg is Leg.REPLY and far[0] in loss.bearers(routed.dst)
    yield from loss.repair(stop, Merit.GOES_AROUND if has_it else Merit.restoring(first))


def _is_written(route: Route | None) -> bool:
    """Whether somebody wrote the route that was taken, and not for all the world: it is what goes first."""
    return route is not None and route.is_written


def _covers(namespace: Namespace, link: Link, dst: str) -> bool:
    """Whether the interface has a network of its own with the destination in it, and the route to that."""
    own = where(namespace.routes, table=fib.MAIN, protocol="kernel")
    return prefix.within(column(holding(own, indexes=link.index), "dst"), dst)


def _by_hosts(namespace: Namespace, link: Link, table: int) -> bool:
    """Whether stations are reached by routes of their own: so others are, or a cable has no network."""
    bare = link.kind != "bridge" and not has(namespace.addresses_of(link), scope="global")
    return bare or _lists_hosts(namespace, fib.MAIN) or _lists_hosts(namespace, table)


def _lists_hosts(namespace: Namespace, table: int) -> bool:
    """Whether somebody wrote routes straight to single stations into a table."""
    routes = but(where(namespace.routes, table=table, type="unicast"), protocol="kernel")
    lengths = {prefix.length(route.dst) for route in holding(routes, gateways=None)}
    return not lengths.isdisjoint((32, 128))


def _by_its_gateways(loss: Loss, routed: Routed, link: Link) -> Iterator[Repair]:
    """The same route by a gateway that the others on the segment of this interface use."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    if route is None or routed.gateway is None or len(route.nexthops) > 1:
        return
    for via, agreeing in gateways(loss, namespace, link, route).items():
        own = via == routed.gateway or namespace.address(via) is not None
        if not own and _covers(namespace, link, via):
            stop = mistaken(namespace, routed, route, Gateway(via, link))
            yield from loss.repair(stop, Merit.ADDS, agreeing=agreeing)


def _behind_a_router(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A part of a network that an interface takes for its own, and that a router of another segment leads to:
    nobody on this one answers.
    """
    namespace, wide, out = loss.snapshot[routed.namespace], routed.decision.route, loss.out(routed)
    if loss.stop.code != "neigh-no-answer" or wide is None or wide.protocol != "kernel":
        return
    for found in routers_for(loss, namespace.name, routed.dst):
        known = _known_to(loss, found.via, routed.dst)
        if found.link == out or known is None or prefix.length(known.dst) <= prefix.length(wide.dst):
            continue
        words = (known.dst, "via", found.via, *found.flags)
        named = " ".join(words)
        text = (
            f"{namespace.name} takes all of {wide.dst} for neighbours by {name_of(out)}; {found.via} on"
            f" {found.link.name} leads to {known.dst}, which is part of it"
        )
        thing, fix = (
            Object("route", named, f"{named} (missing)"),
            (fixes.ip(routed.dst, "route", "add", *words),),
        )
        stop = lost("no-route", namespace.name, found.link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)


def _taken_for_its_own(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A network that a bridge of this namespace has, and that is elsewhere as well: who is there would be
    reached by where all else goes. The address alone is led there: stations of the bridge keep their network.
    """
    namespace, wide, out = loss.snapshot[routed.namespace], routed.decision.route, loss.out(routed)
    there = routed.dst in loss.owned and loss.stop.code == "neigh-no-answer"
    if not there or wide is None or wide.protocol != "kernel" or out is None or out.kind != "bridge":
        return
    others = replace(namespace, routes=those_not_in(namespace.routes, (wide,)))
    usual = fib.best(others, fib.MAIN, RouteQuery(None, routed.dst))
    for leg in but(usual.nexthops if usual is not None else (), via=None):
        link, target = namespace.link(leg.index), f"{routed.dst}/{prefix.bits(routed.dst)}"
        named = " ".join(followed(namespace, routed)[0])
        text = (
            f"{out.name} of {namespace.name} has the network {wide.dst}, which is elsewhere too:"
            f" {routed.dst} is not beside it"
        )
        words = (target, "via", leg.via or "", "dev", name_of(link))
        fix = (fixes.ip(routed.dst, "route", "add", *words),)
        thing = Object("route", named, named)
        stop = lost("route-overlap", namespace.name, out, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.ADDS)


def _known_to(loss: Loss, router: str, dst: str) -> Route | None:
    """The route to a part of the world by which the bearer of an address reaches another one."""
    for name in loss.bearers(router):
        route = fib.lookup(loss.snapshot[name], RouteQuery(None, dst)).route
        if route is not None and route.is_to_a_network:
            return route
    return None


def _owner(loss: Loss, namespace: Namespace, link: Link, dst: str) -> InterfaceAddress | None:
    """The address of another station of the segment that is the destination's."""
    stations = loss.others(namespace.name, link)
    known = chain.from_iterable(loss.snapshot[name].addresses_of(station) for name, station in stations)
    return find(known, address=dst)
