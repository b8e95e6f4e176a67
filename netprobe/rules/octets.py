"""The bytes of a packet as far as they are known, for rules that read them by their place: iptables' u32 and
nft's raw payload (RFC 791, 8200, 9293, 768, 792, 4443).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from netprobe.model.pattern import pattern

from .datatypes import TCP_FLAGS
from .packet import HookPacket
from .ruling import weighed

_WORD = 0xFFFFFFFF
_STEP = pattern(r"\s*(&|<<|>>|@)\s*(0[xX][0-9a-fA-F]+|\d+)")
Octets = list[int | None]


def network(packet: HookPacket) -> Octets:
    """From the IP header on; None for a byte that is not known. Options there are none."""
    return (_ipv6(packet) if packet.flow.version == 6 else _ipv4(packet)) + transport(packet)


def _ipv4(packet: HookPacket) -> Octets:
    flow = packet.flow
    whole = packet.df if packet.fragment is None else None
    cut = None if whole is None else 0x4000 * whole
    rest = [flow.ttl, flow.protocol.number, None, None]
    size = [packet.tos, *_bytes(flow.length, 2), None, None]
    return [0x45, *size, *_bytes(cut, 2), *rest, *_addresses(packet)]


def _ipv6(packet: HookPacket) -> Octets:
    flow, traffic = packet.flow, packet.tos
    length = None if flow.length is None else flow.length - 40
    first = _bytes(None if traffic is None else 0x60 | traffic >> 4, 1)
    return [
        *first,
        None,
        None,
        None,
        *_bytes(length, 2),
        flow.protocol.number,
        flow.ttl,
        *_addresses(packet),
    ]


def _addresses(packet: HookPacket) -> Octets:
    return [*ip_address(packet.flow.src).packed, *ip_address(packet.flow.dst).packed]


def transport(packet: HookPacket) -> Octets:
    """From the transport header on."""
    flow = packet.flow
    if flow.protocol.has_ports:
        ports = [*_bytes(flow.sport, 2), *_bytes(flow.dport, 2)]
        flags = [sum(TCP_FLAGS[flag] for flag in packet.tcp_flags)] if packet.tcp_flags else []
        return [*ports, *[None] * 9, *flags]
    return [flow.icmp_type, flow.icmp_code or 0, None, None, *_bytes(flow.icmp_id, 2)]


def _bytes(number: int | None, size: int) -> Octets:
    return [None] * size if number is None else [*number.to_bytes(size, "big")]


def bits(octets: Octets, offset: int, length: int) -> int | None:
    """A field of `length` bits; None where one of them is not known."""
    first, end = offset // 8, (offset + length + 7) // 8
    number, known = _number(octets, first, end - first)
    shift, mask = end * 8 - offset - length, (1 << length) - 1
    return number >> shift & mask if known >> shift & mask == mask else None


def _number(octets: Octets, at: int, size: int) -> tuple[int, int]:
    """The bytes at a place as a number, and which of its bits are known."""
    found = [*octets, *[None] * (at + size)][at : at + size]
    known = bytes(0xFF * (byte is not None) for byte in found)
    return int.from_bytes(bytes(byte or 0 for byte in found), "big"), int.from_bytes(known, "big")


def u32(octets: Octets, tests: str) -> bool | None:
    """Whether all tests of iptables' u32 hold (net/netfilter/xt_u32.c); None where that is not known.

    Raises ValueError for what is none.
    """
    return weighed([_test(octets, *test.split("=", 1)) for test in tests.split("&&")], False)


TELLING = 4  # a text of so many bytes is not where a packet has random ones: once in four billion packets


def holds_text(octets: Octets, options: Mapping[str, str]) -> bool | None:
    """Whether the text of iptables' string match stands in the packet, which is longer than its known bytes;
    None for one that is too short to tell. Raises KeyError, ValueError for what is none.
    """
    wanted, first, last = _wanted(options), int(options.get("from", "0")), int(options.get("to", "65535"))
    found = "".join(_UNKNOWN if byte is None else chr(byte) for byte in octets)
    if "icase" in options:
        wanted, found = wanted.lower(), found.lower()
    place = found.find(wanted, first, last + len(wanted))
    return None if len(wanted) < TELLING else place >= 0


_UNKNOWN = "\uffff"  # a byte that is in no text


def _wanted(options: Mapping[str, str]) -> str:
    """A text, a character a byte; or one with hexadecimal parts between bars."""
    if "hex-string" not in options:
        return options["string"].encode("utf-8", "surrogateescape").decode("latin-1")
    plain, *parts = options["hex-string"].split("|")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return plain + "".join(bytes.fromhex(coded).decode("latin-1") + text for coded, text in pairs)


def _test(octets: Octets, location: str, wanted: str) -> bool | None:
    ranges = [[int(end, 0) for end in each.split(":")] for each in wanted.split(",")]
    number, known = _located(octets, location) or (0, 0)
    if known != _WORD:
        return None
    return any(each[0] <= number <= each[-1] for each in ranges)


def _located(octets: Octets, location: str) -> tuple[int, int] | None:
    """The word that a location leads to, and which of its bits are known; None where it is not known where
    it leads.
    """
    start = re.match(r"\s*(0[xX][0-9a-fA-F]+|\d+)", location)
    if start is None:
        raise ValueError(f"{location} is no place in a packet")
    base, (number, known) = 0, _number(octets, int(start[1], 0), 4)
    for operator, text in _STEP.findall(location[start.end() :]):
        operand = int(text, 0)
        if operator != "@":
            number, known = _MOVES[operator](number, known, operand)
            continue
        if known != _WORD:
            return None
        base += number
        number, known = _number(octets, base + operand, 4)
    return number, known


# a word, which of its bits are known, and an operand
_MOVES: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "&": lambda number, known, mask: (number & mask, known | ~mask & _WORD),
    "<<": lambda number, known, by: (number << by & _WORD, (known << by | (1 << by) - 1) & _WORD),
    ">>": lambda number, known, by: (number >> by, known >> by | ~(_WORD >> by) & _WORD),
}
