"""What may have gone along with an object that a repair gives back: what rests on its interface. Pure.

An interface that is switched off loses its routes, the entries for which it is a proxy (neigh_ifdown), and
its IPv6 addresses too (addrconf_ifdown); one whose MTU is below 1280 loses IPv6 altogether; an address takes
its routes along (fib_del_ifaddr), also those by other interfaces that name it as their source
(fib_sync_down_addr). A port of a bridge has nothing to lose.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from netprobe.model import Link, LinkRef, Namespace, Place
from netprobe.model.lookup import among, column, has, not_among, those_not_in, where

from .repair import Repair
from .worn import been_off, concerned

_ADDS, _TAKES = ("ip", "address", "add"), ("ip", "address", "del")
_DELETES, _REPLACES = ("ip", "route", "del"), ("ip", "route", "replace")
_SETS, _SWITCHES = ("ip", "link", "set"), ("sysctl", "-w")
_IPV6_ON = ".disable_ipv6=0"
_EACH = {"all", "default"}


def needs_routes(repair: Repair) -> bool:
    """Whether the namespace may lack a route with a repair: one that went with an interface or an address
    that comes back, or with that one's network, or in whose place stood the one that goes.
    """
    return bool(_said(repair, _DELETES) or _revived(repair) or _addressed(repair))


def takes_addresses(repair: Repair) -> bool:
    """Whether a repair gives life to an interface, which may have lost addresses with that."""
    return bool(_revived(repair))


def switches_on(repair: Repair) -> bool:
    """Whether all that a repair does to interfaces, wherever they are, is to switch them on: their IPv4
    addresses are there.
    """
    lives = [words for words in column(repair.done, "words") if words[:2] == _SETS[:2]]
    return bool(lives) and all(words[2] == "set" and words[-1] == "up" for words in lives)


def revives(repair: Repair, place: Place) -> bool:
    """Whether a repair gives life, or an address, to the interface of a place, or to one below it."""
    there = _there(repair)
    known = among(there.links, index=_alive(repair, there))
    return place.namespace == there.name and has(known, name=place.interface)


def went_along(repair: Repair, more: Repair) -> bool:
    """Whether what another repair gives back, behind it and in the same namespace, may have gone along: it is
    on an interface that comes to life, or one upon it, or rests on an address that comes.
    """
    there, before = _there(more), _there(repair)
    alive = _alive(repair, there)
    addresses = those_not_in(there.addresses, before.addresses)
    known = {each.address for each in among(there.addresses, index=alive)}
    routes = not_among(those_not_in(there.routes, before.routes), source=known)
    entries = those_not_in(there.neighbours, before.neighbours)
    strays = (
        *not_among((*addresses, *entries), index=alive),
        *(each for each in routes if alive.isdisjoint(each.indexes)),
    )
    return bool(_said(repair, _DELETES)) or not strays


def _alive(repair: Repair, there: Namespace) -> set[int]:
    """The interfaces that come to life or get an address, by ifindex, with those upon them."""
    return _with_those_upon(there, {link.index for link in (*_revived(repair), *_addressed(repair))})


def _there(repair: Repair) -> Namespace:
    return repair.mended.at(repair.stop.place.namespace)


def _said(repair: Repair, start: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words, but for the choice of the IP version, of what begins so and was done in the namespace."""
    done = among(repair.done, namespace=(None, repair.stop.place.namespace))
    plain = (those_not_in(command.words, ("-6",)) for command in done)
    return [words for words in plain if words[: len(start)] == start]


def _revived(repair: Repair) -> tuple[Link, ...]:
    """The interfaces that are switched on, or on which IPv6 is; a longer MTU may do that as well. And those
    that have been off, where something that went with that comes back.
    """
    there = _there(repair)
    keys = {*map(_switched_on, _said(repair, _SWITCHES))}
    names = map(_device, filter(_enlivens, _said(repair, _SETS)))
    on = there.links if keys & _EACH else among(there.links if keys else (), key=keys)
    worn = concerned(there, been_off(there), repair.done)
    return (*on, *where(_named(there, names), master=None), *worn)


def _named(there: Namespace, names: Iterable[str]) -> tuple[Link, ...]:
    """The interfaces of these names, each once: of thousands few are named."""
    return tuple(filter(None, map(there.link_named, dict.fromkeys(names))))


def _addressed(repair: Repair) -> tuple[Link, ...]:
    """The interfaces that get an address, or the route that the kernel makes for one, but for a bridge that
    gets its port's: what rests on that is there still.
    """
    there = _there(repair)
    ports = _named(there, map(_device, _said(repair, _TAKES)))
    brought = (*_said(repair, _ADDS), *filter(_is_of_the_kernel, _said(repair, _REPLACES)))
    given = _named(there, map(_device, brought))
    return not_among(given, index={*column(ports, "master")})


def _is_of_the_kernel(words: tuple[str, ...]) -> bool:
    """Whether a route is said to be the kernel's own, to a network beside."""
    return {"kernel", "local"}.intersection(words) == {"kernel"}


def _enlivens(words: tuple[str, ...]) -> bool:
    return words[-1] == "up" or "mtu" in words


def _switched_on(words: tuple[str, ...]) -> str:
    """The interface, as a sysctl calls it, on which IPv6 is switched on; "" where something else is set."""
    stem = words[-1].removesuffix(_IPV6_ON)
    return stem.rpartition(".")[2] if stem != words[-1] else ""


def _device(words: tuple[str, ...]) -> str:
    """The word behind "dev"; "" without one."""
    return dict(pairwise(words)).get("dev", "")


def _with_those_upon(namespace: Namespace, indexes: set[int]) -> set[int]:
    """Interfaces, by ifindex, with those that are stacked upon one of them, such as VLANs."""
    upon = among(namespace.links, link={LinkRef(index) for index in indexes})
    return indexes | {each.index for each in upon}
