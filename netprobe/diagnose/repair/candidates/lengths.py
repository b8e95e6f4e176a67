"""Addresses with the wrong prefix length: another than those beside them, or one that leaves a router or an
asker out. Pure.

See: ip-address(8); net/ipv4/fib_semantics.c (fib_check_nh), net/ipv6/route.c (ip6_route_check_nh).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, product

from msgspec.structs import replace

from netprobe.diagnose.repair.layers import versions
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network, is_wanted, own_addresses, usual_length
from netprobe.diagnose.repair.worn import worn
from netprobe.model import InterfaceAddress, Leg, Link, Namespace, Object, Stage
from netprobe.model.lookup import column, not_among, those_not_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .stop import target

_MOST = 64  # addresses of an interface


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each address of the way's interfaces that has another length than those beside, and those of who
    answers that leave out who asks.
    """
    for name in loss.around:
        for link, version in product(loss.snapshot[name].outward, versions(loss)):
            yield from _of_link(loss, loss.snapshot[name], link, version)
    for routed in loss.asked(Leg.REPLY):
        yield from _not_covering(loss, routed)


def _of_link(loss: Loss, namespace: Namespace, link: Link, version: int) -> Iterator[Repair]:
    own = own_addresses(namespace, link, version)
    # of what has none nobody is asked who is beside it
    others = [address for _, _, address in loss.beside(namespace.name, link, version)] if own else []
    for address in islice(own, _MOST if others else 0):
        yield from _of_another_length(loss, namespace, link, address, others)


def _of_another_length(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An address with another prefix length than those beside it whose network it is of."""
    length, alike = usual_length(others, own.address) or (own.prefixlen, 0)
    if where(namespace.addresses_of(link), address=own.address, prefixlen=length):
        return
    fix = fixes.with_length(own, length, link)
    text = (
        f"{own.written} on {link.name} in {namespace.name} has another length than the /{length} of its"
        " neighbours"
    )
    thing = Object("address", f"{own.written} dev {link.name}", own.written)
    stop = lost("addr-wrong-prefix", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    merit = _merit(loss, namespace, link, own, replace(own, prefixlen=length))
    yield from loss.repair(stop, merit, agreeing=alike)


def _merit(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, usual: InterfaceAddress
) -> Merit:
    """What speaks for the usual length; a host's prefix is often meant, not with a peer that nobody is."""
    tells = (
        own.peer not in {None, *loss.owned},
        _shuts_out(loss, namespace, link, usual),
        _is_odd(namespace, link, own),
        _is_led_round(loss, namespace, link, usual),
    )
    if is_network(own) or link.kind == "bridge" or any(tells):
        return Merit.RESTORES
    return Merit.ADDS if loss.stop.place.namespace == namespace.name else Merit.GOES_AROUND


def _is_led_round(loss: Loss, namespace: Namespace, link: Link, usual: InterfaceAddress) -> bool:
    """Whether a packet to the usual network goes by a router of it to whom no route leads: who wrote that one
    had this network, or the kernel would not have taken it.
    """
    network, wanted = prefix.network_of(usual), target(loss)
    if wanted is None or not prefix.contains(network, wanted):
        return False
    routes = where(namespace.routes_by(link), version=usual.version, type="unicast")
    near = [route.dst for route in routes if not any(route.gateways)]
    legs = (leg for route in routes for leg in route.nexthops if "onlink" not in leg.flags)
    routers = {leg.via for leg in legs if leg.via is not None} - {usual.address}
    return any(prefix.contains(network, each) and not prefix.within(near, each) for each in routers)


def _shuts_out(loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress) -> bool:
    """Whether somebody has no way to the network of an address, though a packet is to go there or came from
    there, and did not lose it with a cable's life.
    """
    lacks = loss.stop.code in ("no-route", "rp-filter") and loss.stop.place.namespace == namespace.name
    asker = next(iter(column(loss.refused, "flow.src")), None)
    wanted = (asker or target(loss)) if lacks and link not in worn(namespace) else None
    led = where(namespace.routes_by(link), version=own.version, type="unicast")
    near = wanted is not None and prefix.contains(prefix.network_of(own), wanted)
    return near and not any(is_wanted(route.dst) for route in led)


def _is_odd(namespace: Namespace, link: Link, own: InterfaceAddress) -> bool:
    """Whether an address is the only one of a router with a host's prefix, and nothing leads by its
    interface.
    """
    others = [
        *chain.from_iterable(
            own_addresses(namespace, each, own.version) for each in those_not_in(namespace.outward, (link,))
        )
    ]
    led = where(namespace.routes_by(link), version=own.version)
    idle = not any(is_wanted(route.dst) for route in not_among(led, type=("local", "broadcast")))
    return idle and bool(others) and all(map(is_network, others)) and is_router(namespace, own.version)


def _not_covering(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """An answer that does not find the interface the question came in by: no network there holds the
    asker.
    """
    came, out = loss.came_in(routed.namespace), loss.out(routed)
    if came is None or came == out:
        return
    namespace = loss.snapshot[routed.namespace]
    stations = loss.stations(namespace.name, came)
    asker = [*chain.from_iterable(_bearing(loss, station, routed.dst) for station in stations)]
    for own in own_addresses(namespace, came, prefix.version(routed.dst)):
        agrees = prefix.neighbours_of(own.address, asker)
        mute = bool(asker) and not is_network(own)  # a host's own prefix says nothing of its neighbours
        if (agrees or mute) and not prefix.contains(prefix.network_of(own), routed.dst):
            text = (
                f"{own.written} on {came.name} in {namespace.name} does not cover {routed.dst}, which is on"
                " that segment"
            )
            thing = Object("address", f"{own.written} dev {came.name}", own.written)
            fix = fixes.with_right_length(own, came)
            stop = lost("addr-wrong-prefix", namespace.name, came, Stage.ROUTE, text, object=thing, fix=fix)
            trial = fixes.with_length(own, prefix.shared(own.address, routed.dst), came)
            merit = Merit.restoring(came.kind == "bridge" or is_network(own))
            yield from loss.repair(stop, merit, trial=trial)


def _bearing(loss: Loss, station: tuple[str, Link], address: str) -> tuple[InterfaceAddress, ...]:
    return where(loss.snapshot[station[0]].addresses_of(station[1]), address=address)
