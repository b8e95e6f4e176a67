"""What belongs to a station that is connected as another one is: by its own cable to the same router. Pure.

Routed pods have a gateway that is nobody's address, and a route straight to it; nobody but another pod knows
that. Or the router has one address, 169.254.0.1 or fe80::1, at its end of each cable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, is_network, making, own_addresses, proxy_key
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Route, Stage
from netprobe.model.lookup import among, column, has, not_among, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .stop import target
from .told import straight_out

_SOME = 4  # cables; one of them is the asker's own


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes of each sibling, where a station has none to what it is asked for; the gateway's address;
    the length of its own.
    """
    yield from _gateway(loss)
    for routed in loss.prediction.routed:
        yield from _of_a_host(loss, routed)
    name, wanted = loss.here.name, target(loss)
    if loss.stop.code not in ("no-route", "rp-filter") or wanted is None:
        return
    for link, router in _cables(loss, loss.here):
        _read_some(loss, router)
        found = False
        for there, theirs in _siblings(loss, name, router):
            known = where(loss.here.routes_by(link), table=fib.MAIN)
            lines = copied_lines(loss.snapshot[there], theirs, link, prefix.version(wanted), known)
            if lines:
                found = True
                yield from _copied(loss, name, there, wanted, lines)
        yield from () if found else _by_a_proxy(loss, link, wanted)


def _by_a_proxy(loss: Loss, link: Link, wanted: str) -> Iterator[Repair]:
    """The way out of a station with a host's prefix to who answers for all others there, as a proxy, and has
    no address: whatever gateway it had need not be known.
    """
    here, far = loss.here, loss.known_end(loss.here.name, link)
    own = own_addresses(here, link, loss.version)
    if far is None or not own or any(map(is_network, own)) or own_addresses(loss.snapshot[far[0]], far[1], 4):
        return
    if loss.version == 4 and proxy_key(loss.snapshot[far[0]], far[1]) is not None:
        text = f"{here.name} has no route to {wanted}, and {far[0]}/{far[1].name} answers for it, as a proxy"
        thing = Object("route", wanted, f"no route to {wanted}")
        fix = (fixes.ip(wanted, "route", "add", "default", "dev", link.name),)
        stop = lost("no-route", here.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.ADDS)


def _gateway(loss: Loss) -> Iterator[Repair]:
    """A gateway that is not at the other end of the station's cable, and is at the other ends of the same
    router.
    """
    for routed in loss.prediction.routed:
        far = _other_end(loss, routed)
        if far is None or far[1].master is not None:
            continue
        router, end = loss.snapshot[far[0]], far[1]
        ends = where(router.addresses, address=routed.gateway)
        alike = [own for own in ends if _is_alike(router.link(own.index), end)]
        if alike and not has(ends, index=end.index):
            yield from _with_gateway(loss, router, end, replace(alike[0], index=end.index), len(alike))


def _of_a_host(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """An address that makes neighbours of a network, where a router leads to each station by a cable of its
    own: to this one as to a host, or the others have host prefixes.
    """
    namespace, route = loss.snapshot[routed.namespace], routed.decision.found
    if (route.protocol, route.type) != ("kernel", "unicast"):
        return
    for link, router in _cables(loss, namespace):
        own = making(own_addresses(namespace, link, route.version), route.dst)
        lengths = [*_lengths(loss, namespace.name, router, route.version)] if own else []
        led = [*_led_to(loss, (namespace.name, link), own)]
        why = f"{router} leads to it alone" if led else _ALIKE
        for each in own if {*lengths, *led} == {prefix.bits(routed.dst)} else ():
            yield from _shortened(loss, namespace, link, each, why, len(lengths) + len(led))


_ALIKE = "the stations that are connected as it is have host prefixes"


def _lengths(loss: Loss, name: str, router: str, version: int) -> Iterator[int]:
    """How long the prefixes of the other stations of a router are, with which it shares no network."""
    _read_some(loss, router)
    for there, link in _siblings(loss, name, router):
        far = loss.known_end(there, link)
        shared = far is not None and own_addresses(loss.snapshot[router], far[1], version)
        known = () if shared else own_addresses(loss.snapshot[there], link, version)
        yield from column(known, "prefixlen")


def _led_to(loss: Loss, station: Station, own: Iterable[InterfaceAddress]) -> Iterator[int]:
    """How long the routes are by which the router at the other end of a cable leads to these addresses of the
    station, where it has none of their network there.
    """
    far = loss.known_end(*station)
    if far is None or own_addresses(loss.snapshot[far[0]], far[1], loss.version):
        return
    there = where(loss.snapshot[far[0]].routes_by(far[1]), type="unicast", indexes=[far[1].index])
    yield from (prefix.length(route.dst) for route in among(there, dst=set(map(_alone, own))))


def _alone(own: InterfaceAddress) -> str:
    return f"{own.address}/{prefix.bits(own.address)}"


def _shortened(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, why: str, alike: int
) -> Iterator[Repair]:
    length = prefix.bits(own.address)
    named = f"{own.written} dev {link.name}"
    text = f"{named} of {namespace.name} makes neighbours of a network: {why}"
    spare = why is _ALIKE and has(own_addresses(namespace, link, own.version), prefixlen=length)
    fix = (fixes.address("del", own, link),) if spare else fixes.with_length(own, length, link)
    thing = Object("address", named, named)
    stop = lost("addr-wrong-prefix", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=alike)


def _other_end(loss: Loss, routed: Routed) -> Station | None:
    """The interface at the other end of the cable that a route leads out by, where that was read."""
    return loss.known_end(routed.namespace, loss.out(routed))


def _is_alike(link: Link | None, other: Link) -> bool:
    return link is not None and (link.kind, link.master) == (other.kind, other.master)


def _with_gateway(
    loss: Loss, router: Namespace, link: Link, wanted: InterfaceAddress, alike: int
) -> Iterator[Repair]:
    others = f"the other {alike} interfaces have" if alike > 1 else "another interface has"
    text = f"{link.name} in {router.name} lacks {wanted.address}, which {others}"
    written = f"{wanted.address}/{wanted.prefixlen} dev {link.name}"
    fix = (fixes.address("add", wanted, link),)
    thing = Object("address", written, text)
    stop = lost("addr-missing", router.name, link, Stage.ARP, text, object=thing, fix=fix)
    # a network is on one interface: on two, the kernel would not know behind which its stations are
    elsewhere = is_network(wanted) and own_addresses(router, link, wanted.version)
    yield from loss.repair(stop, Merit.restoring(not elsewhere, Merit.GOES_AROUND), agreeing=alike)


def _read_some(loss: Loss, router: str) -> None:
    """Ask who is behind a few of the cables to which a router's routes of one host lead."""
    namespace = loss.snapshot[router]
    straight = filter(None, (straight_out(namespace, route) for route in namespace.routes))
    for link in dict.fromkeys(islice(straight, _SOME)):
        loss.far_end(router, link)


def _copied(loss: Loss, name: str, there: str, wanted: str, lines: tuple[Command, ...]) -> Iterator[Repair]:
    text = f"{name} has no route to {wanted}, and {there}, which is connected as it is, has"
    thing = Object("route", wanted, f"no route to {wanted}")
    stop = lost("no-route", name, None, Stage.ROUTE, text, object=thing, fix=lines)
    yield from loss.repair(stop, Merit.ADDS)


def _cables(loss: Loss, namespace: Namespace) -> Iterator[tuple[Link, str]]:
    """The cables of a namespace, with who is at the other end, as far as that was read."""
    cables = where(namespace.links_of("veth"), up=True, master=None)
    for link, (name, end) in loss.known_ends(namespace.name, cables):
        if end.master is None:
            yield link, name


def _siblings(loss: Loss, name: str, router: str) -> Iterator[Station]:
    for other in not_among(loss.snapshot.namespaces.values(), name=(name, router)):
        for link, far in _cables(loss, other):
            if far == router:
                yield other.name, link


def copied_lines(
    there: Namespace, theirs: Link, link: Link, version: int, known: Iterable[Route] = ()
) -> tuple[Command, ...]:
    """The routes by a gateway that nobody's network holds, and those straight to it before them; but those
    that are `known` already.
    """
    own = where(there.addresses_of(theirs, version), scope="global")
    if any(each.prefixlen < prefix.bits(each.address) for each in own):
        return ()
    lacked = not_among(there.routes, dst={*column(known, "dst")})
    routes = [route for route in lacked if _is_by_hand(route, theirs, version)]
    routes.sort(key=lambda route: route.gateways != [None])
    return tuple(
        fixes.ip(route.dst, "route", "add", *fib.words(replace(route, nhid=None), route.nexthops[0], link))
        for route in routes
    )


def _is_by_hand(route: Route, link: Link, version: int) -> bool:
    meant = ("unicast", fib.MAIN, [link.index], version)
    return route.protocol != "kernel" and (route.type, route.table, route.indexes, route.version) == meant
