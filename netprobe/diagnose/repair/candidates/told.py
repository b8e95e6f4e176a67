"""Addresses that nobody has, and of which something in sight tells where they belong. Pure.

A program listens on one, or a tunnel sends from it; a route of one host leads straight to an interface; a
neighbour still knows the MAC that answered for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network, own_addresses, share, usual_length
from netprobe.model import (
    Command,
    InterfaceAddress,
    Link,
    Namespace,
    Neighbour,
    Object,
    Route,
    Socket,
    Stage,
)
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost


class _Tale(Struct, frozen=True):
    """An address and where it belongs, and who says so."""

    name: str
    link: Link
    address: str
    why: str


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each of them where it belongs; from another interface of the same namespace where it is on that."""
    version = loss.version
    tales: dict[tuple[str, int, str], list[_Tale]] = {}
    for tale in (*_listened_on(loss), *_sent_from(loss), *_led_to(loss), *_remembered(loss)):
        if prefix.version(tale.address) == version and not prefix.is_link_local(tale.address):
            tales.setdefault((tale.name, tale.link.index, tale.address), []).append(tale)
    for told in tales.values():
        yield from _put(loss, told[0], len(told))


def _put(loss: Loss, tale: _Tale, agreeing: int) -> Iterator[Repair]:
    namespace, link = loss.snapshot[tale.name], tale.link
    there = namespace.address(tale.address)
    if there is not None and there.index == link.index:
        return
    length = there.prefixlen if there is not None else _length(loss, namespace, tale)
    put = fixes.address("add", InterfaceAddress(link.index, tale.address, length), link)
    instead = there or _odd(loss, namespace, tale)
    now = namespace.link(instead.index) if instead is not None else None
    text = f"{tale.address} is not on {link.name} of {tale.name}, and {tale.why}"
    bare = not own_addresses(namespace, link, prefix.version(tale.address))
    named = f"dev {link.name}" if bare else f"{tale.address}/{length} dev {link.name}"
    fix: tuple[Command, ...] = (put,)
    code = "addr-missing"
    if instead is not None and now is not None:
        fix = (
            (fixes.address("del", instead, now), put) if there else (put, fixes.address("del", instead, now))
        )
        named = f"{instead.address}/{instead.prefixlen} dev {now.name}"
        code = code if there else "addr-wrong-subnet"
    stop = lost(code, tale.name, link, Stage.ROUTE, text, object=Object("address", named, text), fix=fix)
    merit = Merit.RESTORES if instead is not None else _merit(loss, namespace, tale)
    yield from loss.repair(stop, merit, agreeing=agreeing)


def _odd(loss: Loss, namespace: Namespace, tale: _Tale) -> InterfaceAddress | None:
    """The one address of the interface, where it is of another network than all beside it."""
    version = prefix.version(tale.address)
    own = own_addresses(namespace, tale.link, version)
    beside = [a for _, _, a in loss.beside(namespace.name, tale.link, version)] if tale.link.up else []
    alone = len(own) == 1 and is_network(own[0]) and bool(beside)
    return own[0] if alone and not any(share(own[0], other) for other in beside) else None


def _merit(loss: Loss, namespace: Namespace, tale: _Tale) -> Merit:
    """An interface that has an address already may have got another one on purpose, unless it is asked for
    by the old one.
    """
    settled = bool(own_addresses(namespace, tale.link, prefix.version(tale.address)))
    if tale.link.kind == "loopback" or not settled:
        return Merit.RESTORES
    return Merit.ADDS if tale.address == loss.probe.destination.address else Merit.GOES_AROUND


def _length(loss: Loss, namespace: Namespace, tale: _Tale) -> int:
    """As its neighbours have it, or the network of its interface; else that of a host."""
    version = prefix.version(tale.address)
    beside = loss.beside(namespace.name, tale.link, version) if tale.link.up else ()
    near = [*own_addresses(namespace, tale.link, version), *(address for _, _, address in beside)]
    usual = usual_length(near, tale.address)
    return usual[0] if usual is not None else {4: 32, 6: 128}[version]


def _is_free(loss: Loss, address: str) -> bool:
    """Whether no interface bears an address, not even one that must not use it."""
    return address not in loss.owned


def _listened_on(loss: Loss) -> Iterator[_Tale]:
    """Addresses to which the sockets of a namespace are bound and that nobody has."""
    for name in loss.around:
        namespace = loss.snapshot[name]
        bound = dict.fromkeys(s.address for s in _sockets(namespace) if _is_said(s.address))
        for address in bound:
            home = _home(loss, namespace, address) if _is_free(loss, address) else None
            if home is not None:
                yield _Tale(name, home, address, "a program there listens on it")


def _sent_from(loss: Loss) -> Iterator[_Tale]:
    """The addresses from which tunnels are to send, and that nobody has."""
    for name in loss.around:
        namespace = loss.snapshot[name]
        for device in namespace.links:
            own = device.vxlan.local if device.vxlan is not None else None
            lower = namespace.link(device.vxlan.lower) if device.vxlan is not None else None
            home = lower or (_home(loss, namespace, own) if own is not None else None)
            if own is not None and home is not None and _is_free(loss, own):
                yield _Tale(name, home, own, f"its tunnel {device.name} sends from it")


def _sockets(namespace: Namespace) -> tuple[Socket, ...]:
    """None where they were not read: who tells nothing does not matter."""
    return () if "sockets" in namespace.unread else namespace.sockets or ()


def _neighbours(namespace: Namespace) -> tuple[Neighbour, ...]:
    return () if "neighbours" in namespace.unread else namespace.neighbours


def _is_said(address: str) -> bool:
    """Whether a socket names an address, and one that others could route to."""
    return address not in ("", "*", "::", "0.0.0.0") and not prefix.is_loopback(address)


def _home(loss: Loss, namespace: Namespace, address: str) -> Link | None:
    """The interface on whose segment the network of an address is; the loopback where no other is."""
    version = prefix.version(address)
    for link in namespace.links:
        if link.kind == "loopback" or link.master is not None or not link.up:
            continue
        beside = [a for _, _, a in loss.beside(namespace.name, link, version)]
        if usual_length([*own_addresses(namespace, link, version), *beside], address) is not None:
            return link
    asked = address == loss.probe.destination.address  # it came as far as here
    return next((link for link in namespace.links if asked and link.kind == "loopback"), None)


def _led_to(loss: Loss) -> Iterator[_Tale]:
    """The addresses to which routes of one host lead, straight out of a cable: of who is at its other end."""
    for name in loss.way:
        namespace = loss.snapshot[name]
        for route in namespace.routes:
            link = straight_out(namespace, route)
            far = loss.far_end(name, link) if link is not None and loss.knows(name, link) else None
            if far is None or far[0] == name:
                continue
            address = route.dst.partition("/")[0]
            elsewhere = not _is_free(loss, address)
            if not elsewhere or loss.snapshot[far[0]].owner_of(address) is not None:
                yield _Tale(*far, address, f"{name} has a route that leads straight there")


def straight_out(namespace: Namespace, route: Route) -> Link | None:
    """The cable out of which a route of one host leads, made by hand and without a gateway."""
    host = route.type == "unicast" and prefix.length(route.dst) in (32, 128)
    by_hand = route.protocol != "kernel" and len(route.nexthops) == 1
    if not host or not by_hand or route.nexthops[0].via is not None:
        return None
    link = namespace.link(route.nexthops[0].index)
    return link if link is not None and link.kind == "veth" and link.master is None else None


def _remembered(loss: Loss) -> Iterator[_Tale]:
    """The addresses that neighbours once found at the MAC of an interface, and that nobody has."""
    bearers = {
        link.mac: (name, link)
        for name in loss.around
        for link in loss.snapshot[name].links
        if link.kind != "loopback" and link.master is None
    }
    for name in loss.around:
        for entry in _neighbours(loss.snapshot[name]):
            home = bearers.get(entry.mac or "")
            learned = entry.state not in ("permanent", "failed", "incomplete")
            if home is not None and home[0] != name and learned and _is_free(loss, entry.address):
                yield _Tale(*home, entry.address, f"{name} found it there not long ago")
