"""A proxy that is off, or has no way: somebody would have to answer ARP for what lies behind it. Pure.

See: ip-sysctl (kernel documentation), proxy_arp; net/ipv4/arp.c (arp_process).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import proxy_key
from netprobe.model import (
    InterfaceAddress,
    Link,
    Namespace,
    Object,
    Route,
    RouteQuery,
    Stage,
    Stop,
)
from netprobe.model.lookup import column, has, not_among, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.arp_reply import forwards
from netprobe.predict.drop import lost
from netprobe.predict.routing import without_route
from netprobe.predict.trace import Routed

from . import beside, routes, surplus
from .stop import completed


def candidates(loss: Loss) -> Iterator[Repair]:
    """The proxies that are missing, and those that have no way."""
    for stop in without_a_way(loss):
        yield from loss.repair(stop, Merit.RESTORES)
    for back in _ways_back(loss):
        yield from beside.led_past(loss, back)
    yield from _missing(loss)
    yield from _of_both_sides(loss)
    yield from as_beside(loss)
    yield from _of_translated(loss)


def _of_translated(loss: Loss) -> Iterator[Repair]:
    """An entry for the source that a proxy gave the packet, and that nobody has: the proxy is to answer for
    it, as it does for others.
    """
    for routed in not_among(_unanswered(loss), via=loss.owned):
        for name, station in loss.hearers():
            given = nat_rules.changed(loss.prediction.request.hops, name, "src")
            entries = where(loss.snapshot[name].neighbours, index=station.index, proxy=True)
            if given is not None and given.flow.src == routed.via and entries:
                text = f"{name} gives packets the source {routed.via}, and has no proxy entry for it"
                stop = _without_entry(station, name, routed.via, f"{text} on {station.name}")
                yield from loss.repair(stop, Merit.RESTORES, agreeing=1 + len(entries))


def _missing(loss: Loss) -> Iterator[Repair]:
    """Each station beside the asker as a proxy.

    It is expected where a route made by hand, or a link-local gateway, takes a far network for neighbours, or
    where part of the segment's network lies behind one of its stations.
    """
    for routed in _unanswered(loss):
        route, out = routed.decision.route, loss.out(routed)
        if route is None or out is None or not _takes_for_neighbours(route, routed.gateway):
            continue
        proxy = _proxy6 if ":" in routed.via else _proxy
        doubtful = routes.rests_on_a_rule(routed) or surplus.is_by_mistake(loss, routed)
        merit = Merit.restoring(not doubtful)
        for name, station in loss.others(routed.namespace, out):
            if _is_expected(loss.snapshot[name], station, route):
                for stop in proxy(loss, loss.snapshot[name], station, routed.via):
                    yield from loss.repair(stop, merit)


def _of_both_sides(loss: Loss) -> Iterator[Repair]:
    """A gateway on the other side of a station that answers there for what is behind this one: it is to
    answer here as well, where part of one network lies on either side.
    """
    for routed in _unanswered(loss) if loss.version == 4 else ():
        out = loss.out(routed)
        for name, station in loss.others(routed.namespace, out) if out is not None else ():
            here = loss.snapshot[name]
            way = fib.lookup(here, RouteQuery(None, routed.via))
            other = here.link_of(way.leg)
            near = other not in (None, station) and way.via is None and forwards(here, station, 4)
            if other is not None and near and proxy_key(here, other) is not None:
                for stop in _proxy(loss, here, station, routed.via):
                    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def as_beside(loss: Loss) -> Iterator[Repair]:
    """An entry for an address that nobody has, as a proxy beside the asker has it on another interface."""
    for routed in not_among(_unanswered(loss), via=loss.owned):
        for name, station in loss.hearers():
            same = where(loss.snapshot[name].neighbours, address=routed.via, proxy=True)
            text = f"{name} has a proxy entry for {routed.via}, and none on {station.name}"
            for _ in same[:1]:
                stop = _without_entry(station, name, routed.via, text)
                yield from loss.repair(stop, Merit.RESTORES, agreeing=1 + len(same))


def _without_entry(link: Link, name: str, asked: str, text: str) -> Stop:
    """A proxy that lacks an entry."""
    named = f"{asked} dev {link.name} proxy"
    thing = Object("neighbour", named, f"{named} (missing)")
    entry = fixes.ip(asked, "neigh", "add", "proxy", asked, "dev", link.name)
    key = f"net.ipv6.conf.{link.key}.proxy_ndp"
    fix = (*(fixes.sysctl(key, 1) if ":" in asked else ()), entry)
    return lost("proxy-arp-off", name, link, Stage.ARP, text, object=thing, fix=fix)


def _unanswered(loss: Loss) -> tuple[Routed, ...]:
    """The decision whose next hop does not answer; nothing where it is no such loss."""
    if loss.stop.code != "neigh-no-answer":
        return ()
    return where(reversed(loss.prediction.routed), leg=loss.prediction.leg)[:1]


def without_a_way(loss: Loss) -> Iterator[Stop]:
    """Who is a proxy, and has no way to what is asked for: for that it does not answer (arp_fwd_proxy)."""
    asked = next(column(_unanswered(loss), "via"), ":")
    for name, link in loss.hearers() if ":" not in asked else ():
        namespace = loss.snapshot[name]
        way = fib.lookup(namespace, RouteQuery(None, asked))
        if (way.route, way.rule) == (None, None) and _is_a_proxy(namespace, link, asked):  # nothing refuses
            stop = without_route(namespace, asked)
            why = f"{stop.text}: so it does not answer for that on {link.name}, as a proxy"
            said = replace(stop, text=why)
            yield _its_own(said, link, asked) if prefix.is_link_local(asked) else completed(loss, said)


def _ways_back(loss: Loss) -> Iterator[Routed]:
    """Where a proxy would send what is for the address: back to who asks for it, so that it does not answer.
    The packet's rules count, as it would come in (arp_process asks for the route of one that does).
    """
    for routed in _unanswered(loss) if ":" not in loss.goal else ():
        for name, link in loss.hearers():
            namespace = loss.snapshot[name]
            way = fib.lookup(namespace, RouteQuery(routed.src, routed.via, iif=link.index))
            if way.index == link.index and _is_a_proxy(namespace, link, routed.via):
                yield Routed(name, routed.leg, way, routed.src, routed.via, iif=link)


def _is_a_proxy(namespace: Namespace, link: Link, asked: str) -> bool:
    """Whether an interface answers for others, or for this one at least."""
    entries = namespace.entries_for(link, asked)
    return proxy_key(namespace, link) is not None or has(entries, proxy=True)


def _its_own(stop: Stop, link: Link, gateway: str) -> Stop:
    """A gateway that no network has need be no way further: it may as well be an address of the interface."""
    return replace(stop, commands=(fixes.address("add", InterfaceAddress(link.index, gateway, 32), link),))


def _lies_behind(namespace: Namespace, station: Link, asked: str) -> bool:
    """Whether a router knows a way to an address that does not lead back to the segment, or has it on another
    interface.
    """
    if namespace.sysctl("net.ipv6.conf.all.forwarding", "0") != "1":
        return False
    leg = fib.lookup(namespace, RouteQuery(None, asked)).leg
    return namespace.owner_of(asked) is not None or (leg is not None and leg.index != station.index)


def _takes_for_neighbours(route: Route, gateway: str | None) -> bool:
    """Whether what is asked for is the destination itself, or a gateway that no network has."""
    if gateway is not None:
        return prefix.is_link_local(gateway)
    return prefix.length(route.dst) > 0


def _is_expected(namespace: Namespace, station: Link, route: Route) -> bool:
    """Whether something may lie behind a station, and a route to it was made by hand, or is the network of
    this namespace too.
    """
    elsewhere = not_among(namespace.outward, index=(station.index,))
    return bool(elsewhere) and (route.protocol != "kernel" or _shares(namespace, route))


def _proxy(_: Loss, namespace: Namespace, link: Link, _asked: str) -> Iterator[Stop]:
    key = f"net.ipv4.conf.{link.key}.proxy_arp"
    now = namespace.sysctl(key, "0")
    text = f"{namespace.name} would have to answer ARP for what lies behind it, and does not: {key} = {now}"
    thing = Object("sysctl", key, f"{key} = {now}")
    fix = fixes.sysctl(key, 1)
    yield lost("proxy-arp-off", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)


def _proxy6(loss: Loss, namespace: Namespace, link: Link, asked: str) -> Iterator[Stop]:
    """IPv6 has a proxy for each address, and a switch (ndisc_recv_ns, pneigh_lookup). Some namespace in sight
    must bear the address.
    """
    meant = asked in loss.owned and not prefix.needs_scope(asked)
    if not meant or not _lies_behind(namespace, link, asked):
        return
    text = f"{namespace.name} would have to answer for {asked}, which lies behind it: it has no proxy entry"
    yield _without_entry(link, namespace.name, asked, text)


def _shares(namespace: Namespace, route: Route) -> bool:
    """Whether a namespace is of the network that a route takes for neighbours, just as wide: so that width is
    no mistake.
    """
    return route.dst in map(prefix.network_of, namespace.addresses)
