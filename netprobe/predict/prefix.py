"""Addresses and prefixes as integers, for comparison; the values themselves stay text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain
from operator import itemgetter

from netprobe.model import InterfaceAddress
from netprobe.model.address import bits as bits
from netprobe.model.address import version as version
from netprobe.model.lookup import gathered, indexed
from netprobe.model.pattern import pattern

MOST = 1 << 16  # texts whose numbers are kept
_DOTTED = pattern(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_FEW = 64  # addresses, from which on a table of their networks is made
WHOLE = {4: "0.0.0.0/0", 6: "::/0"}  # the prefix of all addresses of a version


@lru_cache(maxsize=MOST)
def number(address: str) -> int:
    """The address as an integer. Raises ValueError for anything else than an IPv4 or IPv6 address."""
    return int(ip_address(address))


def canonical(address: str) -> str:
    """The address as everybody writes it. Raises ValueError as `number` does, but for four numbers with dots,
    which stay as they are.
    """
    return address if _DOTTED.fullmatch(address) else str(ip_address(address))


@lru_cache(maxsize=MOST)
def bounds(prefix: str) -> tuple[int, int, int]:
    """(version, network, mask) of "10.0.0.0/16"; a bare address is a host prefix.

    Raises ValueError for anything else.
    """
    address, _, length = prefix.partition("/")
    whole = bits(address)
    keep = int(length) if length else whole
    if not 0 <= keep <= whole:  # of a saved run's text; it would be shifted by
        raise ValueError(f"{length} is no length of a prefix of {address}")
    mask = ((1 << keep) - 1) << (whole - keep)
    return (version(address), number(address) & mask, mask)


def group_of(mac: str) -> str:
    """The solicited-node group that a multicast MAC address 33:33:ff:… stands for (RFC 4291, 2.7.1)."""
    return str(ip_address(f"ff02::1:{mac[6:8]}{mac[9:11]}:{mac[12:14]}{mac[15:17]}"))


def link_local(mac: str | None) -> str | None:
    """The link-local address that is made of a MAC (RFC 4291, appendix A)."""
    from ipaddress import IPv6Address

    octets = bytes.fromhex(mac.replace(":", "")) if mac else b""
    if len(octets) != 6:
        return None
    made = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + made))


def contains(prefix: str, address: str) -> bool:
    """Whether `address` lies in `prefix`; never across IP versions."""
    kind, network, mask = bounds(prefix)
    return kind == version(address) and number(address) & mask == network


def holds(wide: str, part: str) -> bool:
    """Whether a network is a part of another one, and not all of it."""
    return length(wide) < length(part) and contains(wide, part.partition("/")[0])


def within(prefixes: Iterable[str], address: str) -> bool:
    """Whether `address` lies in any of the prefixes."""
    return any(contains(prefix, address) for prefix in prefixes)


def covering(prefixes: Iterable[str], address: str) -> list[str]:
    """Those of the prefixes in which `address` lies."""
    return [each for each in prefixes if contains(each, address)]


def of_version(several: Iterable[str], kind: int) -> list[str]:
    """Those of the addresses or prefixes that are of an IP version."""
    return [each for each in several if version(each) == kind]


def length(prefix: str) -> int:
    """The prefix length: 16 for "10.0.0.0/16", 32 or 128 for a bare address."""
    _, _, length = prefix.partition("/")
    return int(length) if length else bits(prefix)


def shared(one: str, other: str) -> int:
    """How many leading bits two addresses of one version have in common; a network of hosts has two less."""
    whole = bits(one)
    return min(whole - (number(one) ^ number(other)).bit_length(), whole - 2)


@lru_cache(maxsize=MOST)
def network(address: str, prefixlen: int) -> str:
    """The prefix that `address` lies in: network("10.0.0.2", 16) is "10.0.0.0/16"."""
    kind, base, _ = bounds(f"{address}/{prefixlen}")
    from ipaddress import IPv4Address, IPv6Address

    return f"{IPv4Address(base) if kind == 4 else IPv6Address(base)}/{prefixlen}"


def moved(address: str, network: str) -> str:
    """The address of the same host in another network: moved("10.1.0.2", "10.9.0.0/16") is "10.9.0.2"."""
    from ipaddress import IPv4Address, IPv6Address

    kind, base, mask = bounds(network)
    there = base | (number(address) & ~mask)
    return str(IPv4Address(there) if kind == 4 else IPv6Address(there))


def alike(network: str, known: Iterable[InterfaceAddress]) -> list[str]:
    """The networks of addresses that are as long as another one, each once."""
    kind, bound = version(network.partition("/")[0]), length(network)
    return [
        *dict.fromkeys(network_of(each) for each in known if (each.version, each.prefixlen) == (kind, bound))
    ]


def network_of(own: InterfaceAddress) -> str:
    """The prefix of an interface's address."""
    return network(own.address, own.prefixlen)


def connected(own: InterfaceAddress) -> str:
    """The prefix that an interface's address leads to: its peer's, where it has one."""
    return network(own.peer or own.address, own.prefixlen)


def neighbours_of(address: str, known: Iterable[InterfaceAddress]) -> list[InterfaceAddress]:
    """Those of the addresses in whose networks another one lies."""
    if not isinstance(known, tuple) or len(known) < _FEW:
        return [own for own in known if contains(network_of(own), address)]
    kind, wanted = version(address), number(address)
    lying = (
        networks.get(wanted & mask, ())
        for (of, mask), networks in indexed(_by_network, known).items()
        if of == kind
    )
    return [own for _, own in sorted(chain.from_iterable(lying), key=itemgetter(0))]


_Numbered = tuple[int, InterfaceAddress]


def _by_network(
    known: tuple[InterfaceAddress, ...],
) -> dict[tuple[int, int], dict[int, tuple[_Numbered, ...]]]:
    """The numbered addresses of each network, by its version and mask."""
    bounded = ((bounds(network_of(own)), (n, own)) for n, own in enumerate(known))
    found = gathered(((kind, mask), (base, each)) for (kind, base, mask), each in bounded)
    return {mask: gathered(those) for mask, those in found.items()}


@lru_cache(maxsize=1024)
def broadcast(address: str, prefixlen: int) -> str | None:
    """The directed broadcast address of an IPv4 prefix, None where there is none (IPv6, /31, /32)."""
    if ":" in address or prefixlen >= 31:
        return None
    from ipaddress import IPv4Address

    return str(IPv4Address(bounds(f"{address}/{prefixlen}")[1] | ((1 << (32 - prefixlen)) - 1)))


def is_loopback(address: str) -> bool:
    """127/8 or ::1."""
    return contains("127.0.0.0/8", address) or address == "::1"


def is_multicast(address: str) -> bool:
    """224/4 or ff00::/8."""
    return contains("224.0.0.0/4", address) or contains("ff00::/8", address)


def needs_scope(address: str) -> bool:
    """fe80::/10: it says who, and not on which link (RFC 4007)."""
    return contains("fe80::/10", address)


def is_link_local(address: str) -> bool:
    """169.254/16 or fe80::/10."""
    return contains("fe80::/10", address) or contains("169.254.0.0/16", address)
