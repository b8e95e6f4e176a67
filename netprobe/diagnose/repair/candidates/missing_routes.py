"""Routes that are missing on the way there or back, and that others know. Pure.

See: ip-route(8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import hints, nat_rules, source_nat, source_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import holds_up, routers_for
from netprobe.model import Leg, Link, Namespace, Nexthop, Object, Route, RouteQuery, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, not_among, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .renamed import missing_names
from .routes import REFUSING, followed

# Ends at which nothing refused the packet: it was where nobody knows it.
_ASTRAY = {
    "neigh-no-answer", "no-route", "nat-not-reversed", "route-wrong-nexthop", "forwarding-off",
    "link-no-carrier", "route-loop",
}  # fmt: skip


def candidates(loss: Loss) -> Iterator[Repair]:
    """The networks to which routers beside the way know a way, and the way back that nobody has."""
    for routed in loss.decisions:
        yield from _missing_here(loss, routed, unnumbered=not is_meant(routed.decision.route))
        yield from _as_others(loss, routed)
    yield from no_way_back(loss)


def missing(loss: Loss) -> Iterator[Repair]:
    """The networks to which routers beside the way know a way."""
    for routed in loss.prediction.routed:
        yield from _missing_here(loss, routed)


def no_way_back(loss: Loss) -> Iterator[Repair]:
    """No route at all to the source of a packet that a source check refuses: the check is not at fault."""
    name = loss.here.name
    for hop in loss.refused:
        source = hop.flow.src
        if fib.lookup(loss.here, RouteQuery(None, source)).route is not None:
            continue
        merit = Merit.restoring(not _may_have_gone(loss.here, source))
        text = f"{name} has no route to {source}, where the packet comes from"
        thing = Object("route", source, f"no route to {source}")
        for router in routers_for(loss, name, source):
            if not {*loss.bearers(source)}.isdisjoint(loss.bearers(router.via)):
                continue  # the sender itself, which is no router
            words = ("route", "add", "default", "via", router.via, "dev", router.link.name, *router.flags)
            fix = (fixes.ip(source, *words),)
            stop = lost("no-route", name, None, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, merit)


def _may_have_gone(namespace: Namespace, dst: str) -> bool:
    """Whether a route may have gone with an interface of which rules still speak, or with the addresses of
    one that has none.
    """
    cables = where(namespace.links_of("veth"), up=True, master=None)
    bare = any(not namespace.addresses_of(link, prefix.version(dst)) for link in cables)
    return bare or len(missing_names(namespace)) == 1


def _missing_here(loss: Loss, routed: Routed, unnumbered: bool = False) -> Iterator[Repair]:
    """A network that a router beside this one knows, to which this one has no route of its own; `unnumbered`:
    also on segments without a network, where each router may be as good.
    """
    namespace = loss.snapshot[routed.namespace]
    for link in where(namespace.outward, up=True):
        for name, station in loss.others(namespace.name, link):
            there = loss.snapshot[name]
            reached = reached_by(there, station, routed.dst)
            network = reached and _given(there, reached)
            via = hints.gateway_on(there, namespace, link, routed.dst)
            via = via or hints.used_on(there, station, namespace, link, routed.dst)
            if via is None and unnumbered:
                via = hints.link_local_on(there, station, namespace, link, routed.dst)
            if network is not None and via is not None and via not in (routed.dst, routed.gateway):
                hop = hints.Gateway(via, link)
                stop = _missing_route(loss, routed, network, hop, name)
                hidden = _is_hidden(loss, routed, (there, station))
                merit = Merit.ADDS if hidden else _merit_of_missing(loss, routed, stop.code)
                siblings = len(_back_by(namespace, via, network))
                shown = not nat_rules.translates(there, prefix.version(routed.dst), station)
                merit = Merit.RESTORES if siblings and merit is Merit.ADDS and shown else merit
                yield from loss.repair(stop, merit, agreeing=siblings)
                if stop.code == "reply-wrong-path" and network != routed.dst:
                    yield from loss.repair(_for_one(loss, routed, stop, hop), Merit.ADDS)


def _given(router: Namespace, network: str) -> str:
    """The block that a router was given, where a network is part of it: it refuses what is left of that, as
    who gives networks away to others does (RFC 7084, WPD-5). What is private to all was given to nobody.
    """
    refusing = but(among(router.routes, type=REFUSING), is_default=True)
    given = column(not_among(refusing, dst=nat_rules.PRIVATE), "dst")
    return min((network, *prefix.covering(given, network.partition("/")[0])), key=prefix.length)


def _back_by(namespace: Namespace, via: str, network: str) -> tuple[Route, ...]:
    """The routes to other private networks behind a router, of a private one: so is the way to this one,
    whether it is asked for or answered.
    """
    routes = where(namespace.routes, gateways=[via], is_written=True, type="unicast", table=fib.MAIN)
    address = network.partition("/")[0]
    others = (each for each in routes if not prefix.contains(each.dst, address))
    if not nat_rules.is_private(address):
        return ()
    return tuple(each for each in others if nat_rules.is_private(each.dst.partition("/")[0]))


def _as_others(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A route that somebody has written for stations beside, by a gateway there, and not for this one."""
    namespace, taken = loss.snapshot[routed.namespace], routed.decision.route
    shorter = prefix.length(taken.dst) if taken is not None else -1
    for link in where(namespace.outward, up=True):
        known: Counter[tuple[str, str]] = Counter()
        for name, station in loss.others(namespace.name, link):
            there = loss.snapshot[name]
            if not any(map(namespace.address, there.gateways)):  # else this one is no station as they are
                known.update(_led_on(there, station, routed.dst))
        for (network, via), agreeing in known.items():
            if namespace.address(via) is None and prefix.length(network) > shorter:
                stop = _missing_route(loss, routed, network, hints.Gateway(via, link), "as others beside say")
                yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)


def _led_on(station: Namespace, link: Link, dst: str) -> Iterator[tuple[str, str]]:
    """The network of a destination to which a station was given a route by a gateway on a link, and that
    gateway.
    """
    route = fib.best(station, fib.MAIN, RouteQuery(None, dst))
    for each in filter(None, (route,)):
        legs = where(each.nexthops, index=link.index) if each.is_to_a_network and each.is_written else ()
        yield from ((each.dst, via) for via in filter(None, column(legs, "via")))


def _is_hidden(loss: Loss, routed: Routed, router: tuple[Namespace, Link]) -> bool:
    """Whether who knows the way for an answer has rules that are there to translate that network, or a chain
    for them: then nobody else is to know it.
    """
    (namespace, out), source, target = router, routed.dst, loss.goal
    meant = source_rules.meant_for(namespace, out, source, target, expected=True)
    exempt = nat_rules.exempting(namespace, source, target)
    hides = (any(meant) and not any(exempt)) or source_nat.emptied(namespace, source)
    return routed.leg is Leg.REPLY and bool(hides)


def _for_one(loss: Loss, routed: Routed, stop: Stop, hop: hints.Gateway) -> Stop:
    """The route for the one who asked alone: others of that network live where the answers go now."""
    out = name_of(loss.out(routed))
    text = (
        f"{routed.namespace} has the network of {routed.dst} on {out} too: the answer goes out there, and not"
        f" back by {hop.link.name}"
    )
    way = ("via", hop.via, "dev", hop.link.name)
    return replace(stop, text=text, commands=(fixes.ip(routed.dst, "route", "add", routed.dst, *way),))


def _missing_route(loss: Loss, routed: Routed, network: str, hop: hints.Gateway, router: str) -> Stop:
    namespace, out = loss.snapshot[routed.namespace], loss.out(routed)
    how = "replace" if where(namespace.routes, dst=network, table=fib.MAIN) else "add"
    told = f"goes out of {out.name}" if out is not None else "finds no way"
    text = (
        f"{namespace.name} has no route to {network}: what is for {routed.dst} {told}; {hop.via} ({router})"
        " knows the way"
    )
    fix = (fixes.ip(routed.dst, "route", how, network, "via", hop.via, "dev", hop.link.name),)
    code = _code_of_missing(loss, routed, out)
    thing = Object("route", network, f"no route to {network}")
    if code == "reply-wrong-path" and routed.decision.route is not None:
        along = " ".join(followed(namespace, routed)[0])
        thing = Object("route", along, along)
    return lost(code, namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _merit_of_missing(loss: Loss, routed: Routed, code: str) -> Merit:
    """An answer should leave by where the question came in, unless it, or a router behind, sends it to a
    gateway that nobody has: that one may be what is wrong. A route beside one that was meant is a detour.
    """
    led = {*map(attrgetter("gateway"), where(loss.prediction.routed, leg=routed.leg))}
    astray = loss.stop.code in _ASTRAY and led <= {None, *loss.owned}
    if code == "reply-wrong-path" and astray and not holds_up(loss, routed):
        return Merit.RESTORES
    if code == "no-route" and is_meant(routed.decision.route):
        return Merit.GOES_AROUND
    return Merit.ADDS


def is_meant(route: Route | None) -> bool:
    """Whether a route leads to a network itself, and not to all the world: another one would lead around
    what is wrong with it.
    """
    return route is not None and route.is_to_a_network


def _code_of_missing(loss: Loss, routed: Routed, out: Link | None) -> str:
    """What lacks a route: a loop, an answer that leaves by another interface than the question came in by, or
    no more than a route.
    """
    if loss.stop.code in ("route-loop", "ttl-expired"):
        return "route-loop"
    came = loss.came_in(routed.namespace)
    if routed.leg is Leg.REPLY and out is not None and came not in (None, out):
        return "reply-wrong-path"
    return "no-route"


def reached_by(router: Namespace, station: Link, dst: str) -> str | None:
    """The network of `dst` to which a router has a route that does not lead back to where it was asked; or
    which is its own, whatever refuses it there.
    """
    match fib.lookup(router, RouteQuery(None, dst)):
        case fib.FibResult(
            type="unicast", route=Route(is_default=False, dst=network), leg=Nexthop(index=out)
        ):
            return network if out != station.index else None
    near = but(prefix.neighbours_of(dst, router.addresses), index=station.index)
    return next(map(prefix.network_of, where(router.addresses, address=dst) or near), None)
