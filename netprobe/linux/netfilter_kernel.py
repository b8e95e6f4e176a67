"""nf_tables as the kernel itself lists it: which tables, chains and rules there are, how large the sets are, who is in them.

What the rules mean is left to the tools that print them; this is what they do not tell, or tell slowly.
Source: include/uapi/linux/netfilter/nf_tables.h, nfnetlink.h; net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .netlink import NLMSG_DONE, NLMSG_ERROR, Netlink, attribute, attributes, each_attribute, text

NETFILTER = 12
_SUBSYSTEM = 10 << 8
GET_TABLE, GET_CHAIN, GET_RULE, GET_SET, GET_ELEMENTS = (_SUBSYSTEM | n for n in (1, 4, 7, 10, 13))
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}
_IP_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
HOOKS = {"arp": ("input", "output", "forward"), "netdev": ("ingress", "egress")}
_HEADER = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_BE32, _SIGNED = struct.Struct(">I"), struct.Struct(">i")
ANONYMOUS = 0x1
DROP = 0


@dataclass(frozen=True, slots=True)
class KernelChain:
    """A chain: its base hook, priority, policy and devices, if it has one."""

    family: str
    table: str
    name: str
    hook: str | None
    priority: int
    policy: str
    type: str
    devices: tuple[str, ...]
    handle: int


@dataclass(frozen=True, slots=True)
class KernelRule:
    """A rule's handle, and what tells who made it: `counted` it holds a counter, `compat` an expression of iptables."""

    family: str
    table: str
    chain: str
    handle: int
    counted: bool
    compat: bool


@dataclass(frozen=True, slots=True)
class KernelSet:
    """A named set."""

    family: str
    table: str
    name: str
    flags: int
    count: int | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All tables (family, name), chains, rules and named sets of nf_tables in one namespace."""

    tables: tuple[tuple[str, str], ...]
    chains: tuple[KernelChain, ...] = ()
    rules: tuple[KernelRule, ...] = ()
    sets: tuple[KernelSet, ...] = ()


def inventory(netlink: Nfnetlink) -> Inventory:
    """What nf_tables holds. Raises OSError (EPERM without CAP_NET_ADMIN)."""
    tables = tuple((family, text(found[1])) for family, found in netlink.listed(GET_TABLE))
    if not tables:
        return Inventory(())
    return Inventory(
        tables,
        tuple(_chain(family, found) for family, found in netlink.listed(GET_CHAIN)),
        tuple(_rule(family, found) for family, found in netlink.listed(GET_RULE)),
        tuple(_set(family, found) for family, found in netlink.listed(GET_SET) if not _number(found.get(3)) & ANONYMOUS),
    )


class Nfnetlink(Netlink):
    """A netlink socket to netfilter, in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        super().__init__(NETFILTER)

    def __enter__(self) -> Nfnetlink:
        return self

    def listed(self, kind: int) -> Iterator[tuple[str, dict[int, bytes]]]:
        """All objects of a kind, as (family, attributes)."""
        for _, payload in self.dump(kind, _HEADER.pack(0, 0, 0)):
            yield FAMILIES.get(payload[0], str(payload[0])), attributes(payload, 4)

    def few(self, family: str, table: str, name: str, most: int) -> bool:
        """Whether a set has at most `most` elements; of a larger one only the first part is looked at."""
        self._send([(GET_ELEMENTS, _elements_request(family, table, name))], 0x300)
        count = 0
        while True:
            for kind, _, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return count <= most
                count += sum(1 for _ in each_attribute(attributes(payload, 4).get(3, b"")))
            if count > most:
                return False

    def element(self, family: str, table: str, name: str, key: bytes) -> dict[int, bytes] | None:
        """The element that holds `key` (attributes of NFTA_SET_ELEM_*), None when there is none. Raises OSError."""
        wanted = attribute(3 | 0x8000, attribute(1 | 0x8000, attribute(1 | 0x8000, attribute(1, key))))
        [answer] = self.ask([(GET_ELEMENTS, _elements_request(family, table, name) + wanted)])
        if isinstance(answer, FileNotFoundError):
            return None
        if isinstance(answer, OSError):
            raise answer
        for _, element in each_attribute(attributes(answer, 4).get(3, b"")):
            return attributes(element)
        return None


def _elements_request(family: str, table: str, name: str) -> bytes:
    return (
        _HEADER.pack(NUMBERS[family], 0, 0)
        + attribute(1, table.encode("utf-8", "surrogateescape") + b"\0")
        + attribute(2, name.encode("utf-8", "surrogateescape") + b"\0")
    )


def _number(value: bytes | None) -> int:
    """An unsigned integer in network order; 0 for an absent attribute."""
    return int.from_bytes(value or b"", "big")


def _chain(family: str, found: dict[int, bytes]) -> KernelChain:
    hook = attributes(found.get(4, b""))
    devices = [text(name) for _, name in each_attribute(hook.get(4, b""))] or ([text(hook[3])] if 3 in hook else [])
    names = HOOKS.get(family, _IP_HOOKS)
    return KernelChain(
        family,
        text(found.get(1)),
        text(found.get(3)),
        names[_number(hook[1])] if 1 in hook else None,
        _SIGNED.unpack(hook[2])[0] if 2 in hook else 0,
        "drop" if 5 in found and _number(found[5]) == DROP else "accept",
        text(found.get(7)) or "filter",
        tuple(devices),
        _number(found.get(2)),
    )


def _rule(family: str, found: dict[int, bytes]) -> KernelRule:
    expressions = found.get(4, b"")
    compat = b"\x00match\x00" in expressions or b"\x00target\x00" in expressions
    return KernelRule(
        family, text(found.get(1)), text(found.get(2)), _number(found.get(3)), b"\x00counter\x00" in expressions, compat or 5 in found
    )


def _set(family: str, found: dict[int, bytes]) -> KernelSet:
    count = _number(found[20]) if 20 in found else None  # NFTA_SET_COUNT, Linux 6.16
    return KernelSet(family, text(found.get(1)), text(found.get(2)), _number(found.get(3)), count)
