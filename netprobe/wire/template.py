"""Packets of which very many are sent: crafted once by scapy, then only the fields that differ are written.

A probe is known by eight bytes: four of the run, four of its number. The payload of an ICMP or UDP probe
begins with them; a TCP SYN has their sum as its sequence number; an ARP question has them in its padding.
"""

from __future__ import annotations

import struct
from copy import copy

from netprobe.model import Protocol

from .checksum import checksum
from .craft import BROADCAST, Craft, Recipe
from .mark import Mark

TOKEN = struct.Struct(">II")  # run, probe
NUMBERS = 1 << 32
ARP_SOURCE, ARP_TARGET, ARP_PADDING = 28, 38, 42  # in a frame: both addresses, and what follows
_HALF, _WORD = struct.Struct(">H"), struct.Struct(">I")


def payload(run: int, probe: int, size: int) -> bytes:
    """The payload of an ICMP or UDP probe of at least eight bytes."""
    filler = b"netprobe" * (size // 8 + 1)
    return (TOKEN.pack(run, probe) + filler)[: max(size, TOKEN.size)]


class EchoTemplate:
    """An echo request without its IP header; over IPv6 the kernel writes the checksum."""

    def __init__(self, craft: Craft, run: int, icmp_id: int, size: int, protocol: Protocol) -> None:
        mark = Mark(protocol, b"\0" * 6, size=max(size, TOKEN.size), icmp_id=icmp_id)
        [made] = craft(Recipe(mark, "::", "::") if protocol is Protocol.ICMPV6 else Recipe(mark, "", ""))
        self.data = bytearray(made)
        self.data[8:] = payload(run, 0, size)
        self.data[2:4] = b"\0\0"
        self._sum = _sum(self.data)

    def write(self, probe: int) -> None:
        """Make it the packet of this probe: its number in the payload, and the checksum (RFC 1071)."""
        data = self.data
        _WORD.pack_into(data, 12, probe)
        _HALF.pack_into(data, 2, ~_folded(self._sum + (probe >> 16) + (probe & 0xFFFF)) & 0xFFFF)


class SynTemplate:
    """A TCP SYN of one source, without its IP header."""

    def __init__(self, craft: Craft, run: int, source: str, source_port: int, port: int) -> None:
        self._run = run
        nowhere = "::" if ":" in source else "0.0.0.0"
        mark = Mark(Protocol.TCP, b"\0" * 6, source_ports=(source_port,), port=port)
        [made] = craft(Recipe(mark, source, nowhere))
        self.data = bytearray(made)
        # what the checksum counts besides: the sum with an address of zeros and a sequence number of 0
        self._sum = ~_HALF.unpack_from(self.data, 16)[0] & 0xFFFF

    def write(self, probe: int, destination: bytes) -> None:
        """Make it the packet of this probe: sequence number, and the checksum, which counts the destination's
        address (RFC 9293 section 3.1).
        """
        number = (self._run + probe) % NUMBERS
        _WORD.pack_into(self.data, 4, number)
        total = self._sum + (number >> 16) + (number & 0xFFFF) + _sum(destination)
        _HALF.pack_into(self.data, 16, ~_folded(total) & 0xFFFF)


class ArpTemplate:
    """An ARP question of one source, a whole frame; `of` makes that of another source out of it."""

    __slots__ = ("_run", "data")

    def __init__(self, craft: Craft, run: int, source: str, mac: str) -> None:
        [made] = craft(Recipe(Mark(Protocol.ARP, b"\0" * 6), source, "0.0.0.0", mac, BROADCAST))
        self.data = bytearray(made)
        self._run = run

    def of(self, mac: bytes, address: bytes) -> ArpTemplate:
        """The same from another MAC and address."""
        other = copy(self)
        other.data = self.data[:]
        other.data[6:12] = other.data[ARP_SOURCE - 6 : ARP_SOURCE] = mac
        other.data[ARP_SOURCE : ARP_SOURCE + 4] = address
        return other

    def write(self, probe: int, mac: bytes, address: bytes) -> None:
        """Make it the question for `address` to `mac`, all stations or one."""
        data = self.data
        data[0:6] = mac
        data[ARP_TARGET:ARP_PADDING] = address
        TOKEN.pack_into(data, ARP_PADDING, self._run, probe)


def _sum(data: bytes | bytearray) -> int:
    return ~checksum(bytes(data)) & 0xFFFF


def _folded(total: int) -> int:
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)
