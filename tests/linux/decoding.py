"""Literal messages of the kernel, decoded as those that come from a socket."""

from __future__ import annotations

import socket
import struct
from typing import Any

from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from netprobe.linux.messages import conntrack, ipset, route, sockets, traffic, xfrm
from netprobe.linux.netlink import Record
from netprobe.linux.record import lean, whole

MESSAGES: dict[str, Any] = {
    "link": route.LinkMessage, "address": ifaddrmsg, "route": route.RouteMessage, "rule": fibmsg,
    "neighbour": route.NeighbourMessage, "nexthop": route.NexthopObject, "qdisc": traffic.QdiscMessage,
    "filter": traffic.FilterMessage, "policy": xfrm.PolicyMessage, "state": xfrm.StateMessage,
    "default": xfrm.DefaultMessage,
    "socket": sockets.InetSocket,
   "ipset": ipset.Sets, "table": route.NeighbourTableMessage, "connection": conntrack.Connection,
}  # fmt: skip


def record(kind: str, payload: bytes) -> Record:
    """The record of a message with this payload."""
    answer, message = MESSAGES[kind], struct.pack("=IHHII", 16 + len(payload), 0, 0, 0, 0) + payload
    return lean(answer, message) if answer in route.BY_HAND else whole(answer, message)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, packed and padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def u8(value: int) -> bytes:
    return struct.pack("=B", value)


def u16(value: int) -> bytes:
    return struct.pack("=H", value)


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


def ip(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
