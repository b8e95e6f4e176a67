"""Stations that have the same number in both families, as people give them: 10.0.0.3 and fd00::3. Pure.

What such a station lacks in one family, the other one tells, where all beside it are numbered like that; and
what its number was before, where all in sight are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import chain, starmap
from typing import NamedTuple

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Snapshot
from netprobe.model.lookup import sole, without
from netprobe.predict import prefix

from .repair import Loss
from .segment import is_network, own_addresses

_FEWEST = 2  # stations that say the same: one may be an accident
_OTHER = {4: 6, 6: 4}
_Pair = dict[int, InterfaceAddress]


class _Spelling(NamedTuple):
    """How the number of a station in IPv4 is written in IPv6, and what such a one means."""

    written: Callable[[int], int]
    meant: Callable[[int], int | None]


def _digits(number: int) -> int | None:
    """What somebody meant who reads the hexadecimal digits of a number as decimal ones."""
    text = f"{number:x}"
    return int(text) if text.isdecimal() else None


_BY_VALUE = _Spelling(lambda number: number, lambda number: number)
_BY_DIGITS = _Spelling(lambda number: int(str(number), 16), _digits)
_SPELLINGS = (_BY_VALUE, _BY_DIGITS)


def told(loss: Loss, name: str, link: Link, version: int) -> str | None:
    """The address that an interface without one would have by its number in the other family; None where
    those beside it are not numbered alike, or say not which of two it is, or somebody has it.
    """
    own = own_addresses(loss.snapshot[name], link, _OTHER[version])
    others = ((loss.snapshot[there], station) for there, station in loss.others(name, link))
    pairs = [*chain.from_iterable(starmap(_pair, others))]
    if len(own) != 1 or len(pairs) < _FEWEST or not _are_of_one(own[0], pairs):
        return None
    return _said(pairs, own[0], pairs[0][version], loss.owned)


def due(snapshot: Snapshot, here: Namespace, link: Link, owned: Collection[str]) -> str | None:
    """The address of IPv4 that an interface would have by its number in IPv6, which is another one than it
    has; None where the others in sight are not numbered alike, or some of the `owned` is it.
    """
    spaces = snapshot.with_namespace(_without(here, link)).namespaces.values()
    pairs = [*chain.from_iterable(_pair(each, station) for each in spaces for station in each.outward)]
    own = next(_pair(here, link), None)
    if own is None or len(pairs) < _FEWEST:
        return None
    return _said(pairs, own[6], own[4], owned)


def _without(here: Namespace, link: Link) -> Namespace:
    return replace(here, links=without(here.links, link))


def _said(
    pairs: list[_Pair], known: InterfaceAddress, beside: InterfaceAddress, owned: Collection[str]
) -> str | None:
    """The address that goes with a known one of the other family, in the network of one beside, as all pairs
    are numbered; None where they are not, or say not which of two it is, or somebody has it.
    """
    fitting = [each for each in _SPELLINGS if all(map(partial(_holds, each), pairs))]
    read = (each.written if known.version == 4 else each.meant for each in fitting)
    numbers = {*filter(None, (each(_host(known)) for each in read))}
    return next(map(partial(_free, owned, beside), sole(numbers)), None)


def _holds(spelling: _Spelling, pair: _Pair) -> bool:
    """Whether the numbers of a station are alike, written in this way."""
    return spelling.written(_host(pair[4])) == _host(pair[6])


def _pair(namespace: Namespace, link: Link) -> Iterator[_Pair]:
    """The addresses of an interface, where it has one in each family."""
    both = {version: own_addresses(namespace, link, version) for version in (4, 6)}
    if all(any(map(is_network, sole(each))) for each in both.values()):
        yield {version: only for version, (only,) in both.items()}


def _are_of_one(own: InterfaceAddress, pairs: list[_Pair]) -> bool:
    """Whether all are of the same two networks, and a further address is of one of them."""
    networks = {tuple(map(prefix.network_of, pair.values())) for pair in pairs}
    return len(networks) == 1 and prefix.network_of(own) in next(iter(networks))


def _host(own: InterfaceAddress) -> int:
    """The number of a station in its network."""
    return prefix.number(own.address) - prefix.bounds(prefix.network_of(own))[1]


def _free(owned: Collection[str], beside: InterfaceAddress, number: int) -> str | None:
    """The address of this number in the network of another one, where that has room for it and nobody has
    it.
    """
    from ipaddress import ip_address

    _, base, _ = prefix.bounds(prefix.network_of(beside))
    last = (1 << (prefix.bits(beside.address) - beside.prefixlen)) - 1
    if not 0 < number < last:
        return None
    address = str(type(ip_address(beside.address))(base + number))
    return None if address in owned else address
