"""Addresses: missing, of the wrong network, where they should not be. Pure.

See: ip-address(8); net/ipv4/devinet.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, product
from operator import itemgetter

from netprobe.diagnose.hints import is_network_itself
from netprobe.diagnose.repair.layers import versions
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import (
    free_address,
    is_network,
    is_wanted,
    meet,
    own_addresses,
    pointing_at,
    slipped,
    usual_length,
)
from netprobe.model import (
    Blank,
    Command,
    InterfaceAddress,
    Link,
    Namespace,
    Object,
    Place,
    Route,
    Stage,
    Stop,
)
from netprobe.model.lookup import column, has, holding, not_among, those_not_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import lost

from . import doubled
from .bridge_gone import SEVERAL, is_gateway_beside, seekers, supposed_length
from .stop import asks_others


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each address of the way's interfaces that disagrees with its segment, and those that are not there."""
    for name in loss.around:
        for link, version in product(where(loss.snapshot[name].outward, up=True), versions(loss)):
            yield from _of_link(loss, loss.snapshot[name], link, version)
    yield from _wanted(loss)
    yield from _strayed(loss)
    yield from _remembered(loss)
    yield from doubled.captured(loss)
    yield from doubled.at_the_source(loss)
    yield from doubled.of_an_empty_network(loss)


def _of_link(loss: Loss, namespace: Namespace, link: Link, version: int) -> Iterator[Repair]:
    """What the addresses beside an interface say about its own, or about its having none."""
    own = own_addresses(namespace, link, version)
    stations = loss.beside(namespace.name, link, version)
    others = [address for _, _, address in stations]
    if not others:
        return
    if not {4: namespace.addresses_of(link, 4), 6: own}[version]:  # IPv4 makes none by itself
        theirs = [*map(itemgetter(2), filter(partial(_is_of_another, namespace.name), stations))]
        yield from _on_another_link(loss, namespace, link, theirs)
        yield from _of_bare_link(loss, namespace, link, version, others)
    odd = not meet(own, others)
    for address in own:
        if odd and (is_network(address) or not _is_led_to(loss, stations, address)):
            yield from _of_another_network(loss, namespace, link, address, stations)


def _is_of_another(name: str, station: tuple[str, Link, InterfaceAddress]) -> bool:
    return station[0] != name


def _is_led_to(
    loss: Loss, stations: tuple[tuple[str, Link, InterfaceAddress], ...], own: InterfaceAddress
) -> bool:
    """Whether somebody on a segment has a route by it, but that to all the world, to an address there."""
    routes = (loss.snapshot[name].routes_by(station) for name, station, _ in stations)
    known = column(where(chain.from_iterable(routes), is_default=False), "dst")
    return prefix.within(known, own.address)


def _of_bare_link(
    loss: Loss, namespace: Namespace, link: Link, version: int, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    if _lacks_a_source(loss, namespace, link) or _needs_one(namespace, link, version):
        yield from _bare(loss, namespace, link, version, others)


def _of_another_network(
    loss: Loss,
    namespace: Namespace,
    link: Link,
    own: InterfaceAddress,
    others: tuple[tuple[str, Link, InterfaceAddress], ...],
) -> Iterator[Repair]:
    """An address of another network than all those beside it: the odd one out is wrong."""
    there, station, other = others[0]
    theirs = f"{other.written} of {there}/{station.name}"
    text = f"{own.written} of {namespace.name}/{link.name} is of another network than {theirs} beside it"
    networks = [prefix.network_of(address) for _, _, address in others]
    asked = loss.goal if asks_others(loss, namespace.name) else None
    known = those_not_in(asked_for(loss), (asked,))
    wanted = [*filter(partial(prefix.within, networks), known)]
    missing = [*wanted, *those_not_in(filter(None, (slipped(own, other),)), loss.owned)]
    free = free_address(address for _, _, address in others)
    if free is None:
        return
    gone = fixes.address("del", own, link)
    length = other.prefixlen if is_network(own) else own.prefixlen
    put = f"{[*missing, free.address][0]}/{length}"
    trial = (Command.of("ip", "address", "add", put, "dev", link.name), gone)
    blank = Command.of("ip", "address", "add", Blank(f"RIGHT-ADDRESS/{length}"), "dev", link.name)
    named = f"{own.written} dev {link.name}"
    place = Place(namespace.name, link.name, Stage.ROUTE)
    fix = trial if missing else (blank, gone)
    stop = Stop("addr-wrong-subnet", place, text, Object("address", named, named), fix)
    agreeing = len({(n, li.index) for n, li, _ in others}) + 100 * bool(missing)
    # what a bridge hands from port to port has no part in its address
    used = wanted or link.kind != "bridge" or namespace.name in column(loss.prediction.routed, "namespace")
    yield from loss.repair(stop, Merit.restoring(used), agreeing=agreeing, trial=trial)


def asked_for(loss: Loss) -> tuple[str, ...]:
    """The addresses that are asked for and that nobody has: gateways, the destination, ends of tunnels."""
    routed, spaces = loss.prediction.routed, loss.snapshot.namespaces.values()
    asked = (
        *column(routed, "gateway"),
        loss.probe.destination.address,
        *column(routed, "dst"),
        *chain.from_iterable(map(_ends_of_tunnels, spaces)),
        *chain.from_iterable(map(partial(_gateways_in_sight, loss), spaces)),
    )
    return those_not_in(dict.fromkeys(filter(None, asked)), loss.owned)


def _gateways_in_sight(loss: Loss, namespace: Namespace) -> Iterator[str | None]:
    """The gateways of a namespace, without those behind a cable whose far end was not read: they are
    somebody's there.
    """
    cables = where(namespace.links_of("veth"), runs=True)
    out = {each.index for each in cables if each.link is not None and not loss.knows(namespace.name, each)}
    legs = chain.from_iterable(column(namespace.routes, "nexthops"))
    yield from column(not_among(legs, index=out), "via")


def _ends_of_tunnels(namespace: Namespace) -> Iterator[str | None]:
    yield from column(namespace.fdb, "remote")
    yield from (vxlan.remote for _, vxlan in namespace.vxlans)


def _lacks_a_source(loss: Loss, namespace: Namespace, link: Link) -> bool:
    """Whether the packet ends where it leaves by this interface, for want of an address to send from: IPv6
    keeps its routes when an address goes.
    """
    place = loss.stop.place
    at = loss.stop.code, place.namespace, place.interface
    return at == ("addr-missing", namespace.name, link.name)


def _needs_one(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether an interface without an address does nothing else: it is in no bridge, and no route leads by
    it, but those that an address has left behind.
    """
    led = where(namespace.routes_by(link), version=version)
    straight = [*column(holding(led, gateways=None), "dst")]
    goals = (each.dst for each in led if not _is_left_over(each, straight))
    return link.up and link.master is None and not any(map(is_wanted, goals))


def _is_left_over(route: Route, straight: list[str]) -> bool:
    """Whether a route has gateways to which nothing leads any more: IPv6 keeps it when an address goes."""
    gateways = [*filter(None, route.gateways)]
    return bool(gateways) and not any(map(partial(prefix.within, straight), gateways))


def _bare(
    loss: Loss, namespace: Namespace, link: Link, version: int, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An interface without an address among stations that have some: one that is asked for and nobody has,
    else any that is free, which only the reader can choose.
    """
    meant, free = None, free_address(others)
    if link.kind == "bridge":
        known = is_gateway_beside(loss, namespace.name, link, loss.goal)
        meant, free = None if known else loss.goal, None
    text = f"{link.name} in {namespace.name} has no IPv{version} address"
    asked = loss.goal if asks_others(loss, namespace.name) else None
    others_are = namespace.gateways  # it sends to those
    for address in those_not_in(asked_for(loss), {meant, asked, *others_are}):
        sent = _is_sent_to(loss, namespace, link, address)
        usual = usual_length(others, address) or (sent and _most_usual(others))
        joined = len(seekers(loss, namespace.name, address)) >= SEVERAL  # by a bridge, which had it
        if usual and not joined:
            put = Command.of("ip", "address", "add", f"{address}/{usual[0]}", "dev", link.name)
            told = f"{text}, and no station has {address}"
            yield from _given(loss, namespace, link, told, put, put, pointing_at(loss.snapshot, address))
    if free is not None:
        put = Command.of("ip", "address", "add", free.written, "dev", link.name)
        blank = Blank(f"ADDRESS/{free.prefixlen}")
        yield from _given(loss, namespace, link, text, Command.of(*put.words[:3], blank, *put.words[4:]), put)


def _is_sent_to(loss: Loss, namespace: Namespace, link: Link, address: str) -> bool:
    """Whether a station beside an interface has a route out of its own by an address, whatever network it has
    there itself.
    """
    stations = loss.others(namespace.name, link)
    routes = chain.from_iterable(loss.snapshot[name].routes_by(station) for name, station in stations)
    return any(address in route.gateways for route in routes)


def _most_usual(addresses: list[InterfaceAddress]) -> tuple[int, int]:
    """(the prefix length that most of some addresses have, how many)."""
    return Counter(column(addresses, "prefixlen")).most_common(1)[0]


def _given(
    loss: Loss, namespace: Namespace, link: Link, text: str, told: Command, put: Command, agreeing: int = 0
) -> Iterator[Repair]:
    thing = Object("address", f"dev {link.name}", text)
    stop = lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=(told,))
    merit = _had(loss, namespace, link, str(put.words[3]).partition("/")[0])
    yield from loss.repair(stop, merit, agreeing=agreeing, trial=(put,))


def _had(loss: Loss, namespace: Namespace, link: Link, address: str) -> Merit:
    """What speaks for giving an address to who has none: little, where others send to it for the world, he
    hands nothing on, and a router beside him is of its network.
    """
    version = prefix.version(address)
    routes = where(chain.from_iterable(column(loss.snapshot.namespaces.values(), "routes")), is_default=True)
    sought = address in chain.from_iterable(column(routes, "gateways"))
    beside = loss.beside(namespace.name, link, version) if sought else ()
    owners = [there for there, _, own in beside if prefix.contains(prefix.network_of(own), address)]
    led = any(is_router(loss.snapshot[each], version) for each in owners)
    return Merit.restoring(not led or is_router(namespace, version))


def _on_another_link(
    loss: Loss, namespace: Namespace, link: Link, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An address of the network of a segment, as the other namespaces there say, on an interface of the same
    namespace that is not on that segment, or a mere port of it: what comes in there is the bridge's.
    """
    for own in where(namespace.addresses, scope="global"):
        usual, there = usual_length(others, own.address), namespace.link(own.index)
        if usual is None or there is None or link.index == there.index:
            continue
        if has(others, address=own.address):  # it is somebody's there already
            continue
        if there.kind == "bridge" and _has_its_stations(loss, namespace.name, there, own):
            continue
        put = InterfaceAddress(link.index, own.address, usual[0])
        text = f"{own.address} of {namespace.name} is on {there.name}, and its network is behind {link.name}"
        named = f"{own.written} dev {there.name}"
        fix = (fixes.address("del", own, there), fixes.address("add", put, link))
        thing = Object("address", named, named)
        stop = lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=usual[1])


def _has_its_stations(loss: Loss, name: str, link: Link, own: InterfaceAddress) -> bool:
    """Whether an address is where stations of its network are."""
    return meet([own], loss.addresses_beside(name, link, own.version))


def _wanted(loss: Loss) -> Iterator[Repair]:
    """An address that others point to and nobody has, on the bridge or router they would find it at."""
    if loss.stop.code not in ("neigh-no-answer", "route-wrong-nexthop", "no-route", "forwarding-off"):
        return
    for address, (name, link) in product(asked_for(loss), loss.hearers()):
        namespace = loss.snapshot[name]
        own = own_addresses(namespace, link, prefix.version(address))
        holding = prefix.neighbours_of(address, own)
        whose = address != loss.goal or is_gateway_beside(loss, name, link, address)
        if not own and link.kind == "bridge" and whose:
            yield from _of_a_bridge(loss, namespace, link, address)
        if holding:
            yield from _by_its_network(loss, name, link, address, holding)


def _strayed(loss: Loss) -> Iterator[Repair]:
    """The goal on a bridge without an address behind which it is a gateway, wherever the packet went."""
    for name in loss.way if loss.goal not in loss.owned else ():
        for link in where(loss.snapshot[name].links, kind="bridge", up=True):
            bare = not own_addresses(loss.snapshot[name], link, loss.version)
            if bare and is_gateway_beside(loss, name, link, loss.goal):
                yield from _of_a_bridge(loss, loss.snapshot[name], link, loss.goal)


def _by_its_network(
    loss: Loss, name: str, link: Link, address: str, holding: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An address that nobody has on an interface that is of its network."""
    put = InterfaceAddress(link.index, address, holding[0].prefixlen)
    text = f"no station has {address}, which others point to; {name}/{link.name} is of its network"
    thing = Object("address", f"{put.written} dev {link.name}", text)
    fix = (fixes.address("add", put, link),)
    stop = lost("addr-missing", name, link, Stage.ARP, text, object=thing, fix=fix)
    count = pointing_at(loss.snapshot, address)
    needed = 2 if link.kind == "bridge" else _NEVER
    if any(map(is_network_itself, holding)):  # no station can have that one
        needed = 1
    asked = address == loss.probe.destination.address  # who knows whose it was
    merit = Merit.GOES_AROUND if asked and not _is_the_router(loss, name, address, holding) else Merit.ADDS
    yield from loss.repair(stop, Merit.restoring(count >= needed, merit), agreeing=count)


_NEVER = 1 << 30  # that many do not point to an address


def _is_the_router(loss: Loss, name: str, address: str, holding: list[InterfaceAddress]) -> bool:
    """Whether a station is the one router of a segment, on which others send by way of an address, and by
    none of its own.
    """
    heard = {each for each, _ in loss.hearers()}
    routers = {each for each in heard if is_router(loss.snapshot[each], prefix.version(address))}
    gateways = {*chain.from_iterable(column(loss.snapshot.namespaces.values(), "gateways"))}
    return routers == {name} and address in gateways and gateways.isdisjoint(column(holding, "address"))


def _remembered(loss: Loss) -> Iterator[Repair]:
    """A gateway that nobody has any more, and that is still sent to by the MAC it had: of a bridge without an
    address.
    """
    for routed in not_among(loss.prediction.routed, gateway={None, *loss.owned}):
        link = loss.out(routed)
        for name, station in loss.stations(routed.namespace, link) if link is not None else ():
            there = loss.snapshot[name]
            if station.kind == "bridge" and not own_addresses(there, station, prefix.version(routed.via)):
                yield from _of_a_bridge(loss, there, station, routed.via)


def _of_a_bridge(loss: Loss, namespace: Namespace, link: Link, address: str) -> Iterator[Repair]:
    """A bridge without an address, where those on it look for a gateway that nobody is."""
    put = fixes.address("add", InterfaceAddress(link.index, address, supposed_length(loss, address)), link)
    text = f"no station has {address}, and {namespace.name}/{link.name} has no address"
    thing = Object("address", f"dev {link.name}", text)
    fix = (fixes.with_address(link, address),)
    stop = lost("addr-missing", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)
    merit = _had(loss, namespace, link, address)
    yield from loss.repair(stop, merit, agreeing=pointing_at(loss.snapshot, address), trial=(put,))
