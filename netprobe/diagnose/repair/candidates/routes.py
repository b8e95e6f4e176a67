"""Routes: followed astray, thrown away, to the wrong gateway. Pure.

See: ip-route(8); net/ipv4/fib_trie.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.routers import (
    arrives,
    hands_back,
    has_no_way_out,
    is_answered_by,
    leads_around_neighbours,
    leads_on,
    leads_there,
    leads_without,
    of_the_twin,
    proxied,
    router_for,
    routers_for,
    sends_all_to,
)
from netprobe.diagnose.repair.segment import on_link
from netprobe.model import Leg, Link, Namespace, Object, Place, Route, RouteQuery, Stage, Stop
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import among, but, column, has, not_among, those_not_in, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .sets import REFUSED

_DEAD = ("tun", "dummy", "wireguard")


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes that were followed."""
    for routed in (*loss.decisions, *proxied(loss)):
        yield from _followed(loss, routed)
        yield from _dead_leg(loss, routed)
        yield from _other_gateway(loss, routed)
        yield from _other_side(loss, routed)
    for name in loss.around:
        yield from _thrown(loss, loss.snapshot[name])


def followed(namespace: Namespace, routed: Routed) -> tuple[tuple[str, ...], Link | None]:
    """(the words of the route that was taken, the interface it leads out of)."""
    leg, route = routed.decision.leg, routed.decision.route
    assert route is not None
    link = namespace.link_of(leg)
    return tuple(fib.words(route, leg, link)), link


def _followed(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The route that was taken, gone; or without the source that it names."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    if route is None or (route.type, route.protocol) == ("local", "kernel"):
        return
    words, link = followed(namespace, routed)
    named = " ".join(words)
    if route.source and route.protocol != "kernel" and routed.leg is Leg.REQUEST:
        yield from _without_source(loss, namespace, routed, words)
    back = _leads_back(loss, routed) and not _is_usual(loss, routed, route)
    if (
        route.is_default
        and route.type == "unicast"
        and not back
        and not _stands_before_another(namespace, route)
    ):
        return
    code, what = _astray(loss, route, link)
    text = f"the route {named} of {namespace.name} takes packets for {routed.dst} to {what}"
    thing, fix = Object("route", named, named), (fixes.ip(route.dst, "route", "del", *words),)
    stop = lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    before = _stands_before_another(namespace, route)
    merit = _merit_of_followed(loss, routed, route, back and code == "route-loop")
    yield from loss.repair(stop, merit, agreeing=int(before))


def _merit_of_followed(loss: Loss, routed: Routed, route: Route, loops: bool) -> Merit:
    """What speaks for a route that is taken away: it goes in a circle, or by a station to its own neighbours;
    it leads what is beside astray; its gateway knows the way; a daemon keeps it for the rest of a block, or
    for a tunnel whose ends it tells packet by packet; it is the kernel's own, with stations of its network
    there; a policy rule chose its table, or it has led to the destination.
    """
    stale = [each for each in loss.decisions if loss.stop.code in _CIRCLES and _is_stale(loss, each)]
    loops = routed in stale if stale else loops
    if loops or leads_around_neighbours(loss, routed) or _hides_neighbours(loss, routed):
        return Merit.RESTORES
    if leads_on(loss, routed) or is_of_a_block(loss.snapshot[routed.namespace], route):
        return Merit.GOES_AROUND
    if _leads_where_it_tells(loss.out(routed)):
        return Merit.GOES_AROUND
    if route.protocol == "kernel" and _has_stations(loss, routed, route):
        return Merit.GOES_AROUND
    here = loss.snapshot[routed.namespace]
    alone = not _is_one_of_several(here, route) and not _stands_before_another(here, route)
    kept = rests_on_a_rule(routed) and alone
    return Merit.ADDS if kept or _leads_home(loss, routed) else Merit.UNDOES


def _leads_where_it_tells(link: Link | None) -> bool:
    """Whether a device has no ends of its own: a packet brings its own along (VXLAN_F_COLLECT_METADATA)."""
    return link is not None and link.vxlan is not None and link.vxlan.collect_metadata


def _is_one_of_several(namespace: Namespace, route: Route) -> bool:
    """Whether a route refuses some of what its table leads on: the rule for the table is for all of that."""
    refusing = where(among((route,), type=REFUSING), is_default=False)
    return bool(refusing) and has(namespace.routes, table=route.table, version=route.version, type="unicast")


def _is_usual(loss: Loss, routed: Routed, route: Route) -> bool:
    """Whether a default route is by a gateway that others on its segment use as well."""
    namespace, link = loss.snapshot[routed.namespace], loss.out(routed)
    return route.is_default and link is not None and routed.gateway in gateways(loss, namespace, link, route)


def _is_stale(loss: Loss, routed: Routed) -> bool:
    """Whether a route to a network, by which a packet goes in a circle, has another one to the same network
    behind it: of the two, this one is of before.
    """
    route = routed.decision.route
    if route is None or not route.is_to_a_network or route.protocol == "kernel":
        return False
    return _stands_before_another(loss.snapshot[routed.namespace], route)


def _hides_neighbours(loss: Loss, routed: Routed) -> bool:
    """Whether a table that everything is looked up in before main has a route to a network beside, by another
    way, among others: who writes them did not know that it is near.
    """
    rule, route = routed.decision.rule, routed.decision.route
    if rule is None or route is None or rule.table in (fib.LOCAL, fib.MAIN) or not route.is_to_a_network:
        return False
    namespace = loss.snapshot[routed.namespace]
    near = fib.best(namespace, fib.MAIN, RouteQuery(None, routed.dst))
    if near is None or near.protocol != "kernel" or near.indexes == route.indexes:
        return False
    others = but(where(namespace.routes, table=rule.table, version=route.version), dst=route.dst)
    return rule.is_for_all and bool(others)


def _leads_home(loss: Loss, routed: Routed) -> bool:
    """Whether the request got by a route to who has its destination, and only its answer is lost: without the
    route it would go to another who has it.
    """
    if routed.leg is not Leg.REQUEST or loss.prediction.leg is not Leg.REPLY:
        return False
    reached = {*column(loss.prediction.request.hops[-1:], "namespace")}
    return not reached.isdisjoint({*loss.bearers(routed.gateway)} & {*loss.bearers(loss.goal)})


def is_of_a_block(namespace: Namespace, route: Route | None) -> bool:
    """Whether a routing daemon refuses with it what is left of a block, some of which has routes of its own:
    without it, what nobody has would go out into the world.
    """
    kept = not_among(among(filter(None, (route,)), type=REFUSING), protocol=_BY_HAND)
    return any(_is_part(*each) for each in product(where(namespace.routes, type="unicast"), kept))


def _is_part(one: Route, other: Route) -> bool:
    """Whether a route is for some of what another one of its table is for."""
    same = (one.table, one.version) == (other.table, other.version)
    longer = prefix.length(one.dst) > prefix.length(other.dst)
    return same and longer and prefix.contains(other.dst, one.dst.partition("/")[0])


_BY_HAND = ("kernel", "boot", "static")
REFUSING = ("blackhole", "unreachable", "prohibit")


def _stands_before_another(namespace: Namespace, route: Route) -> bool:
    """Whether the same table has a route for the same destinations that only the metric puts behind it."""
    others = where(namespace.routes, dst=route.dst, table=route.table, type="unicast")
    return any(each.metric > route.metric for each in others)


def _leads_back(loss: Loss, routed: Routed) -> bool:
    """Whether the next hop is a namespace from which the packet has come; of a tunnel, the tunnel itself."""
    decisions = loss.asked(routed.leg)
    if routed not in decisions:
        return loss.stop.place == Place(routed.namespace, name_of(loss.out(routed)), Stage.ENCAPSULATE)
    before = {*column(decisions[: decisions.index(routed)], "namespace")}
    return not before.isdisjoint(loss.bearers(routed.gateway))


def _has_stations(loss: Loss, routed: Routed, route: Route) -> bool:
    """Whether somebody besides the namespace itself has an address of the network of a route, on that
    link; of one without a link nobody can tell.
    """
    link = loss.out(routed)
    if link is None:
        return True
    beside = loss.addresses_beside(routed.namespace, link, route.version)
    return any(prefix.contains(route.dst, address.address) for address in beside)


def _astray(loss: Loss, route: Route, link: Link | None) -> tuple[str, str]:
    """The code of the cause that a route is, and where it leads."""
    if route.type != "unicast":
        return _NOWHERE.get(route.type, (f"route-{route.type}", "nowhere"))
    if kind_of(link) in _DEAD:
        unserved = link is not None and not link.runs
        return "route-via-dead-device", "a device that no program serves" if unserved else _UNANSWERED
    if loss.stop.code in ("route-loop", "ttl-expired", "martian-source"):
        return "route-loop", "where they came from"
    return "route-overlap", "the wrong place"


_CIRCLES = ("route-loop", "ttl-expired")
_UNANSWERED = "a device behind which they are not answered"
_NOWHERE = {"local": ("route-overlap", "itself")}


def _without_source(
    loss: Loss, namespace: Namespace, routed: Routed, words: tuple[str, ...]
) -> Iterator[Repair]:
    route = routed.decision.route
    assert route is not None
    named = " ".join(words)
    text = (
        f"the route {named} of {namespace.name} makes packets leave with the source {route.source},"
        " which cannot be answered"
    )
    thing = Object("route", f"{named} src {route.source}", f"{named} src {route.source}")
    whole = fib.in_full(replace(route, source=None), routed.decision.leg, loss.out(routed))
    fix = (fixes.ip(route.dst, "route", "replace", *whole),)
    stop = lost("route-wrong-src", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.UNDOES, leg=Leg.REPLY)


def _dead_leg(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A route of several legs, without the one that was taken."""
    namespace, route, taken = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
    if route is None or taken is None or len(route.nexthops) < 2:
        return
    named = " ".join(followed(namespace, routed)[0])
    for leg in but(those_not_in(route.nexthops, (taken,)), via=None):
        for link in where(namespace.links, index=leg.index):
            way = ("via", leg.via or "", "dev", link.name)
            fix = (fixes.ip(route.dst, "route", "replace", route.target, *way),)
            text = f"{named}, one leg of several in {namespace.name}, is dead"
            thing = Object("route", named, named)
            stop = lost("ecmp-dead-nexthop", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            said = has_no_way_out(loss, taken.via)
            yield from loss.repair(stop, Merit.RESTORES if said else Merit.UNDOES)


def _other_gateway(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A gateway that the others on the segment do not use, or that is none."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    link = towards_a_gateway(namespace, routed)
    if route is None or link is None:
        return
    known = gateways(loss, namespace, link, route) + Counter(of_the_twin(loss, namespace, link, route))
    hops = [hints.Gateway(via, link, onlink=not on_link(namespace, link, via)) for via in known]
    found = router_for(loss, namespace.name, routed.dst)
    back, right = hands_back(loss, routed), leads_on(loss, routed)
    proven = arrives(loss, routed) or (not back and is_answered_by(loss, routed))
    aside = not back and _is_somebody(loss, namespace, link, routed.gateway)
    own = {*_of_other_tables(namespace, route, link)} if routed.gateway is None else set()
    for hop in dict.fromkeys(filter(None, (*hops, found))):
        same = (hop.via, hop.link) == (routed.gateway, link) or namespace.address(hop.via)
        if not same and (known[hop.via] or not leads_there(loss, routed)):
            aloof = hop.link != link or hop.onlink
            misled = aside and loss.stop.code == "neigh-wrong-entry"  # not the route is wrong
            sends_back = route.is_default and sends_all_to(loss, hop.via, routed)
            around = sends_back or misled or (aloof and (aside or (right and hop.via != routed.gateway)))
            elsewhere = hop.via == routed.gateway  # and of the network of that other interface
            back_to_us = back and hop == found and not leads_without(namespace, routed, hop)
            used = known[hop.via] and not proven
            sure = used or elsewhere or back_to_us
            merit = Merit.GOES_AROUND if around else _merit(routed, sure, (hop.via, hop.link) in own)
            stop = mistaken(namespace, routed, route, hop)
            yield from loss.repair(stop, merit, agreeing=known[hop.via])


def _other_side(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The way out by another interface, where the gateway that was taken refuses what comes by this one: a
    station is on an inner network as well, and who is on both knows by which one leaves.
    """
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    link = towards_a_gateway(namespace, routed)
    at_it = routed.gateway is not None and loss.here.address(routed.gateway) is not None
    if route is None or link is None or not (at_it and route.is_default and loss.stop.code in REFUSED):
        return
    near = dict(loss.others(namespace.name, link))
    for hop in routers_for(loss, namespace.name, routed.dst):
        both = [(name, end) for name, end in loss.others(namespace.name, hop.link) if name in near]
        using = [name for name, end in both if hop.via in _ways_out(loss.snapshot[name], end, route.version)]
        if hop.link != link:
            sure = using and not rests_on_a_rule(routed)  # a table of an interface is for that one
            stop = mistaken(namespace, routed, route, hop)
            yield from loss.repair(stop, Merit.restoring(sure), agreeing=len(using))


def _ways_out(station: Namespace, link: Link, version: int) -> list[str | None]:
    """The gateways to all the world that a station uses by an interface."""
    routes = where(station.routes, version=version, is_default=True, table=fib.MAIN)
    return [leg.via for route in routes for leg in where(route.nexthops, index=link.index)]


def _is_somebody(loss: Loss, namespace: Namespace, link: Link, via: str | None) -> bool:
    """Whether a station of that segment bears the address of a gateway: another way leads around what is
    wrong with it. Those of a tunnel that is told its ends one by one are not found by asking all: they are
    nodes, and no station behind one.
    """
    if via is None:
        return False
    near = has(loss.addresses_beside(namespace.name, link, prefix.version(via)), address=via)
    nodes = column(map(loss.snapshot.at, loss.bearers(via)), "vxlans")
    return near or (kind_of(link) == "vxlan" and any(nodes))


def towards_a_gateway(namespace: Namespace, routed: Routed) -> Link | None:
    """The interface of a route of one leg that has a gateway, or should have: it is for the whole world."""
    match routed.decision.route:
        case Route(type="unicast", nexthops=() | (_,)) as route:
            gone = routed.gateway is None and not route.is_default
            if gone:
                return None
            return namespace.link_of(routed.decision.leg)
    return None


def _of_other_tables(namespace: Namespace, route: Route, link: Link) -> Iterator[tuple[str | None, Link]]:
    """The gateways on an interface by which other tables of a namespace lead to where a route leads."""
    for other in but(where(namespace.routes, dst=route.dst), table=route.table):
        for leg in but(where(other.nexthops, index=link.index), via=None):
            yield leg.via, link


def _merit(routed: Routed, sure: object, own: bool) -> Merit:
    """Others use this gateway, who has the other one sends back, or there is none; in a table that a policy
    rule chose, the rule comes first, unless the namespace itself uses it on that interface.
    """
    sure = sure or routed.gateway is None  # nobody has the whole world for neighbours
    if own or (sure and not rests_on_a_rule(routed)):
        return Merit.RESTORES
    return Merit.ADDS


def rests_on_a_rule(routed: Routed) -> bool:
    """Whether a policy rule that somebody made chose the table."""
    return routed.decision.rule is not None and is_special(routed.decision.rule)


def gateways(loss: Loss, namespace: Namespace, link: Link, route: Route) -> Counter[str]:
    """The gateways of the other stations on the segment for the same destinations, with how many use each;
    and the neighbours that somebody wrote for the network of the route.
    """
    written = where(namespace.neighbours, index=link.index, state="permanent")
    used = (
        leg.via
        for name, station in loss.others(namespace.name, link)
        for other in where(loss.snapshot[name].routes, dst=route.dst, origin=route.origin, table=fib.MAIN)
        for leg in where(other.nexthops, index=station.index)
    )  # fmt: skip
    known = Counter(each.address for each in written if prefix.contains(route.dst, each.address))
    return known + Counter(filter(None, used))


def mistaken(namespace: Namespace, routed: Routed, route: Route, hop: hints.Gateway) -> Stop:
    """The route that was taken as the wrong one, by this gateway in its place."""
    words, link = followed(namespace, routed)
    named = " ".join(words)
    if routed.gateway is not None:
        text = f"by the route {named} of {namespace.name} the packet does not arrive; by {hop.via} it does"
    else:
        text = (
            f"the route {named} of {namespace.name} has no gateway: it takes {routed.dst} for a neighbour on"
            f" {name_of(link)}"
        )
    table = fib.table_words(route.table)
    metric = ("metric", str(route.metric)) if route.metric and route.protocol != "kernel" else ()
    way = ("via", hop.via, "dev", hop.link.name)
    fix = (fixes.ip(route.dst, "route", "replace", route.target, *way, *table, *metric, *hop.flags),)
    if route.nhid is not None:
        fix = (fixes.ip(hop.via, "nexthop", "replace", "id", str(route.nhid), *way, *hop.flags),)
    thing = Object("route", named, named)
    return lost("route-wrong-nexthop", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _thrown(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """A route that says to look in no further table."""
    wanted = {*column(where(loss.decisions, namespace=namespace.name), "dst")}
    for route in where(namespace.routes, type="throw"):
        if any(prefix.contains(route.dst, dst) for dst in wanted):
            words = fib.words(route, None, None)
            named = " ".join(words)
            text = f"the route {named} of {namespace.name} ends the search in its table"
            fix = (fixes.ip(route.dst, "route", "del", *words),)
            thing = Object("route", named, named)
            stop = lost("no-route", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.UNDOES)
