"""Routes: followed astray, gone, to the wrong gateway, missing on the way there or back. Pure.

See: ip-route(8); net/ipv4/fib_trie.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.routers import router_for
from netprobe.model import Leg, Link, Namespace, Object, Route, RouteQuery, Stage, Stop
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

# Ends at which nothing refused the packet: it was where nobody knows it.
_ASTRAY = {
    "neigh-no-answer", "no-route", "nat-not-reversed", "route-wrong-nexthop", "forwarding-off",
    "link-no-carrier", "route-loop",
}  # fmt: skip
_DEAD = ("tun", "dummy", "wireguard")


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes that were followed, and those that others have."""
    for routed in loss.prediction.routed:
        yield from _followed(loss, routed)
        yield from _dead_leg(loss, routed)
        yield from _other_gateway(loss, routed)
        yield from _missing_here(loss, routed)
    yield from no_way_back(loss)
    for name in loss.around:
        yield from _thrown(loss, loss.snapshot[name])


def no_way_back(loss: Loss) -> Iterator[Repair]:
    """No route at all to the source of a packet that a source check refuses: the check is not at fault."""
    name, hops = loss.stop.place.namespace or "", loss.hops
    if loss.stop.code != "rp-filter" or not hops or name not in loss.snapshot:
        return
    source = hops[-1].flow.src
    router = router_for(loss, name, source)
    if router is None or fib.lookup(loss.snapshot[name], RouteQuery(None, source)).route is not None:
        return
    onlink = ("onlink",) if router.onlink else ()
    words = ("route", "add", "default", "via", router.via, "dev", router.link.name, *onlink)
    text = f"{name} has no route to {source}, where the packet comes from"
    thing = Object("route", source, f"no route to {source}")
    stop = lost("no-route", name, None, Stage.ROUTE, text, object=thing, fix=(fixes.ip(source, *words),))
    yield from loss.repair(stop, Merit.RESTORES)


def missing(loss: Loss) -> Iterator[Repair]:
    """The networks to which routers beside the way know a way."""
    for routed in loss.prediction.routed:
        yield from _missing_here(loss, routed)


def followed(namespace: Namespace, routed: Routed) -> tuple[tuple[str, ...], Link | None]:
    """(the words of the route that was taken, the interface it leads out of)."""
    leg, route = routed.decision.leg, routed.decision.route
    assert route is not None
    link = namespace.link_of(leg)
    return tuple(fib.words(route, leg, link)), link


def _followed(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The route that was taken, gone; or without the source that it names."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    if route is None or (route.type == "local" and route.protocol == "kernel"):
        return
    words, link = followed(namespace, routed)
    named = " ".join(words)
    if route.source and route.protocol != "kernel" and routed.leg is Leg.REQUEST:
        yield from _without_source(loss, namespace, routed, words)
    default = route.type == "unicast" and prefix.length(route.dst) == 0
    if default and not (_leads_back(loss, routed) or _stands_before_another(namespace, route)):
        return
    code, what = _astray(loss, route, link)
    text = f"the route {named} of {namespace.name} takes packets for {routed.dst} to {what}"
    stop = lost(
        code,
        namespace.name,
        link,
        Stage.ROUTE,
        text,
        object=Object("route", named, named),
        fix=(fixes.ip(route.dst, "route", "del", *words),),
    )
    if code == "route-loop" and _leads_back(loss, routed):
        yield from loss.repair(stop, Merit.RESTORES)
        return
    meant = route.protocol == "kernel" and (link is None or _has_stations(loss, namespace, link, route))
    merit = Merit.GOES_AROUND if meant else Merit.UNDOES
    yield from loss.repair(stop, Merit.ADDS if rests_on_a_rule(routed) and not meant else merit)


def _stands_before_another(namespace: Namespace, route: Route) -> bool:
    """Whether the same table has a route for the same destinations that only the metric puts behind it."""
    key = (route.dst, route.table, "unicast")
    others = [each for each in namespace.routes if (each.dst, each.table, each.type) == key]
    return any(each.metric > route.metric for each in others)


def _leads_back(loss: Loss, routed: Routed) -> bool:
    """Whether the next hop is a namespace from which the packet has come."""
    via = routed.decision.leg.via if routed.decision.leg is not None else None
    decisions = loss.asked(routed.leg)
    before = [r.namespace for r in decisions[: decisions.index(routed)]]
    return via is not None and any(loss.snapshot[name].owner_of(via) is not None for name in before)


def _has_stations(loss: Loss, namespace: Namespace, link: Link, route: Route) -> bool:
    """Whether somebody besides the namespace itself has an address of the network of a route, on that
    link.
    """
    version = prefix.version(route.dst)
    beside = loss.beside(namespace.name, link, version)
    return any(prefix.contains(route.dst, address.address) for _, _, address in beside)


def _astray(loss: Loss, route: Route, link: Link | None) -> tuple[str, str]:
    if route.type == "local":
        return "route-overlap", "itself"
    if route.type != "unicast":
        return f"route-{route.type}", "nowhere"
    if link is not None and link.kind in _DEAD:
        return "route-via-dead-device", "a device that no program serves"
    if loss.stop.code in ("route-loop", "ttl-expired", "martian-source"):
        return "route-loop", "where they came from"
    return "route-overlap", "the wrong place"


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
    fix = (fixes.ip(route.dst, "route", "replace", *words),)
    stop = lost("route-wrong-src", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.UNDOES, leg=Leg.REPLY)


def _dead_leg(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A route of several legs, without the one that was taken."""
    namespace, route, taken = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
    if route is None or taken is None or len(route.nexthops) < 2:
        return
    words, _ = followed(namespace, routed)
    named = " ".join(words)
    for leg in route.nexthops:
        link = namespace.link(leg.index)
        if leg == taken or link is None or leg.via is None:
            continue
        target = "default" if prefix.length(route.dst) == 0 else route.dst
        fix = (fixes.ip(route.dst, "route", "replace", target, "via", leg.via, "dev", link.name),)
        text = f"{named}, one leg of several in {namespace.name}, is dead"
        thing = Object("route", named, named)
        stop = lost("ecmp-dead-nexthop", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def _other_gateway(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A gateway that the others on the segment do not use, or that is none."""
    namespace, route, leg = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
    link = _towards_a_gateway(namespace, routed)
    if route is None or leg is None or link is None:
        return
    known = gateways(loss, namespace, link, route)
    hops = [hints.Gateway(via, link, onlink=not _on_link(namespace, link, via)) for via in known]
    found = router_for(loss, namespace.name, routed.dst)
    own = {address.address for address in namespace.addresses}
    for hop in dict.fromkeys([*hops, *([found] if found is not None else [])]):
        same = (hop.via, hop.link) == (leg.via, link) or hop.via in own
        if not same and (known[hop.via] or not _leads_there(loss, routed)):
            stop = mistaken(namespace, routed, route, hop)
            aside = hop.link != link and _is_somebody(loss, namespace, link, leg.via)
            merit = Merit.GOES_AROUND if aside else _merit(routed, known[hop.via])
            yield from loss.repair(stop, merit, agreeing=known[hop.via])


def _is_somebody(loss: Loss, namespace: Namespace, link: Link, via: str | None) -> bool:
    """Whether a station of that segment bears the address of a gateway: another way leads around what is
    wrong with it.
    """
    beside = loss.beside(namespace.name, link, prefix.version(via)) if via is not None else ()
    return any(address.address == via for _, _, address in beside)


def _leads_there(loss: Loss, routed: Routed) -> bool:
    """Whether the gateway that was taken is a router on that segment, and knows the way."""
    here, leg = loss.snapshot[routed.namespace], routed.decision.leg
    link = here.link_of(leg)
    if leg is None or leg.via is None or link is None:
        return False
    return any(
        hints.leads(loss.snapshot[name], routed.dst, here)
        for name, station in loss.stations(routed.namespace, link)
        if loss.snapshot[name].has_on(station, leg.via)
    )


def _towards_a_gateway(namespace: Namespace, routed: Routed) -> Link | None:
    """The interface of a route of one leg that has a gateway, or should have: it is for the whole world."""
    route, leg = routed.decision.route, routed.decision.leg
    if route is None or leg is None or route.type != "unicast" or len(route.nexthops) > 1:
        return None
    link = namespace.link(leg.index)
    direct = leg.via is None and prefix.length(route.dst) > 0
    return link if link is not None and not direct else None


def _merit(routed: Routed, agreeing: int) -> Merit:
    """Others use this gateway, or there is none; in a table that a policy rule chose, the rule comes
    first.
    """
    leg = routed.decision.leg
    sure = agreeing > 0 or (leg is not None and leg.via is None)  # nobody has the whole world for neighbours
    return Merit.RESTORES if sure and not rests_on_a_rule(routed) else Merit.ADDS


def rests_on_a_rule(routed: Routed) -> bool:
    """Whether a policy rule that somebody made chose the table."""
    return routed.decision.rule is not None and is_special(routed.decision.rule)


def gateways(loss: Loss, namespace: Namespace, link: Link, route: Route) -> Counter[str]:
    """The gateways of the other stations on the segment for the same destinations, with how many use each;
    and the neighbours that somebody wrote for the network of the route.
    """
    written = Counter(
        n.address
        for n in namespace.neighbours
        if n.index == link.index and n.state == "permanent" and prefix.contains(route.dst, n.address)
    )
    return written + Counter(
        leg.via
        for name, station in loss.stations(namespace.name, link)
        if name != namespace.name
        for other in loss.snapshot[name].routes
        if (other.dst, other.table) == (route.dst, fib.MAIN)
        for leg in other.nexthops
        if leg.index == station.index and leg.via
    )


def mistaken(namespace: Namespace, routed: Routed, route: Route, hop: hints.Gateway) -> Stop:
    """The route that was taken as the wrong one, by this gateway in its place."""
    words, link = followed(namespace, routed)
    named = " ".join(words)
    leg = routed.decision.leg
    if leg is not None and leg.via is not None:
        text = f"the route {named} of {namespace.name} has a gateway that leads nowhere; {hop.via} does"
    else:
        whom = link.name if link is not None else "?"
        text = (
            f"the route {named} of {namespace.name} has no gateway: it takes {routed.dst} for a neighbour on"
            f" {whom}"
        )
    target = "default" if prefix.length(route.dst) == 0 else route.dst
    table = () if route.table == fib.MAIN else ("table", str(route.table))
    metric = ("metric", str(route.metric)) if route.metric and route.protocol != "kernel" else ()
    onlink = ("onlink",) if hop.onlink else ()
    replaced = ("route", "replace", target, "via", hop.via, "dev", hop.link.name, *table, *metric, *onlink)
    thing = Object("route", named, named)
    fix = (fixes.ip(route.dst, *replaced),)
    return lost("route-wrong-nexthop", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _on_link(namespace: Namespace, link: Link, via: str) -> bool:
    return any(
        prefix.contains(prefix.network(a.address, a.prefixlen), via) for a in namespace.addresses_of(link)
    )


def _thrown(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """A route that says to look in no further table."""
    wanted = {routed.dst for routed in loss.prediction.routed if routed.namespace == namespace.name}
    for route in namespace.routes:
        if route.type != "throw" or not any(prefix.contains(route.dst, dst) for dst in wanted):
            continue
        words = fib.words(route, None, None)
        named = " ".join(words)
        text = f"the route {named} of {namespace.name} ends the search in its table"
        fix = (fixes.ip(route.dst, "route", "del", *words),)
        thing = Object("route", named, named)
        stop = lost("no-route", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def _missing_here(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A network that a router beside this one knows, to which this one has no route of its own."""
    namespace, leg = loss.snapshot[routed.namespace], routed.decision.leg
    out = namespace.link_of(leg)
    for link in namespace.links:
        if link.kind == "loopback" or not link.up or link.master is not None:
            continue
        for name, station in loss.stations(namespace.name, link):
            if name == namespace.name:
                continue
            neighbour = loss.snapshot[name]
            network = _reached_by(neighbour, station, routed.dst)
            via = hints.gateway_on(neighbour, namespace, link, routed.dst)
            known = routed.dst == via or (leg is not None and leg.via == via)
            if network is None or via is None or known:
                continue
            taken = any((r.dst, r.table) == (network, fib.MAIN) for r in namespace.routes)
            how = "replace" if taken else "add"
            told = f"goes out of {out.name}" if out is not None else "finds no way"
            text = (
                f"{namespace.name} has no route to {network}: what is for {routed.dst} {told}; {via} ({name})"
                " knows the way"
            )
            fix = (fixes.ip(routed.dst, "route", how, network, "via", via, "dev", link.name),)
            code = _code_of_missing(loss, routed, out)
            thing = Object("route", network, f"no route to {network}")
            if code == "reply-wrong-path" and routed.decision.route is not None:
                along = " ".join(followed(namespace, routed)[0])
                thing = Object("route", along, along)
            stop = lost(code, namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, _merit_of_missing(loss, routed, code))


def _merit_of_missing(loss: Loss, routed: Routed, code: str) -> Merit:
    """An answer should leave by where the question came in; a route beside one that was meant is a detour."""
    if code == "reply-wrong-path" and loss.stop.code in _ASTRAY:
        return Merit.RESTORES
    return Merit.GOES_AROUND if code == "no-route" and _is_meant(routed) else Merit.ADDS


def _is_meant(routed: Routed) -> bool:
    """Whether a route to the network itself was followed: another one would lead around what is wrong with
    it.
    """
    route = routed.decision.route
    return route is not None and route.type == "unicast" and prefix.length(route.dst) > 0


def _code_of_missing(loss: Loss, routed: Routed, out: Link | None) -> str:
    """What lacks a route: a loop, an answer that leaves by another interface than the question came in by, or
    no more than a route.
    """
    if loss.stop.code in ("route-loop", "ttl-expired"):
        return "route-loop"
    if routed.leg is Leg.REPLY and out is not None:
        came = loss.came_in(routed.namespace)
        if came is not None and came.index != out.index:
            return "reply-wrong-path"
    return "no-route"


def _reached_by(router: Namespace, station: Link, dst: str) -> str | None:
    """The network of `dst` to which a router has a route that does not lead back to where it was asked."""
    if fib.is_local(router, dst):
        own = router.address(dst)
        return prefix.network(own.address, own.prefixlen) if own is not None else None
    found = fib.lookup(router, RouteQuery(None, dst))
    if (
        found.route is None
        or found.leg is None
        or found.leg.index == station.index
        or found.type != "unicast"
    ):
        return None
    return found.route.dst if prefix.length(found.route.dst) > 0 else None
