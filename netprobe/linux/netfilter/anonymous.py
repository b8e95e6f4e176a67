"""The sets without a name that rules look into, as they stand in the rule.

Source: include/uapi/linux/netfilter/nf_tables.h (nft_set_elem_attributes); nftables src/segtree.c.
"""

from __future__ import annotations

from .decode import LookedInto, nested, number, verdict
from .elements import types_of
from .kernel import ANONYMOUS, NFGENMSG, Nfnetlink, attributes
from .values import ADDRESS4, ADDRESS6, BIG, HOST, DataType, Held, Json, Undecoded

INTERVAL, INTERVAL_END = 0x4, 0x1  # NFT_SET_INTERVAL, NFT_SET_ELEM_INTERVAL_END
ELEMENTS = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
KEY, DATA, FLAGS, KEY_END = 1, 2, 3, 10  # NFTA_SET_ELEM_*
_KINDS = {"ipv4_addr": ADDRESS4, "ipv6_addr": ADDRESS6, "inet_service": BIG, "mark": HOST}
_SIZES = {"ipv4_addr": 4, "ipv6_addr": 16, "inet_service": 2, "mark": 4}

Element = tuple[bytes, bytes, Json]
"""The first and the last key of an element, and the data that a map gives for it."""


def looked_into(netlink: Nfnetlink, family: str, table: str, name: str) -> LookedInto:
    """A set of a table. Raises OSError."""
    found = netlink.set(family, table, name)
    flags, key = found.get("NFTA_SET_FLAGS", 0), found.get("NFTA_SET_KEY_LEN", 0)
    data, kind = found.get("NFTA_SET_DATA_LEN", 0), found.get("NFTA_SET_DATA_TYPE")

    def stands(parts: tuple[Held, ...]) -> Json:
        if not flags & ANONYMOUS:
            return f"@{name}"
        elements = _elements(netlink.elements(family, table, name), bool(flags & INTERVAL), key, kind)
        elements.sort(key=lambda each: _order(parts, each[0]))
        written = [(_key(parts, first, last), given) for first, last, given in elements]
        return {"set": [word if kind is None else [word, given] for word, given in written]}

    return LookedInto(key, data, stands)


def _elements(bodies: list[bytes], interval: bool, size: int, kind: int | None) -> list[Element]:
    found = []
    for body in bodies:
        for element in _listed(body):
            first = _bytes(element.get(KEY, b""))
            given = _data(element[DATA], kind) if DATA in element and kind is not None else None
            last = _bytes(element[KEY_END]) if KEY_END in element else first
            found.append((first, last, given, bool(number(element.get(FLAGS)) & INTERVAL_END)))
    if not interval or any(first != last for first, last, *_ in found):
        return [(first, last, given) for first, last, given, _ in found]
    return _intervals(found, size)


def _listed(body: bytes) -> list[dict[int, bytes]]:
    elements = nested(body, NFGENMSG).get(ELEMENTS, b"")
    return [dict(nested(value)) for _, value, _ in attributes(elements, 0)]


def _intervals(found: list[tuple[bytes, bytes, Json, bool]], size: int) -> list[Element]:
    """An interval lies between an element and the next, which begins another one or only ends this one."""
    ordered = sorted(found, key=lambda each: (each[0], not each[3]))
    ends = [(number(first) - 1) % (1 << 8 * size) for first, *_ in ordered[1:]] + [(1 << 8 * size) - 1]
    return [
        (first, last.to_bytes(size, "big"), given)
        for (first, _, given, is_end), last in zip(ordered, ends, strict=True)
        if not is_end
    ]


def _bytes(data: bytes) -> bytes:
    return nested(data).get(1, b"")


def _data(data: bytes, kind: int | None) -> Json:
    """What a map gives: a verdict, or values of its data's type."""
    found = nested(data)
    if 2 in found:
        return verdict(found[2])
    words, at = [], 0
    for name in types_of(kind or 0):
        if name not in _KINDS:
            raise Undecoded("data of a map")
        words.append(_KINDS[name].write(found.get(1, b"")[at : at + _SIZES[name]]))
        at += _SIZES[name] + 3 & ~3
    return words[0] if len(words) == 1 else {"concat": words}


def _order(parts: tuple[Held, ...], key: bytes) -> tuple[int, bytes]:
    """Elements stand in the order of their keys."""
    return (parts[0].kind.number(key) if len(parts) == 1 else 0), key


def _key(parts: tuple[Held, ...], first: bytes, last: bytes) -> Json:
    words, at = [], 0
    for part in parts:
        end = at + part.size
        if part.kind is HOST and first != last:  # in network order there
            raise Undecoded("an interval of numbers in the host's order")
        words.append(_word(part.kind, first[at:end], last[at:end]))
        at += part.size + 3 & ~3
    return words[0] if len(words) == 1 else {"concat": words}


def _word(kind: DataType, first: bytes, last: bytes) -> Json:
    """One value, a prefix, or a range."""
    if first == last:
        return kind.write(first)
    low, high = number(first), number(last)
    free = (low ^ high).bit_length()
    if kind in (ADDRESS4, ADDRESS6) and low ^ high == (1 << free) - 1 and not low & (1 << free) - 1:
        return {"prefix": {"addr": kind.write(first), "len": 8 * len(first) - free}}
    return {"range": [kind.write(first), kind.write(last)]}
