"""Stations that have the same number in both families, as people give them: 10.0.0.3 and fd00::3. Pure.

What such a station lacks in one family, the other one tells, where all beside it are numbered like that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from netprobe.model import InterfaceAddress, Link
from netprobe.model.lookup import sole
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
    pairs = [*_pairs(loss, name, link)]
    fitting = [each for each in _SPELLINGS if all(map(partial(_holds, each), pairs))]
    if len(own) != 1 or len(pairs) < _FEWEST or not _are_of_one(own[0], pairs):
        return None
    read = (each.written if version == 6 else each.meant for each in fitting)
    said = (each(_host(own[0])) for each in read)
    numbers = {number for number in said if number is not None}
    return _free(loss, pairs[0][version], numbers.pop()) if len(numbers) == 1 else None


def _holds(spelling: _Spelling, pair: _Pair) -> bool:
    """Whether the numbers of a station are alike, written in this way."""
    return spelling.written(_host(pair[4])) == _host(pair[6])


def _pairs(loss: Loss, name: str, link: Link) -> Iterator[_Pair]:
    """The addresses of the stations beside an interface, of those that have one in each family."""
    for there, station in loss.others(name, link):
        both = {version: own_addresses(loss.snapshot[there], station, version) for version in (4, 6)}
        if all(any(map(is_network, sole(each))) for each in both.values()):
            yield {version: only for version, (only,) in both.items()}


def _are_of_one(own: InterfaceAddress, pairs: list[_Pair]) -> bool:
    """Whether all are of the same two networks, and a further address is of one of them."""
    networks = {tuple(map(prefix.network_of, pair.values())) for pair in pairs}
    return len(networks) == 1 and prefix.network_of(own) in next(iter(networks))


def _host(own: InterfaceAddress) -> int:
    """The number of a station in its network."""
    return prefix.number(own.address) - prefix.bounds(prefix.network_of(own))[1]


def _free(loss: Loss, beside: InterfaceAddress, number: int) -> str | None:
    """The address of this number in the network of another one, where that has room for it and nobody has
    it.
    """
    from ipaddress import ip_address

    _, base, _ = prefix.bounds(prefix.network_of(beside))
    last = (1 << (prefix.bits(beside.address) - beside.prefixlen)) - 1
    if not 0 < number < last:
        return None
    address = str(type(ip_address(beside.address))(base + number))
    return None if address in loss.owned else address
