"""Who is at the network between the hosts: asked of the hosts, and told from those that were read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, product, repeat, starmap

from netprobe.model import FindWire, InterfaceAddress, Link, ReadNamespace, Stage
from netprobe.model.lookup import has, where
from netprobe.model.uplinks import Uplinks

from . import prefix
from .unread import Unread
from .view import Ground

Place = tuple[str, Link]


def having(ground: Ground, sought: str) -> tuple[Place, ...]:
    """By which interfaces the hosts take up what comes over the network between them for an address or a MAC.
    Asks for those that have it, unless one that was read does. Raises Unread where none has it of those that
    could be asked.
    """
    homes, read = ground.snapshot.homes, _read(ground)
    known = tuple(chain.from_iterable(map(partial(_taking, ground, sought), read)))
    found = ground.wire(sought)
    if found is None:
        ground.lacks([] if known or read == homes else [FindWire(sought)])
        return known
    unread = sorted({*dict(found.ends)} - {*read})
    ground.lacks(map(ReadNamespace, unread))
    if found.why is not None and not known:
        raise Unread("the hosts", f"interface with {sought}", found.why, Stage.TRANSMIT)
    return known


def hearing(ground: Ground, name: str, link: Link) -> tuple[Place, ...]:
    """The uplinks of hosts that were read by which they may hear what `link` of namespace `name` says to
    everybody: one of the two takes the other for a neighbour.
    """
    others = sorted({*_read(ground)} - {name})
    ends = chain.from_iterable(map(partial(_all, ground), others))
    return tuple(filter(partial(_are_near, ground, (name, link)), ends))


def behind(ground: Ground, name: str, sought: str) -> tuple[Place, ...]:
    """The uplinks of other hosts than that of namespace `name` behind which a namespace that was read has an
    address or a MAC: a bridge, or what stands on the uplink, may lead there. The destination is read for it.
    """
    ground.lacks(map(ReadNamespace, {*filter(None, [ground.goal])} - ground.snapshot.namespaces.keys()))
    here = partial(_has, ground, sought)
    homes = {*map(ground.snapshot.host_of, filter(here, ground.snapshot.namespaces))}
    others = sorted(filter(None, homes - {ground.snapshot.host_of(name)}))
    ground.lacks(map(ReadNamespace, {*others} - ground.snapshot.namespaces.keys()))
    return tuple(chain.from_iterable(map(partial(_all, ground), others)))


def _has(ground: Ground, sought: str, name: str) -> bool:
    """Whether a namespace has an address, or an interface of a MAC."""
    space = ground.snapshot[name]
    return space.owner_of(sought) is not None or has(space.links, mac=sought)


def _read(ground: Ground) -> tuple[str, ...]:
    """The homes that were read."""
    return tuple(filter(ground.snapshot.__contains__, ground.snapshot.homes))


def _taking(ground: Ground, sought: str, name: str) -> Iterator[Place]:
    """The uplinks by which one host takes up what is for an address or a MAC."""
    return zip(repeat(name), _uplinks(ground, name).of(sought), strict=False)


def _all(ground: Ground, name: str) -> Iterator[Place]:
    """All uplinks of a host."""
    return zip(repeat(name), _uplinks(ground, name).all(), strict=False)


def _uplinks(ground: Ground, name: str) -> Uplinks:
    return Uplinks(ground.snapshot[name], partial(_is_loose, ground, name))


def _is_loose(ground: Ground, name: str, link: Link) -> bool:
    """Whether the other end of a veth is not visible."""
    return ground.beyond(name, link.link) is None


def _are_near(ground: Ground, one: Place, other: Place) -> bool:
    """Whether an address of one of two interfaces is of a network of the other."""
    pairs = product(_addresses_at(ground, one), _addresses_at(ground, other))
    return any(starmap(_neighbourly, pairs))


def _addresses_at(ground: Ground, place: Place) -> tuple[InterfaceAddress, ...]:
    """The addresses of an interface, or of the bridge that it is a port of; every IPv6 link has the same
    network besides.
    """
    here = ground.namespace(place[0])
    on = filter(None, [place[1], here.link(place[1].master)])
    return where(chain.from_iterable(map(here.addresses_of, on)), scope="global")


def _neighbourly(one: InterfaceAddress, other: InterfaceAddress) -> bool:
    """Whether one of the two has the other in its network."""
    there, here = prefix.neighbours_of(one.address, [other]), prefix.neighbours_of(other.address, [one])
    return bool(there or here)
