"""Neighbours (ARP, ND, proxy entries) and bridge forwarding entries: RTM_GETNEIGH in its two meanings; how
full the kernel's tables of neighbours are.

Numbers are those of include/uapi/linux/neighbour.h; words are ip-neighbour(8)'s and bridge(8)'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from struct import Struct, pack

from msgspec.structs import replace

from netprobe.linux.alike import AlikeMessages
from netprobe.linux.netlink import Netlink, Record, Request, address, attributes
from netprobe.model import FdbEntry, FdbQuery, InterfaceAddress, Link, Neighbour

from . import sysctl

RTM_GETNEIGH, RTM_GETNEIGHTBL = 30, 66
AF_UNSPEC, AF_INET, AF_BRIDGE, AF_INET6 = 0, 2, 7, 10
_OF_IP = (bytes((AF_INET,)), bytes((AF_INET6,)))  # how their messages begin
NTF_SELF, NTF_PROXY, NTF_STICKY, NTF_ROUTER = 0x02, 0x08, 0x40, 0x80
STATES = {
    0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed",
    0x40: "noarp", 0x80: "permanent",
}  # fmt: skip
# VXLAN sets two at once: the first one counts, as for bridge(8)
FDB_STATES = {0x80: "permanent", 0x40: "static", 0x04: "stale"}
NUD_PERMANENT = 0x80
_HEADER, _NEIGHBOUR = 12, Struct("=4xiHBx")  # struct ndmsg
NDA_DST, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES = 1, 2, 3, 4
_NDM_FLAGS, _MAC, _FILTER = (
    10,
    16,
    24,
)  # in a struct ndmsg, of the first attribute behind it; of that with one
MOST_ENTRIES = 1000  # of bridges that are read, 5 us each; where there are more, those that are needed
MOST_ASKING = 100  # interfaces whose settings of neighbours are read, 5 us each
MOST_ASKERS = 16  # of more interfaces those whose settings are read all the same, 30 us each
TABLES = {AF_INET: "arp_cache", AF_INET6: "ndisc_cache"}
NDTA_THRESH3, NDTA_CONFIG, NDTA_STATS = 4, 5, 7
NDTA_PARMS, NDTPA_IFINDEX, NDTPA_APP_PROBES, NDTPA_MCAST_PROBES = 6, 1, 9, 11
_TABLE_HEADER, _NUMBER = 4, Struct("=I")  # of a struct ndtmsg; an attribute that is a number
_USUAL_MCAST_PROBES = pack("=HHI", 8, NDTPA_MCAST_PROBES, 3)  # as an attribute
_CONFIG = Struct("=HHI")  # struct ndt_config: the sizes of keys and entries, how many entries
_STATS = Struct("=80xQ")  # struct ndt_stats: table_fulls, the last of eleven


def read_neighbours(netlink: Netlink) -> tuple[Neighbour, ...]:
    """ARP and ND entries of this namespace, then the addresses it answers for others (proxy entries)."""
    found = []
    for flags in (0, NTF_PROXY):
        bodies = netlink.bodies(Request(RTM_GETNEIGH, {"flags": flags}))
        found += [neighbour_of(body) for body in bodies if body[:1] in _OF_IP]
    return tuple(found)


def neighbour_of(body: bytes) -> Neighbour:
    """One neighbour, from what follows the header of an RTM_NEWNEIGH message. By hand: a host may have
    thousands.
    """
    known, (own, mac, *_) = _of_all.of(body)
    return replace(known, address=address(own) if own is not None else "", mac=mac.hex(":") if mac else None)


def _alike_of(body: bytes) -> Neighbour:
    """What a neighbour has in common with others: all but its addresses."""
    index, state, flags = _NEIGHBOUR.unpack_from(body)
    word = STATES.get(state, "none")
    return Neighbour(index, "", None, word, proxy=bool(flags & NTF_PROXY), router=bool(flags & NTF_ROUTER))


# when an entry was used, and how often it was asked for, is not looked at
_of_all = AlikeMessages(_alike_of, _HEADER, NDA_DST, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES)


def read_fdb(netlink: Netlink, links: Iterable[Link]) -> tuple[tuple[FdbEntry, ...], bool]:
    """The forwarding entries of all bridges, and those that VXLAN and other devices keep themselves; and
    whether they are all. Of very many those of VXLAN devices alone: a frame is for one MAC address.
    """
    records = netlink.at_most(Request(RTM_GETNEIGH, {"family": AF_BRIDGE}), MOST_ENTRIES, _leads_somewhere)
    if records is not None:
        return tuple(map(fdb_entry_of, records)), True
    return read_vxlan_fdb(links), False


def read_vxlan_fdb(links: Iterable[Link]) -> tuple[FdbEntry, ...]:
    """The forwarding entries that VXLAN devices of this namespace keep themselves: where their frames go."""
    found = []
    with Netlink(strict=True) as strict:
        for link in links:
            if link.kind == "vxlan":
                found += strict.dump(Request(RTM_GETNEIGH, {"family": AF_BRIDGE, "ifindex": link.index}))
    entries = map(fdb_entry_of, found)
    return tuple(each for each in entries if each.master is None)


def _leads_somewhere(body: bytes) -> bool:
    """Whether an entry is more than a multicast filter of a device, which each has some of and which comes
    with its addresses (ndo_dflt_fdb_dump): it has a MAC address alone.
    """
    return len(body) != _FILTER or not body[_NDM_FLAGS] & NTF_SELF or not body[_MAC] & 1


def find_entries(netlink: Netlink, queries: Sequence[FdbQuery]) -> tuple[FdbEntry, ...]:
    """The entries that bridges have for these queries (rtnl_fdb_get). Raises OSError."""
    asked = [(query, vlan) for query in queries for vlan in dict.fromkeys((0, query.vlan or 0))]
    answers = netlink.ask_all([_question(query, vlan) for query, vlan in asked])
    return tuple(fdb_entry_of(answer) for answer in answers if answer is not None)


def _question(query: FdbQuery, vlan: int) -> Request:
    attributes = [("NDA_LLADDR", bytes.fromhex(query.mac.replace(":", ""))), ("NDA_MASTER", query.bridge)]
    if vlan:
        attributes.append(("NDA_VLAN", vlan))
    return Request(RTM_GETNEIGH, {"family": AF_BRIDGE}, attributes)


def fdb_entry_of(record: Record) -> FdbEntry:
    """One forwarding entry from an RTM_NEWNEIGH message of family AF_BRIDGE.

    `master` is the bridge whose table holds the entry, None for a table of the device itself (VXLAN,
    multicast filters). `local`: the bridge keeps such a frame for itself (BR_FDB_LOCAL, shown as
    "permanent").
    """
    state, flags = record["state"], record["flags"]
    master = None if flags & NTF_SELF else record.get("NDA_MASTER") or None
    return FdbEntry(
        index=record["ifindex"],
        mac=record.get("NDA_LLADDR", b"").hex(":"),
        master=master,
        vlan=record.get("NDA_VLAN"),
        state=next((word for bit, word in FDB_STATES.items() if state & bit), "reachable"),
        local=bool(state & NUD_PERMANENT) and master is not None,
        sticky=bool(flags & NTF_STICKY),
        remote=record.get("NDA_DST"),
        vni=record.get("NDA_VNI"),
        port=record.get("NDA_PORT"),
        via=record.get("NDA_IFINDEX"),
    )


def read_asking(netlink: Netlink, links: Sequence[Link]) -> tuple[dict[str, str] | None, dict[str, int]]:
    """How often the interfaces ask for a neighbour, and how full the kernel's tables of neighbours are, which
    one dump tells: the kernel goes through the interfaces of all namespaces for it. Raises OSError.

    The first as sysctls, of those alone that do not ask everybody three times:
    `net.ipv4.neigh.eth0.mcast_solicit`, and `app_solicit`; None of very many. The second as of `fill_of`,
    each behind the name of its table.
    """
    if len(links) > MOST_ASKING:  # the tables alone, behind which come the settings of all devices
        ofs = (Request(RTM_GETNEIGHTBL, {"family": family}) for family in TABLES)
        return None, _fill(body for each in ofs for body in netlink.first_bodies(each, 1))
    names = {link.index: link.key for link in links}
    bodies = netlink.bodies(Request(RTM_GETNEIGHTBL, {"family": AF_UNSPEC}))
    found: dict[str, str] = {}
    for body in bodies:
        found |= asking_of(body, names)
    return found, _fill(bodies)


def askers(links: Iterable[Link], addresses: Iterable[InterfaceAddress]) -> tuple[str, ...]:
    """Below which names the settings stand of those that ask, of very many interfaces: of the first that have
    an address.
    """
    known = {link.index: link.key for link in links}
    own = dict.fromkeys(each.index for each in addresses if each.index in known)
    return tuple(f"net.ipv{v}.neigh.{known[index]}" for index in islice(own, MOST_ASKERS) for v in (4, 6))


def find_asking(stems: Iterable[str]) -> dict[str, str]:
    """The same of the interfaces whose settings stand below these names, whatever they are."""
    return sysctl.read(f"{stem}.{each}" for stem in stems for each in ("mcast_solicit", "app_solicit"))


def asking_of(body: bytes, names: Mapping[int, str]) -> dict[str, str]:
    """The same of one interface, from what follows the header of an RTM_NEWNEIGHTBL message."""
    if _USUAL_MCAST_PROBES in body:
        return {}
    settings = attributes(attributes(body, _TABLE_HEADER).get(NDTA_PARMS, b""), 0)
    index, app, everybody = (
        _NUMBER.unpack(settings.get(each, bytes(_NUMBER.size)))[0]
        for each in (NDTPA_IFINDEX, NDTPA_APP_PROBES, NDTPA_MCAST_PROBES)
    )
    if index not in names or NDTPA_MCAST_PROBES not in settings:
        return {}
    stem = f"net.ipv{4 if body[0] == AF_INET else 6}.neigh.{names[index]}"
    return {f"{stem}.mcast_solicit": str(everybody), f"{stem}.app_solicit": str(app)}


def _fill(bodies: Iterable[bytes]) -> dict[str, int]:
    """`arp_cache.entries`, `.gc_thresh3` and `.table_fulls`, and the same of `ndisc_cache`, from what a dump
    tells: of each family first the table. It is the kernel's, for all namespaces together.
    """
    tables: dict[int, bytes] = {}
    for body in bodies:
        tables.setdefault(body[0], body)
    known = ((name, tables.get(family, b"")) for family, name in TABLES.items())
    return {f"{name}.{what}": number for name, body in known for what, number in fill_of(body).items()}


def fill_of(body: bytes) -> dict[str, int]:
    """How many entries a table has, with how many it is full, and how often one was refused, from what
    follows the header of an RTM_NEWNEIGHTBL message; nothing from one that tells no such thing.
    """
    told = attributes(body, _TABLE_HEADER)
    config, stats = told.get(NDTA_CONFIG, b""), told.get(NDTA_STATS, b"")
    if len(config) < _CONFIG.size or len(stats) < _STATS.size:
        return {}
    *_, entries = _CONFIG.unpack_from(config)
    (refused,) = _STATS.unpack_from(stats)
    (full,) = _NUMBER.unpack(told.get(NDTA_THRESH3, bytes(_NUMBER.size)))
    return {"entries": entries, "gc_thresh3": full, "table_fulls": refused}
