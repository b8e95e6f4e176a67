"""Neighbours (ARP, ND, proxy entries) and bridge forwarding entries: RTM_GETNEIGH in its two meanings.

Numbers are those of include/uapi/linux/neighbour.h; words are ip-neighbour(8)'s and bridge(8)'s.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from netprobe.model import FdbEntry, Neighbour

from .netlink import Netlink, address, attributes, number

RTM_GETNEIGH = 30
AF_INET, AF_BRIDGE, AF_INET6 = 2, 7, 10
NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_VNI, NDA_MASTER = 1, 2, 5, 7, 9
NTF_SELF, NTF_PROXY, NTF_STICKY, NTF_ROUTER = 0x02, 0x08, 0x40, 0x80
STATES = {
    0x01: "incomplete", 0x02: "reachable", 0x04: "stale", 0x08: "delay", 0x10: "probe", 0x20: "failed", 0x40: "noarp", 0x80: "permanent",
}  # fmt: skip
FDB_STATES = {0x80: "permanent", 0x40: "static", 0x04: "stale"}  # VXLAN sets two at once: the first one counts, as for bridge(8)
NUD_PERMANENT = 0x80

_NDMSG = struct.Struct("=BxxxiHBB")


def read_neighbours(netlink: Netlink) -> tuple[Neighbour, ...]:
    """ARP and ND entries of this namespace, then the addresses it answers for others (proxy entries)."""
    found = []
    for flags in (0, NTF_PROXY):
        for _, payload in netlink.dump(RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, flags, 0)):
            if payload[0] in (AF_INET, AF_INET6):
                found.append(neighbour_of(payload))
    return tuple(found)


def neighbour_of(payload: bytes) -> Neighbour:
    """One neighbour from the payload of an RTM_NEWNEIGH message."""
    _, index, state, flags, _ = _NDMSG.unpack_from(payload)
    fields = attributes(payload, _NDMSG.size)
    mac = fields.get(NDA_LLADDR)
    return Neighbour(
        index=index,
        address=address(fields.get(NDA_DST, b"")),
        mac=mac.hex(":") if mac else None,
        state=STATES.get(state, "none"),
        proxy=bool(flags & NTF_PROXY),
        router=bool(flags & NTF_ROUTER),
    )


def read_fdb(netlink: Netlink) -> tuple[FdbEntry, ...]:
    """The forwarding entries of all bridges, and those that VXLAN and other devices keep themselves."""
    return tuple(fdb_entry_of(payload) for _, payload in netlink.dump(RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)))


def fdb_entry_of(payload: bytes) -> FdbEntry:
    """One forwarding entry from the payload of an RTM_NEWNEIGH message of family AF_BRIDGE.

    `master` is the bridge whose table holds the entry, None for a table of the device itself (VXLAN, multicast filters).
    `local`: the bridge keeps such a frame for itself (BR_FDB_LOCAL, shown as "permanent").
    """
    _, index, state, flags, _ = _NDMSG.unpack_from(payload)
    fields: Mapping[int, bytes] = attributes(payload, _NDMSG.size)
    remote = fields.get(NDA_DST)
    master = None if flags & NTF_SELF else number(fields.get(NDA_MASTER)) or None
    return FdbEntry(
        index=index,
        mac=fields.get(NDA_LLADDR, b"").hex(":"),
        master=master,
        vlan=number(fields[NDA_VLAN]) if NDA_VLAN in fields else None,
        state=next((word for bit, word in FDB_STATES.items() if state & bit), "reachable"),
        local=bool(state & NUD_PERMANENT) and master is not None,
        sticky=bool(flags & NTF_STICKY),
        remote=address(remote) if remote else None,
        vni=number(fields[NDA_VNI]) if NDA_VNI in fields else None,
    )
