"""What the registers of nf_tables' virtual machine hold, as expressions of libnftables-json(5), and the bytes
that they are compared with.

Source: include/uapi/linux/netfilter/nf_tables.h; nftables include/datatype.h, src/proto.c.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from msgspec import Struct

Json = Any


class Undecoded(Exception):
    """An expression that only nft can print."""


class DataType(Struct, frozen=True):
    """How bytes of a type are written; `order` of a number's bytes."""

    name: str
    write: Callable[[bytes], Json]
    order: str = "big"

    def number(self, data: bytes) -> int:
        """The bytes as a number."""
        return int.from_bytes(data, "little" if self.order == "little" else "big")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _host(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _words(names: dict[int, str], read: Callable[[bytes], int]) -> Callable[[bytes], Json]:
    return lambda data: names.get(read(data), read(data))


def _name(data: bytes) -> str:
    """An interface's name; one that is shorter than its field is the beginning of names."""
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape") + ("" if data.endswith(b"\0") else "*")


PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}
FAMILIES = {2: "ipv4", 10: "ipv6"}
ROUTES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
          7: "unreachable", 8: "prohibit"}  # fmt: skip
STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}  # NF_CT_STATE_BIT
ADDRESS4 = DataType("ipv4_addr", lambda data: socket.inet_ntop(socket.AF_INET, data.ljust(4, b"\0")))
ADDRESS6 = DataType("ipv6_addr", lambda data: socket.inet_ntop(socket.AF_INET6, data.ljust(16, b"\0")))
ETHER = DataType("ether_addr", lambda data: data.hex(":"))
BIG = DataType("integer", _number)
HOST = DataType("mark", _host, sys.byteorder)
PROTOCOL = DataType("inet_proto", _words(PROTOCOLS, _number))
FAMILY = DataType("nf_proto", _words(FAMILIES, _number))
ROUTE = DataType("fib_addrtype", _words(ROUTES, _host), sys.byteorder)
STATE = DataType("ct_state", _words(STATES, _host), sys.byteorder)
NAME = DataType("ifname", _name)


class Held(Struct, frozen=True):
    """What a register holds: an expression of a `kind` and of so many bytes. `mask`: what a bitwise one left
    of it, and then toggled (`flip`). `whole`: the bytes of the field of which these are the first.
    """

    json: Json
    kind: DataType
    size: int
    mask: bytes | None = None
    flip: bytes = b""
    whole: int = 0

    def compared(self) -> Json:
        """The expression as it stands in a comparison."""
        if self.mask is None:
            return self.json
        mask, flip = self.kind.number(self.mask), self.kind.number(self.flip)
        full = (1 << 8 * len(self.mask)) - 1
        if flip and mask == full & ~flip:
            return {"|": [self.json, flip]}
        kept = self.json if mask == full else {"&": [self.json, mask]}
        return {"^": [kept, flip]} if flip else kept


_FIELDS4: dict[tuple[int, int], tuple[str, DataType]] = {
    (2, 2): ("length", BIG), (4, 2): ("id", BIG), (8, 1): ("ttl", BIG), (9, 1): ("protocol", PROTOCOL),
    (12, 4): ("saddr", ADDRESS4), (16, 4): ("daddr", ADDRESS4),
}  # fmt: skip
_FIELDS6: dict[tuple[int, int], tuple[str, DataType]] = {
    (4, 2): ("length", BIG), (6, 1): ("nexthdr", PROTOCOL), (7, 1): ("hoplimit", BIG),
    (8, 16): ("saddr", ADDRESS6), (24, 16): ("daddr", ADDRESS6),
}  # fmt: skip
_ETHER: dict[tuple[int, int], tuple[str, DataType]] = {(0, 6): ("daddr", ETHER), (6, 6): ("saddr", ETHER)}
_NETWORK = {"ip": _FIELDS4, "ip6": _FIELDS6, "ether": _ETHER}
_PORTS = {(0, 2): "sport", (2, 2): "dport"}
_ICMP = {(0, 1): "type", (1, 1): "code"}
_TYPES4 = {0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect",
           8: "echo-request", 11: "time-exceeded", 12: "parameter-problem"}  # fmt: skip
_TYPES6 = {1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem",
           128: "echo-request", 129: "echo-reply", 133: "nd-router-solicit", 134: "nd-router-advert",
           135: "nd-neighbor-solicit", 136: "nd-neighbor-advert", 137: "nd-redirect"}  # fmt: skip
_ICMP_TYPES = {
    "icmp": ("icmp", DataType("icmp_type", _words(_TYPES4, _number))),
    "ipv6-icmp": ("icmpv6", DataType("icmpv6_type", _words(_TYPES6, _number))),
}


def field(protocol: str, offset: int, size: int) -> Held:
    """A field of the header of `protocol`; the first bytes of an address are its prefix."""
    known = _NETWORK[protocol]
    if (offset, size) in known:
        name, kind = known[offset, size]
        return Held({"payload": {"protocol": protocol, "field": name}}, kind, size)
    for (start, whole), (name, kind) in known.items():
        if start == offset and size < whole and name in ("saddr", "daddr") and protocol != "ether":
            return Held({"payload": {"protocol": protocol, "field": name}}, kind, size, whole=whole)
    raise Undecoded(f"{protocol} header, {size} bytes from {offset}")


def transport(protocol: str | None, offset: int, size: int) -> Held:
    """A field of the header behind IP's; without a `protocol` only ports are known."""
    if protocol in ("icmp", "ipv6-icmp") and (offset, size) in _ICMP:
        named, words = _ICMP_TYPES[protocol]
        kind = words if offset == 0 else BIG
        return Held({"payload": {"protocol": named, "field": _ICMP[offset, size]}}, kind, size)
    if (offset, size) in _PORTS and protocol not in ("icmp", "ipv6-icmp"):
        return Held({"payload": {"protocol": protocol or "th", "field": _PORTS[offset, size]}}, BIG, size)
    raise Undecoded(f"transport header, {size} bytes from {offset}")


META: dict[int, tuple[str, DataType, int]] = {
    3: ("mark", HOST, 4), 6: ("iifname", NAME, 16), 7: ("oifname", NAME, 16), 10: ("skuid", HOST, 4),
    11: ("skgid", HOST, 4), 15: ("nfproto", FAMILY, 1), 16: ("l4proto", PROTOCOL, 1),
}  # fmt: skip
CT: dict[int, tuple[str, DataType, int]] = {
    0: ("state", STATE, 4),
    3: ("mark", HOST, 4),
    17: ("zone", HOST, 2),
}
FIB_FLAGS = {1: "saddr", 2: "daddr", 4: "mark", 8: "iif", 16: "oif"}


def literal(held: Held, data: bytes) -> Json:
    """Bytes that a register is compared with."""
    if held.whole:
        return {"prefix": {"addr": held.kind.write(data), "len": 8 * held.size}}
    if held.kind in (ADDRESS4, ADDRESS6) and held.mask is not None:
        bits = bin(int.from_bytes(held.mask, "big"))[2:]
        if len(bits) == 8 * held.size and "01" not in bits:
            return {"prefix": {"addr": held.kind.write(data), "len": bits.count("1")}}
        raise Undecoded("a mask that is no prefix")
    return held.kind.write(data)
