"""nf_tables as the kernel itself lists it: which tables, chains and rules there are, how large the sets are,
who is in them.

What the rules mean is left to the tools that print them; this is what they do not tell, or tell slowly.
Source: include/uapi/linux/netfilter/nf_tables.h, nfnetlink.h; net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import methodcaller
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netprobe.linux.netlink import NETFILTER, Netlink, Record, Request, text
from netprobe.rules.read.nft_json import KernelChain

_SUBSYSTEM = 10 << 8
GET_TABLE, GET_CHAIN, GET_RULE, GET_SET, GET_ELEMENTS = (_SUBSYSTEM | n for n in (1, 4, 7, 10, 13))
GET_GENERATION = _SUBSYSTEM | 16
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}
_IP_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
HOOKS = {"arp": ("input", "output", "forward"), "netdev": ("ingress", "egress")}
ANONYMOUS = 0x1
DORMANT = 0x1
OWNER = 0x2
DROP = 0
NFGENMSG = 4  # bytes of a struct nfgenmsg, which begins with the family
NLATTR, NLA_TYPE_MASK = struct.Struct("=HH"), 0x3FFF
RULE_TABLE, RULE_CHAIN, RULE_HANDLE = 1, 2, 3  # NFTA_RULE_*
CHAIN_TABLE, CHAIN_HOOK, CHAIN_USE = 1, 4, 6  # NFTA_CHAIN_*
_USE = NLATTR.pack(NLATTR.size + 4, CHAIN_USE)
_HOOK, _NESTED_HOOK = (struct.pack("=H", CHAIN_HOOK | flag) for flag in (0, 1 << 15))  # NLA_F_NESTED
_HANDLE = NLATTR.pack(NLATTR.size + 8, RULE_HANDLE)
SET_FLAGS = 3  # NFTA_SET_FLAGS
_AT_ONCE = 256  # chains of a table with ten thousands, that are looked through for a hook together
MOST_USES = 2000  # rules and jumps of a table that is read whole: some 1,100 rules, 0.15 s
COUNTER, MATCH, TARGET = (  # the names of expressions, as attributes NFTA_EXPR_NAME
    NLATTR.pack(NLATTR.size + len(name), 1) + name for name in (b"counter\0", b"match\0", b"target\0")
)
TABLE, SET, ELEMENTS = "NFTA_SET_ELEM_LIST_TABLE", "NFTA_SET_ELEM_LIST_SET", "NFTA_SET_ELEM_LIST_ELEMENTS"


class KernelRule(Struct, frozen=True, gc=False):
    """A rule's handle, and what tells who made it: `xtables` that it is as these tools write it, with a
    counter or an expression of theirs.
    """

    family: str
    table: str
    chain: str
    handle: int
    xtables: bool


class KernelSet(Struct, frozen=True, gc=False):
    """A named set."""

    family: str
    table: str
    name: str
    flags: int
    count: int | None


class Inventory(Struct, frozen=True):
    """All tables (family, name), chains, rules and named sets of nf_tables in one namespace.

    `dormant`: those of the tables whose chains hang at no hook; `owned`: those that only the program that
    made them can change. `large`: those with more rules than are read at once; of their chains those are here
    that hang at a hook.
    """

    tables: tuple[tuple[str, str], ...]
    chains: tuple[KernelChain, ...] = ()
    rules: tuple[KernelRule, ...] = ()
    sets: tuple[KernelSet, ...] = ()
    dormant: frozenset[tuple[str, str]] = frozenset()
    owned: frozenset[tuple[str, str]] = frozenset()
    large: frozenset[tuple[str, str]] = frozenset()


def outline(netlink: Nfnetlink) -> Inventory:
    """What nf_tables holds, but for the rules. Raises OSError (EPERM without CAP_NET_ADMIN)."""
    listed = tuple(netlink.listed(GET_TABLE))
    tables = tuple((family, found.text("NFTA_TABLE_NAME")) for family, found in listed)
    if not tables:
        return Inventory(())
    large: set[tuple[str, str]] = set()
    chains = netlink.sifted(Request(GET_CHAIN), lambda bodies: _of_small(bodies, large))
    return Inventory(
        tables,
        tuple(_chain(_family(found), found) for found in chains),
        sets=tuple(_set(_family(found), found) for found in netlink.sifted(Request(GET_SET), _named)),
        dormant=frozenset(_flagged(listed, DORMANT)),
        owned=frozenset(_flagged(listed, OWNER)),
        large=frozenset(large),
    )


def _flagged(listed: Iterable[tuple[str, Record]], flag: int) -> Iterator[tuple[str, str]]:
    """The tables that have a flag (NFTA_TABLE_FLAGS)."""
    for family, found in listed:
        if found.get("NFTA_TABLE_FLAGS", 0) & flag:
            yield family, found.text("NFTA_TABLE_NAME")


def _of_small(bodies: Sequence[bytes], large: set[tuple[str, str]]) -> Iterator[int]:
    """The chains of tables that are not `large`, which this fills, and all base chains: a host has tens of
    thousands of others.
    """
    uses: Counter[tuple[int, bytes]] = Counter()
    seen: list[tuple[int, tuple[int, bytes], bool]] = []
    for at in range(0, len(bodies), _AT_ONCE):
        some = bodies[at : at + _AT_ONCE]
        if seen and uses[seen[-1][1]] > MOST_USES and _are_like(some, bodies[seen[-1][0]]):
            continue
        for number, (key, use, based) in enumerate(_heads(some), at):
            uses[key] += use
            seen.append((number, key, based))
    much = {key for key, count in uses.items() if count > MOST_USES}
    large |= {(FAMILIES.get(family, str(family)), text(name.rstrip(b"\0"))) for family, name in much}
    return (at for at, key, based in seen if key not in much or based)


def _are_like(bodies: Sequence[bytes], known: bytes) -> bool:
    """Whether all of them are chains of the table of a known one, and hang at no hook: they begin with the
    same table, and nowhere in them is what a hook would be told by.
    """
    start = _start(known, _head(known)[0][1])
    together = b"".join(bodies)
    hooked = _HOOK in together or _NESTED_HOOK in together
    return bool(start) and not hooked and all(map(methodcaller("startswith", start), bodies))


def _heads(bodies: Iterable[bytes]) -> Iterator[tuple[tuple[int, bytes], int, bool]]:
    """`_head` of many chains. Most are of the table of the one before, and hang at no hook: these end with
    their number, and nowhere in them is what a hook would be told by.
    """
    start, key = b"", (0, b"")
    for body in bodies:
        is_like = start and body.startswith(start) and body[-8:-4] == _USE
        if is_like and _HOOK not in body and _NESTED_HOOK not in body:
            yield key, int.from_bytes(body[-4:], "big"), False
        else:
            found = _head(body)
            key = found[0]
            start = _start(body, key[1])
            yield found


def _start(body: bytes, table: bytes) -> bytes:
    """What a chain begins with, up to the name of its table; nothing where that is not what it says first."""
    first = len(body) >= NFGENMSG + NLATTR.size and NLATTR.unpack_from(body, NFGENMSG)[1] == CHAIN_TABLE
    return body[: NFGENMSG + (NLATTR.size + len(table) + 3 & ~3)] if first else b""


def _head(body: bytes) -> tuple[tuple[int, bytes], int, bool]:
    """Of a chain its table (the family's number and the name), how many rules and jumps it has, and whether
    it hangs at a hook.
    """
    name, use, based, at = b"", 0, False, NFGENMSG
    while at + NLATTR.size <= len(body):
        length, kind = NLATTR.unpack_from(body, at)
        if length < NLATTR.size:
            break
        kind &= NLA_TYPE_MASK
        if kind == CHAIN_TABLE:
            name = body[at + NLATTR.size : at + length]
        elif kind == CHAIN_USE:
            use = int.from_bytes(body[at + NLATTR.size : at + length], "big")
        elif kind == CHAIN_HOOK:
            based = True
        at += length + 3 & ~3
    return (body[0], name), use, based


def _named(bodies: Sequence[bytes]) -> Iterator[int]:
    """The sets that have a name; a verdict map in a rule is one as well, without."""
    return (at for at, body in enumerate(bodies) if not _flags(body) & ANONYMOUS)


def _flags(body: bytes) -> int:
    """Those of a set: of `attributes` the one, for a host has tens of thousands."""
    at, size, unpack = NFGENMSG, len(body), NLATTR.unpack_from
    while at + 4 <= size:
        length, kind = unpack(body, at)
        if not 4 <= length <= size - at:
            break
        if kind & NLA_TYPE_MASK == SET_FLAGS:
            return int.from_bytes(body[at + 4 : at + length], "big")
        at += length + 3 & ~3
    return 0


def _family(record: Record) -> str:
    number = record["nfgen_family"]
    return FAMILIES.get(number, str(number))


def with_rules(netlink: Nfnetlink, found: Inventory) -> Inventory:
    """`found` with the rules; of large tables with those of the base chains. Raises OSError."""
    if not found.large:
        bodies = netlink.bodies(Request(GET_RULE)) if found.tables else []
        return replace(found, rules=tuple(rules_of(bodies)))
    wanted: list[tuple[str, ...]] = [key for key in found.tables if key not in found.large]
    based = [(each.family, each.table, each.name) for each in found.chains if each.hook is not None]
    wanted += [place for place in based if place[:2] in found.large]
    return replace(
        found,
        rules=tuple(rule for place in wanted for rule in rules_of(netlink.bodies(_rules_request(*place)))),
    )


class Nfnetlink(Netlink):
    """A netlink socket to netfilter, in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        super().__init__(NETFILTER)

    def __enter__(self) -> Nfnetlink:
        return self

    def listed(self, kind: int) -> Iterator[tuple[str, Record]]:
        """All objects of a kind, each with its family."""
        for record in self.dump(Request(kind)):
            yield _family(record), record

    def rules(self, family: str, table: str, chain: str) -> list[bytes]:
        """The rules of one chain, as `rules_of` and `decode` take them apart.

        Raises OSError, FileNotFoundError where there is no such chain.
        """
        found = self.bodies(_rules_request(family, table, chain))
        if not found:  # of what is not there the kernel lists no rules
            self.ask(_request(GET_CHAIN, family, NFTA_CHAIN_TABLE=table, NFTA_CHAIN_NAME=chain))
        return found

    def set(self, family: str, table: str, name: str) -> Record:
        """The definition of a set (NFTA_SET_*). Raises OSError."""
        return self.ask(_request(GET_SET, family, NFTA_SET_TABLE=table, NFTA_SET_NAME=name))

    def elements(self, family: str, table: str, name: str) -> list[bytes]:
        """The elements of a set, as the bodies of the messages that list them. Raises OSError."""
        return self.bodies(_elements_request(family, table, name))

    def few(self, family: str, table: str, name: str, most: int) -> bool:
        """Whether a set has at most `most` elements; of a larger one only the first part is looked at."""
        return (
            self.count(
                _elements_request(family, table, name), lambda record: len(record.array(ELEMENTS)), most
            )
            <= most
        )

    def element(self, family: str, table: str, name: str, key: bytes) -> Record | None:
        """The element that holds `key` (NFTA_SET_ELEM_*), None when there is none. Raises OSError."""
        wanted = {"attrs": [("NFTA_SET_ELEM_KEY", {"attrs": [("NFTA_DATA_VALUE", key)]})]}
        try:
            answer = self.ask(_elements_request(family, table, name, (ELEMENTS, [wanted])))
        except FileNotFoundError:
            return None
        return next(iter(answer.array(ELEMENTS)), None)


def _rules_request(family: str, table: str, chain: str | None = None) -> Request:
    """A dump of the rules of one table, or one chain."""
    more = {"NFTA_RULE_CHAIN": chain} if chain is not None else {}
    return _request(GET_RULE, family, NFTA_RULE_TABLE=table, **more)


def _request(kind: int, family: str, **names: str) -> Request:
    """What is asked about a thing with these names."""
    encoded = [(name, value.encode("utf-8", "surrogateescape")) for name, value in names.items()]
    return Request(kind, {"nfgen_family": NUMBERS[family]}, encoded)


def _elements_request(family: str, table: str, name: str, *wanted: tuple[str, Any]) -> Request:
    names = [
        (TABLE, table.encode("utf-8", "surrogateescape")),
        (SET, name.encode("utf-8", "surrogateescape")),
    ]
    return Request(GET_ELEMENTS, {"nfgen_family": NUMBERS[family]}, [*names, *wanted])


def _chain(family: str, found: Record) -> KernelChain:
    hook = found.nest("NFTA_CHAIN_HOOK")
    devices = hook.nest("NFTA_HOOK_DEVS").texts() or (
        [hook.text("NFTA_HOOK_DEV")] if "NFTA_HOOK_DEV" in hook else []
    )
    names = HOOKS.get(family, _IP_HOOKS)
    return KernelChain(
        family,
        found.text("NFTA_CHAIN_TABLE"),
        found.text("NFTA_CHAIN_NAME"),
        names[hook.get("NFTA_HOOK_HOOKNUM")] if "NFTA_HOOK_HOOKNUM" in hook else None,
        hook.get("NFTA_HOOK_PRIORITY", 0),
        "drop" if found.get("NFTA_CHAIN_POLICY") == DROP else "accept",
        found.text("NFTA_CHAIN_TYPE") or "filter",
        tuple(devices),
        found.get("NFTA_CHAIN_HANDLE", 0),
    )


def rules_of(bodies: Iterable[bytes]) -> Iterator[KernelRule]:
    """Rules from the bodies of their messages: a struct nfgenmsg, then attributes.

    A host has thousands, and of each little is asked: so they are taken apart here. All of a chain begin with
    the same bytes.
    """
    head, at, place = b"", 0, ("", "", "")
    for body in bodies:
        if not (place[2] and body.startswith(head)):
            head, place = _place(body)
            at = len(head)
            begin, end = at + len(_HANDLE), at + len(_HANDLE) + 8
        handle = int.from_bytes(body[begin:end], "big") if body.startswith(_HANDLE, at) else _handle(body, at)
        yield KernelRule(*place, handle, COUNTER in body or MATCH in body or TARGET in body)


def _handle(body: bytes, at: int) -> int:
    """The handle of a rule, wherever it stands behind its place; 0 without one."""
    found = (value for kind, value, _ in attributes(body, at) if kind == RULE_HANDLE)
    return int.from_bytes(next(found, b""), "big")


def _place(body: bytes) -> tuple[bytes, tuple[str, str, str]]:
    """What a rule begins with, and the (family, table, chain) that it says."""
    names = {RULE_TABLE: "", RULE_CHAIN: ""}
    end = NFGENMSG
    for kind, value, after in attributes(body, NFGENMSG):
        if kind not in names:
            break
        names[kind], end = text(value.rstrip(b"\0")), after
    return body[:end], (FAMILIES.get(body[0], str(body[0])), names[RULE_TABLE], names[RULE_CHAIN])


def attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """The attributes from an offset on: type, value, and where the next begins.

    A length that cannot be true ends them.
    """
    while at + NLATTR.size <= len(body):
        length, kind = NLATTR.unpack_from(body, at)
        if not NLATTR.size <= length <= len(body) - at:
            return
        after = at + (length + 3 & ~3)
        yield kind & NLA_TYPE_MASK, body[at + NLATTR.size : at + length], after
        at = after


def _set(family: str, found: Record) -> KernelSet:
    count = found.get("NFTA_SET_COUNT")  # Linux 6.16
    return KernelSet(
        family,
        found.text("NFTA_SET_TABLE"),
        found.text("NFTA_SET_NAME"),
        found.get("NFTA_SET_FLAGS", 0),
        count,
    )
