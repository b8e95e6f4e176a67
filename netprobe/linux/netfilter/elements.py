"""One element of a large set, asked of the kernel: nft itself would first read all the others (1.1 s for
100,000).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

from netprobe.linux.netlink import Record
from netprobe.model import AskedSet, SetQuery, Term

from .kernel import Nfnetlink

# Numbers of types as nft stores them in a set's definition (nftables include/datatype.h); a concatenation
# packs six bits each.
_TYPES = {
    2: "nf_proto", 7: "ipv4_addr", 8: "ipv6_addr", 9: "ether_addr", 10: "ether_type", 12: "inet_proto",
    13: "inet_service",
    14: "icmp_type", 19: "mark", 29: "icmp_type", 41: "ifname",
}  # fmt: skip
# NF_* and NFT_* of the uapi headers
_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
INTERVAL = 0x4

_ENCODE: dict[str, Callable[[str], bytes]] = {
    "nf_proto": lambda word: bytes([int(word)]),
    "ipv4_addr": lambda word: socket.inet_pton(socket.AF_INET, word),
    "ipv6_addr": lambda word: socket.inet_pton(socket.AF_INET6, word),
    "ether_addr": lambda word: bytes.fromhex(word.replace(":", "")),
    "inet_proto": lambda word: bytes([int(word)]),
    "icmp_type": lambda word: bytes([int(word)]),
    "ether_type": lambda word: int(word).to_bytes(2, "big"),
    "inet_service": lambda word: int(word).to_bytes(2, "big"),
    "ifname": lambda word: word.encode("utf-8", "surrogateescape").ljust(16, b"\0"),
}


def ask_element(netlink: Nfnetlink, query: SetQuery) -> AskedSet:
    """Whether the set holds the key, and what a map gives for it. Raises OSError."""
    try:
        definition = netlink.set(query.family, query.table, query.set)
    except FileNotFoundError:
        return AskedSet(query, False, error="the set is gone")
    key = _key(
        query.key,
        definition.get("NFTA_SET_KEY_TYPE", 0),
        bool(definition.get("NFTA_SET_FLAGS", 0) & INTERVAL),
    )
    if key is None:
        return AskedSet(query, False, error="its type is not understood")
    element = netlink.element(query.family, query.table, query.set, key)
    if element is None:
        return AskedSet(query, False)
    if "NFTA_SET_ELEM_DATA" not in element:
        return AskedSet(query, True)
    data = _data(element.nest("NFTA_SET_ELEM_DATA"), definition.get("NFTA_SET_DATA_TYPE", 0))
    return AskedSet(query, True, data, None if data else "what it gives is not understood")


def types_of(number: int) -> list[str | None]:
    """The types of a set's key: one, or those of a concatenation in order; None for one that we do not
    encode.
    """
    found: list[str | None] = []
    while number:
        found.insert(0, _TYPES.get(number & 0x3F))
        number >>= 6
    return found


def _key(words: tuple[str, ...], number: int, interval: bool) -> bytes | None:
    """The key as the kernel keeps it: each part of a concatenation filled up to four bytes.

    Marks are in host order, in intervals not.
    """
    types = types_of(number)
    if len(types) != len(words):
        return None
    parts = []
    for word, kind in zip(words, types, strict=True):
        if kind == "mark":
            part = int(word).to_bytes(4, "big" if interval else sys.byteorder)
        elif kind in _ENCODE:
            part = _ENCODE[kind](word)
        else:
            return None
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(part + b"\0" * (-len(part) % 4) for part in parts)


def _data(found: Record, number: int) -> Term | None:
    """A map's data: a verdict, or an address and perhaps a port."""
    if "NFTA_DATA_VERDICT" in found:
        verdict = found.nest("NFTA_DATA_VERDICT")
        word, chain = _VERDICTS.get(verdict.get("NFTA_VERDICT_CODE")), verdict.text("NFTA_VERDICT_CHAIN")
        return Term("verdict", f"{word} {chain}" if chain else word) if word else None
    parts = _decoded(found.get("NFTA_DATA_VALUE", b""), types_of(number))
    if not parts:
        return None
    return (
        Term("value", parts[0])
        if len(parts) == 1
        else Term("concat", args=tuple(Term("value", part) for part in parts))
    )


def _decoded(data: bytes, types: list[str | None]) -> list[str] | None:
    parts, offset = [], 0
    for kind in types:
        if kind in ("ipv4_addr", "ipv6_addr"):
            size = 4 if kind == "ipv4_addr" else 16
            parts.append(
                socket.inet_ntop(
                    socket.AF_INET if size == 4 else socket.AF_INET6, data[offset : offset + size]
                )
            )
        elif kind == "inet_service":
            size = 2
            parts.append(str(int.from_bytes(data[offset : offset + 2], "big")))
        elif kind == "mark":
            size = 4
            parts.append(str(int.from_bytes(data[offset : offset + 4], sys.byteorder)))
        else:
            return None
        offset += (size + 3) & ~3
    return parts
