"""The sets of ipset(8) that rules of iptables look into, as the kernel lists them.

ipset itself need not be installed. Source: net/netfilter/ipset/ip_set_core.c (ip_set_dump_do).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.linux.netlink import IPSET, Netlink, Record, Request
from netprobe.model import IpSet, IpSetEntry, Table

LIST = 6 << 8 | 7  # IPSET_CMD_LIST
PROTOCOL = 7  # IPSET_PROTOCOL
HEADERS = 1 << 2  # IPSET_FLAG_LIST_HEADER
NOMATCH = 1 << 2  # IPSET_FLAG_NOMATCH
PHYSDEV = 1 << 1  # IPSET_FLAG_PHYSDEV
FEW = 4096  # of a set with more entries none is read
FAMILIES = {2: 4, 10: 6}


def named_in(tables: Iterable[Table]) -> frozenset[str]:
    """The sets that rules look into."""
    return frozenset(
        statement.target
        for table in tables
        for rule in table.rules
        for statement in rule.statements
        if statement.kind == "ipset"
    )


def read_sets(names: frozenset[str]) -> tuple[IpSet, ...]:
    """These sets, and those that are members of them. Raises OSError."""
    if not names:
        return ()
    with Netlink(IPSET) as netlink:
        sizes = {found.name: size for found, size in _headers(netlink)}
        known: dict[str, IpSet] = {}
        waiting = [name for name in sorted(names) if name in sizes]
        while waiting:
            name = waiting.pop()
            if name not in known:
                known[name] = found = _set(netlink, name, sizes[name] <= FEW)
                waiting += [e.name for e in found.entries or () if e.name in sizes]
        return tuple(known.values())


def _headers(netlink: Netlink) -> Iterator[tuple[IpSet, int]]:
    for record in netlink.dump(_asked([("IPSET_ATTR_FLAGS", HEADERS)])):
        yield header_of(record), record.nest("IPSET_ATTR_DATA").get("IPSET_ATTR_ELEMENTS", 0)


def _asked(attributes: list[tuple[str, object]]) -> Request:
    return Request(LIST, attributes=[("IPSET_ATTR_PROTOCOL", PROTOCOL), *attributes])


def _set(netlink: Netlink, name: str, small: bool) -> IpSet:
    wanted: list[tuple[str, object]] = [("IPSET_ATTR_SETNAME", name)]
    if not small:
        wanted.append(("IPSET_ATTR_FLAGS", HEADERS))
    return set_of(netlink.dump(_asked(wanted)), small)


def header_of(record: Record) -> IpSet:
    """A set without its entries, from the first of its messages."""
    return IpSet(
        record.text("IPSET_ATTR_SETNAME"),
        record.text("IPSET_ATTR_TYPENAME"),
        FAMILIES.get(record.get("IPSET_ATTR_FAMILY", 0)),
        record.nest("IPSET_ATTR_DATA").get("IPSET_ATTR_NETMASK"),
    )


def set_of(records: Iterable[Record], whole: bool = True) -> IpSet:
    """A set from all of its messages, of which the first one alone has the header."""
    first, *further = records
    head = header_of(first)
    if not whole:
        return head
    entries = [
        entry_of(each) for record in (first, *further) for each in record.nest("IPSET_ATTR_ADT").nested()
    ]
    return IpSet(head.name, head.type, head.version, head.netmask, tuple(entries))


def entry_of(data: Record) -> IpSetEntry:
    """One entry."""
    low, protocol = data.get("IPSET_ATTR_PORT"), data.get("IPSET_ATTR_PROTO")
    flags = data.get("IPSET_ATTR_CADT_FLAGS", 0)
    return IpSetEntry(
        first=_network(data, ""),
        second=_network(data, "2"),
        ports=None if low is None else (low, data.get("IPSET_ATTR_PORT_TO", low)),
        protocol=protocol,
        mac=data.get("IPSET_ATTR_ETHER", b"").hex(":"),
        interface=data.text("IPSET_ATTR_IFACE"),
        mark=data.get("IPSET_ATTR_MARK"),
        name=data.text("IPSET_ATTR_NAME"),
        nomatch=bool(flags & NOMATCH),
        physdev=bool(flags & PHYSDEV),
    )


def _network(data: Record, which: str) -> str:
    """An address, prefix or range; "" where an entry has none."""
    address = _address(data.nest(f"IPSET_ATTR_IP{which}"))
    length, last = data.get(f"IPSET_ATTR_CIDR{which}"), _address(data.nest(f"IPSET_ATTR_IP{which}_TO"))
    if address and length is not None:
        return f"{address}/{length}"
    return f"{address}-{last}" if last else address


def _address(found: Record) -> str:
    return str(found.get("IPSET_ATTR_IPADDR_IPV4") or found.get("IPSET_ATTR_IPADDR_IPV6") or "")
