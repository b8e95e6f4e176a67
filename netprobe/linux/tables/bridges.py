"""What bridges know besides their forwarding entries: the VLANs of their ports, who listens to which group.

Numbers are those of include/uapi/linux/{rtnetlink,if_bridge}.h; words are bridge(8)'s.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from struct import Struct

from msgspec.structs import replace

from netprobe.linux.netlink import Netlink, Record, Request
from netprobe.linux.record import each_attribute
from netprobe.model import FdbEntry, Link, MulticastEntry, PortVlan

RTM_GETLINK, RTM_GETMDB = 18, 86
AF_BRIDGE = 7
RTEXT_FILTER_BRVLAN = 2
MDBA_MDB, MDBA_ROUTER, MDBA_MDB_ENTRY_INFO = 1, 2, 1
_BRIDGE = Struct("=4xI")  # struct br_port_msg: the bridge's ifindex
_MEMBER = Struct("=I2xH16sH")  # struct br_mdb_entry: the port's ifindex, the VLAN, the address, its protocol
_LONE = Struct("=H2xHHI2xH16sH")  # the same with two attribute headers before it: MDBA_MDB_ENTRY, *_INFO
_HEADER, NLA_TYPE_MASK = 4, 0x3FFF  # of an attribute
_PORT = Struct("=I")
_VLAN, VLAN_INFO = Struct("=HH"), 2  # struct bridge_vlan_info: flags and number; IFLA_BRIDGE_VLAN_INFO
VLAN_PVID, VLAN_UNTAGGED = 2, 4  # BRIDGE_VLAN_INFO_*


def with_vlans(netlink: Netlink, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The interfaces with the VLANs of bridges that filter them, and of their ports. Raises OSError."""
    filtering = {link.index for link in links if link.bridge is not None and link.bridge.vlan_filtering}
    if not filtering:
        return links
    asked = Request(RTM_GETLINK, {"family": AF_BRIDGE}, [("IFLA_EXT_MASK", RTEXT_FILTER_BRVLAN)])
    found = {record["index"]: vlans_of(record) for record in netlink.dump(asked)}
    return tuple(_with(link, found.get(link.index, ()), filtering) for link in links)


def _with(link: Link, vlans: tuple[PortVlan, ...], filtering: set[int]) -> Link:
    if link.index in filtering and link.bridge is not None:
        return replace(link, bridge=replace(link.bridge, vlans=vlans))
    if link.master in filtering and link.port is not None:
        return replace(link, port=replace(link.port, vlans=vlans))
    return link


def with_emptied(links: tuple[Link, ...], fdb: tuple[FdbEntry, ...]) -> tuple[Link, ...]:
    """The interfaces with the bridges whose FDB, of which all was read, has not one entry of their own: with
    each port the kernel makes one (br_add_if), and `bridge fdb flush` takes them along (br_fdb_flush).
    """
    own = {entry.master for entry in fdb if entry.local}
    emptied = {link.master for link in links} - own - {None}
    return tuple(map(partial(_emptied, emptied), links)) if emptied else links


def _emptied(emptied: set[int | None], link: Link) -> Link:
    if link.index in emptied and link.bridge is not None:
        return replace(link, bridge=replace(link.bridge, emptied=True))
    return link


def vlans_of(record: Record) -> tuple[PortVlan, ...]:
    """The VLANs of a port or of a bridge itself, from an RTM_NEWLINK message of family AF_BRIDGE."""
    return tuple(
        PortVlan(number, bool(flags & VLAN_PVID), bool(flags & VLAN_UNTAGGED))
        for kind, value in each_attribute(record.get("IFLA_AF_SPEC", b""), 0)
        if kind == VLAN_INFO and len(value) >= _VLAN.size
        for flags, number in [_VLAN.unpack_from(value)]
    )


def read_groups(netlink: Netlink, links: Sequence[Link]) -> tuple[MulticastEntry, ...]:
    """Who listens to which group, as bridges have heard that choose by it. Raises OSError.

    Of others nobody asks, and in a row of bridges each knows the groups of all, which makes their square.
    """
    if not any(link.bridge is not None and link.bridge.chooses for link in links):
        return ()
    bodies = netlink.bodies(Request(RTM_GETMDB, {"family": AF_BRIDGE}))
    return tuple(each for body in bodies for each in groups_of(body))


def groups_of(body: bytes) -> Iterator[MulticastEntry]:
    """The entries of one bridge, from what follows the header of an RTM_NEWMDB message; a port with a router
    is one without a group.

    By hand: bridges in a row know each the groups of all, and decoding one took 30 us.
    """
    if len(body) < _BRIDGE.size:
        return
    (bridge,) = _BRIDGE.unpack_from(body)
    for kind, value in each_attribute(body, _BRIDGE.size):
        if kind == MDBA_MDB:
            yield from _members(bridge, value)
        elif kind == MDBA_ROUTER:
            ports = (port for _, port in each_attribute(value, 0) if len(port) >= _PORT.size)
            yield from (MulticastEntry(bridge, *_PORT.unpack_from(port)) for port in ports)


def _members(bridge: int, entries: bytes) -> Iterator[MulticastEntry]:
    """The entries in an MDBA_MDB: mostly one port each, which one struct takes out of both attributes that
    are around it.
    """
    at, unpack = 0, _LONE.unpack_from
    while at + _LONE.size <= len(entries):
        length, inner, kind, port, vlan, address, protocol = unpack(entries, at)
        if length < _HEADER or at + length > len(entries):
            return
        if kind & NLA_TYPE_MASK == MDBA_MDB_ENTRY_INFO and _LONE.size - _HEADER <= inner == length - _HEADER:
            yield MulticastEntry(bridge, port, _group(address, protocol), vlan)
        else:
            for what, info in each_attribute(entries[at + _HEADER : at + length], 0):
                if what == MDBA_MDB_ENTRY_INFO and len(info) >= _MEMBER.size:
                    yield _member(bridge, info)
        at += length + 3 & ~3


def _member(bridge: int, info: bytes) -> MulticastEntry:
    port, vlan, address, protocol = _MEMBER.unpack_from(info)
    return MulticastEntry(bridge, port, _group(address, protocol), vlan)


@lru_cache(maxsize=4096)  # all bridges in a row know the same
def _group(address: bytes, protocol: int) -> str:
    """The group of a struct br_mdb_entry, its protocol in network order: an address, or a MAC where it is of
    neither IP version.
    """
    match socket.ntohs(protocol):
        case 0x0800:  # ETH_P_IP
            return socket.inet_ntop(socket.AF_INET, address[:4])
        case 0x86DD:  # ETH_P_IPV6
            return socket.inet_ntop(socket.AF_INET6, address)
    return address[:6].hex(":")
