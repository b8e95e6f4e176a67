"""Whose frames beside the probe a run wants, as the words that its kernel filters compare."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct


class Around(Struct, frozen=True, gc=False):
    """Whose frames beside the probe are wanted. None means that it is not known, and that all are.

    `addresses`: ARP between two of them, or of one of them and nobody; neighbour discovery that asks for one.
    `pairs`: later fragments from the first address to the second, and UDP answers whose ports alone say
    little. Of an IPv6 address the filter compares the last 32 bits.
    """

    addresses: tuple[str, ...] | None = None
    pairs: tuple[tuple[str, str], ...] | None = None

    @property
    def stations(self) -> tuple[int, ...] | None:
        """The IPv4 addresses as words, for ARP."""
        return None if self.addresses is None else _words(a for a in self.addresses if ":" not in a)

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The last words of the IPv6 addresses, for neighbour discovery."""
        return None if self.addresses is None else _words(a for a in self.addresses if ":" in a)

    @property
    def ways(self) -> dict[int, tuple[int, ...]] | None:
        """By the word of a source address, those of the destinations."""
        if self.pairs is None:
            return None
        return {
            _word(src): _words(d for s, d in self.pairs if _word(s) == _word(src)) for src, _ in self.pairs
        }


EVERYTHING = Around()


@lru_cache(maxsize=1024)
def _word(address: str) -> int:
    return int(ip_address(address.partition("%")[0])) & 0xFFFFFFFF


def _words(addresses: Iterable[str]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(_word, addresses)))
