"""The router that a namespace could send to, on the segments that it is on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice, starmap
from operator import attrgetter, methodcaller

from msgspec.structs import replace

from netprobe.diagnose import hints
from netprobe.diagnose.repair.segment import are_alone
from netprobe.model import Leg, Link, Namespace, Route, RouteQuery
from netprobe.model.config import is_particular
from netprobe.model.lookup import column, has, not_among, those_not_in, where
from netprobe.predict import fib, prefix
from netprobe.predict.arp_reply import forwards
from netprobe.predict.trace import Routed

from .repair import Loss
from .segment import is_network, meet, own_addresses, proxy_key
from .worn import worn

_MOST = 3  # further routers that are tried
_SIDES = 2  # a namespace of containers forwards as well, where its host does


def router_for(loss: Loss, name: str, wanted: str) -> hints.Gateway | None:
    """The first of the routers that `wanted` may be reached by; None where none is in sight."""
    return next(routers_for(loss, name, wanted), None)


def routers_for(loss: Loss, name: str, wanted: str) -> Iterator[hints.Gateway]:
    """The routers beside a namespace that know the way to `wanted`, those first that hand on what is for
    others; else the one that others there use, or the only one: it may lack the way for a reason of its own;
    else the one that somebody wrote a route to, or that others there use though nobody has its address.
    One that sends that on by another one of the same network stands behind that one.
    """
    here = loss.snapshot.at(name)
    known = where(here.outward, up=True)
    # who is behind one of hundreds without an address is asked for by nobody
    links = tuple(link for link in known if own_addresses(here, link, prefix.version(wanted)))
    near = (hints.behind_cable(here, link, beside(loss, name, link), wanted) for link in links)
    leading = chain(hints.gateways(loss.snapshot, name, wanted), filter(None, near))
    knowing = iter(sorted(leading, key=partial(_hands_on_nothing, loss, prefix.version(wanted))))
    first = next(knowing, None) or _usual(loss, here, links, wanted)
    first = first or next(chain(_written(here, known, wanted), _missed(loss, here, links, wanted)), None)
    for found in filter(None, (first, *islice(knowing, _MOST))):
        yield from _next_on_segment(loss, name, found, wanted)
        yield found


def _hands_on_nothing(loss: Loss, version: int, found: hints.Gateway) -> bool:
    """Whether a gateway is a station that has the destination and is the way to nothing else."""
    return not any(hints.hands_on(loss.snapshot[name], version) for name in loss.bearers(found.via))


def _next_on_segment(loss: Loss, name: str, found: hints.Gateway, wanted: str) -> Iterator[hints.Gateway]:
    """The router on the same network by which a router itself sends what is for `wanted`: it would tell who
    asks to go there at once (ip_rt_send_redirect).
    """
    own = own_addresses(loss.snapshot.at(name), found.link, prefix.version(wanted))
    for router in map(loss.snapshot.at, loss.bearers(found.via)):
        via = fib.lookup(router, RouteQuery(None, wanted)).via
        others = those_not_in(loss.bearers(via), (name, router.name))
        if via is not None and others and prefix.within(map(prefix.network_of, own), via):
            yield hints.Gateway(via, found.link)


def network_behind(namespace: Namespace, source: str) -> str:
    """The network of an address by the route that leads back to it; itself, where only a default does."""
    back = fib.lookup(namespace, RouteQuery(None, source)).route
    return back.dst if is_particular(back) else source


def _written(here: Namespace, links: tuple[Link, ...], wanted: str) -> Iterator[hints.Gateway]:
    """The address to which a route leads straight, in a namespace that has no network: who has it, or answers
    for it, is its gateway.
    """
    version = prefix.version(wanted)
    own = [each for link in links for each in own_addresses(here, link, version)]
    routes = where(here.routes, version=version, type="unicast", gateways=[None])
    for route in routes if are_alone(own) else ():
        address = route.dst.partition("/")[0]
        single = prefix.length(route.dst) == prefix.bits(address) and here.address(address) is None
        for link in where(links, index=route.indexes[0]) if single else ():
            yield hints.Gateway(address, link)


def _usual(loss: Loss, here: Namespace, links: tuple[Link, ...], wanted: str) -> hints.Gateway | None:
    """The router on the networks of these interfaces whom the others there use most; where nobody uses any,
    the only one. Who forwards at the other end of a cable is one, though he has lost his other side.
    """
    version = prefix.version(wanted)
    stations = ((link, each) for link in links for each in loss.others(here.name, link))
    others = [(link, loss.snapshot[name], station) for link, (name, station) in stations]
    sides = _SIDES if len(others) > 1 else 1
    routers = [*chain.from_iterable(starmap(partial(_routers, here, wanted, sides), others))]
    used = Counter(chain.from_iterable(_used(there, station, version) for _, there, station in others))
    best = max(routers, key=lambda each: used[each.via], default=None)
    return best if best is not None and (used[best.via] or len(routers) == 1) else None


def _missed(loss: Loss, here: Namespace, links: tuple[Link, ...], wanted: str) -> Iterator[hints.Gateway]:
    """The gateway to which others on the networks of these interfaces send, and nobody is: it is missing as
    well.
    """
    version = prefix.version(wanted)
    for link in links:
        own, others = own_addresses(here, link, version), loss.others(here.name, link)
        used = (_used(loss.snapshot[name], station, version) for name, station in others)
        for via in those_not_in(dict.fromkeys(chain.from_iterable(used)), {wanted, *loss.owned}):
            if prefix.neighbours_of(via, own):
                yield hints.Gateway(via, link)


def _routers(
    here: Namespace, wanted: str, least: int, link: Link, router: Namespace, station: Link
) -> Iterator[hints.Gateway]:
    """The addresses of a router beside an interface that are of a network of both; of one that does not send
    what is for `wanted` back; or of one that would send it on by another side, or has it there, if only it
    forwarded.
    """
    version = prefix.version(wanted)
    own = own_addresses(here, link, version)
    sides = [each for each in where(router.outward, up=True) if own_addresses(router, each, version)]
    way = fib.lookup(router, RouteQuery(None, wanted))
    onward = way.leg is not None and way.index != station.index
    back = here.address(way.via) is not None
    if back or len(sides) < least or not (onward or forwards(router, station, version)):
        return
    its = own_addresses(router, station, version)
    for each in not_among(its, address={*column(here.addresses, "address")}):
        if meet([each], own):
            yield hints.Gateway(each.address, link)


def _used(there: Namespace, station: Link, version: int) -> Iterator[str]:
    """The gateways to all the world that a station sends to by an interface."""
    for route in where(there.routes, version=version, is_default=True):
        yield from filter(None, column(where(route.nexthops, index=station.index), "via"))


def came_from(loss: Loss, name: str) -> hints.Gateway | None:
    """The router that sent the request into a namespace that cannot answer it: it is one, whatever else it
    lacks.
    """
    link = loss.came_in(name)
    if loss.prediction.leg is not Leg.REPLY or link is None or not link.up:
        return None
    routers = {*column(loss.asked(Leg.REQUEST), "namespace")} - {name, loss.probe.source.namespace}
    own = own_addresses(loss.snapshot[name], link, loss.probe.version)
    for router, station in beside(loss, name, link):
        known = own_addresses(router, station, loss.probe.version) if router.name in routers else ()
        for address in known:
            return hints.Gateway(address.address, link, not meet([address], own))
    return None


def beside(loss: Loss, name: str, link: Link) -> tuple[tuple[Namespace, Link], ...]:
    """The stations of a segment, with their namespaces."""
    return tuple((loss.snapshot[there], station) for there, station in loss.stations(name, link))


def of_the_twin(loss: Loss, namespace: Namespace, link: Link, route: Route) -> Iterator[str]:
    """The addresses of the router to which the same table sends what is for all the world by the other IP
    version: that end as that router's other address, as people give both versions the same last number.
    """
    if not route.is_default:
        return
    other = where(namespace.routes, version=10 - route.version, is_default=True, table=route.table)
    legs = where(chain.from_iterable(column(other, "nexthops")), index=link.index)
    used = {*filter(None, map(attrgetter("via"), legs))}
    for router, station in beside(loss, namespace.name, link):
        ends = {_last(each) for each in used if router.has_on(station, each)}
        own = own_addresses(router, station, route.version)
        yield from (each.address for each in own if _last(each.address) in ends)


def _last(address: str) -> str:
    """The last number of an address, as it is written."""
    return address.replace(":", ".").rpartition(".")[2]


def leads_on(loss: Loss, routed: Routed) -> bool:
    """Whether the gateway that was taken is somebody's in sight who knows the way on, and to whom the packet
    did not get: the route is right, and another way leads around what is wrong between them.
    """
    here = loss.snapshot[routed.namespace]
    walks = dict(zip(Leg, loss.prediction.walks, strict=False))
    hops = walks.get(routed.leg, loss.prediction.request).hops
    # not what a tunnel alone got there
    come = column(where(hops, tunnel_end=None), "namespace")
    others = those_not_in(loss.bearers(routed.gateway), (here.name, *come))
    near = filter(partial(_is_near, loss, here, routed), map(loss.snapshot.at, others))
    return any(hints.leads(each, routed.dst, here) for each in near)


def hands_back(loss: Loss, routed: Routed) -> bool:
    """Whether who has the gateway that was taken knows no other way to the destination than back here."""
    here = loss.snapshot[routed.namespace]
    others = those_not_in(loss.bearers(routed.gateway), (here.name,)) if routed.gateway is not None else ()
    return bool(others) and all(
        _sends_to(loss, each, here, routed.dst) for each in map(loss.snapshot.at, others)
    )


def _sends_to(loss: Loss, there: Namespace, here: Namespace, wanted: str) -> bool:
    """Whether a namespace sends what is for `wanted` to another one, out of an interface at which that is."""
    way = fib.lookup(there, RouteQuery(None, wanted))
    out = there.link_of(way.leg)
    near = dict(loss.stations(there.name, out)) if out is not None else {}
    return here.name in near and here.address(way.via) is not None


def arrives(loss: Loss, routed: Routed) -> bool:
    """Whether a request got to who has its destination, and its answer alone is lost: the way was right."""
    return routed.leg is Leg.REQUEST and loss.prediction.leg is Leg.REPLY and not holds_up(loss, routed)


def is_answered_by(loss: Loss, routed: Routed) -> bool:
    """Whether the gateway that was taken is a router to whom the one to whom he sends the packet on would
    send its answer: of several routers on a segment this one is meant, whichever others there use.
    """
    query, having = RouteQuery(routed.dst, routed.src), loss.bearers(routed.gateway)
    for router in map(loss.snapshot.at, having if routed.gateway is not None and routed.src else ()):
        way = fib.lookup(router, routed.query)
        nexts = map(loss.snapshot.at, loss.bearers(way.via or routed.dst) if way.leg is not None else ())
        backs = (fib.lookup(each, query).via for each in nexts)
        if any(via is not None and router.address(via) is not None for via in backs):
            return True
    return False


def leads_there(loss: Loss, routed: Routed) -> bool:
    """Whether the gateway that was taken is a router on that segment, and knows the way."""
    here, link = loss.snapshot[routed.namespace], loss.out(routed)
    near = beside(loss, here.name, link) if link is not None and routed.gateway is not None else ()
    having = (router for router, each in near if router.has_on(each, routed.via))
    return any(hints.leads(router, routed.dst, here) for router in having)


def leads_without(here: Namespace, routed: Routed, hop: hints.Gateway) -> bool:
    """Whether the packet would go to a router without the route that was taken, which need not lead there."""
    bare = replace(here, routes=those_not_in(here.routes, (routed.decision.route,)))
    way = fib.lookup(bare, RouteQuery(None, routed.dst))
    return way.leg is not None and way.index == hop.link.index and way.via in (None, hop.via)


def sends_all_to(loss: Loss, via: str, routed: Routed) -> bool:
    """Whether who has an address sends all the world back there, to the gateway that was taken."""
    there = map(loss.snapshot.at, loss.bearers(via) if routed.gateway is not None else ())
    borne = ((each, own.index) for each in there for own in where(each.addresses, address=via))
    ways = ((route, index) for each, index in borne for route in where(each.routes, is_default=True))
    return any(has(route.nexthops, index=index, via=routed.gateway) for route, index in ways)


def _is_near(loss: Loss, here: Namespace, routed: Routed, there: Namespace) -> bool:
    """Whether who has a gateway may be meant by it: not where its network is one that we are not on, and he
    is not on the segment that the route leads to, by whatever address.
    """
    own, out = where(there.addresses, address=routed.gateway), loss.out(routed)
    if not all(map(is_network, own)) or meet(own, list(here.addresses)):
        return True
    return out is not None and there.name in dict(loss.stations(here.name, out))


def holds_up(loss: Loss, routed: Routed) -> bool:
    """Whether the packet was lost at the gateway that was taken, which knows the way and does not forward,
    or has lost it with the life of a cable; or on the way to the interface of it, which is off.
    """
    known = fib.lookup(loss.here, RouteQuery(None, routed.dst)).leg
    forgot = _is_at(loss, routed) and loss.stop.code == "no-route" and bool(worn(loss.here))
    having = map(
        methodcaller("owner_of", routed.gateway), map(loss.snapshot.at, loss.bearers(routed.gateway))
    )
    return has(filter(None, having), up=False) or forgot or (_keeps(loss, routed) and known is not None)


def leads_around_neighbours(loss: Loss, routed: Routed) -> bool:
    """Whether a route leads to a part of the segment's own network by one of its stations, which does not
    forward.
    """
    link, route = loss.out(routed), routed.decision.route
    if link is None or route is None or not _keeps(loss, routed):
        return False
    own = filter(is_network, own_addresses(loss.snapshot[routed.namespace], link, route.version))
    return prefix.within(map(prefix.network_of, own), route.dst.partition("/")[0])


def _keeps(loss: Loss, routed: Routed) -> bool:
    """Whether the packet was lost at the gateway that was taken, for that one does not forward."""
    return _is_at(loss, routed) and loss.stop.code == "forwarding-off"


def _is_at(loss: Loss, routed: Routed) -> bool:
    """Whether the packet was lost at the gateway that was taken."""
    return routed.gateway is not None and loss.here.address(routed.gateway) is not None


def has_no_way_out(loss: Loss, via: str | None) -> bool:
    """Whether the packet was refused by a router that says itself that it has no way to all the world: who
    has others to choose from is not to send there.
    """
    at_it = via is not None and loss.here.address(via) is not None
    taken = where(loss.prediction.routed, namespace=loss.here.name)[-1:]
    refusing = not_among(filter(None, column(taken, "decision.route")), type=("unicast", "local"))
    return at_it and any(each.is_default for each in refusing)


def proxied(loss: Loss) -> Iterator[Routed]:
    """Where proxies that hear a question which nobody answers lead what is for that address, if nowhere: for
    that they do not answer (arp_process).
    """
    for last in loss.prediction.routed[-1:] if loss.stop.code == "neigh-no-answer" else ():
        for name, link in loss.hearers():
            here, query = loss.snapshot[name], RouteQuery(last.src, last.via, iif=link.index)
            found = fib.lookup(here, query)
            if found.leg is None and proxy_key(here, link) is not None:
                yield Routed(name, last.leg, found, last.src, last.via, link)


def is_for_one(routed: Routed) -> bool:
    """Whether a route leads to one address alone: the gateway of a network need not be who is meant."""
    route = routed.decision.route
    return route is not None and prefix.length(route.dst) == prefix.bits(routed.dst)
