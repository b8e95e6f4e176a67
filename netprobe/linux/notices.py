"""What the kernel tells by itself when something changes: multicast groups of rtnetlink(7) and of nf_tables.

A socket keeps its namespace alive: `follow` names anew, after each reading, in which to listen.
iptables-legacy, ebtables, ipset and most sysctls tell nothing; they are found by comparing two readings.

Numbers: include/uapi/linux/{rtnetlink,netconf,if_link,if_addr,neighbour}.h and, below netfilter,
{nfnetlink,nf_tables}.h.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from msgspec.structs import replace

from netprobe.errors import NetprobeError
from netprobe.kernel.elsewhere import Place
from netprobe.model.live import Notice

from . import netns
from .attribute_values import address, text

MOST_NAMESPACES = 64
MOST_NOTICES = 1000  # kept between two rounds; what follows says no more than that something changed
MOST_READ = 2000  # datagrams at once: more may come than can be read
RECEIVE_BUFFER = 1 << 20
ROUTE, NETFILTER = 0, 12
# link, neighbours, traffic control, addresses, routes, policy rules, device settings, namespace ids,
# next hops, VLANs of ports
ROUTE_GROUPS = (1, 3, 4, 5, 7, 8, 9, 11, 19, 24, 25, 28, 32, 33)
NFNLGRP_NFTABLES = 7
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
LONGEST = 1 << 16

_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_INDEX, _NAMED = struct.Struct("=i"), struct.Struct("=I")
_LINK = struct.Struct("=BBHiII")  # struct ifinfomsg
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_NEIGHBOUR = struct.Struct("=BBHiHBB")  # struct ndmsg
_ROUTE = struct.Struct("=8BI")  # struct rtmsg, and of a policy rule struct fib_rule_hdr
_PERMANENT, _STATIC = 0x80, 0x40  # NUD_PERMANENT; NUD_NOARP, which the kernel makes for groups as well
_UP, _LOWER_UP = 0x1, 0x10000
_LOCAL, _AF_BRIDGE = 255, 7
_NETCONF = {2: "forwarding", 3: "rp_filter", 4: "mc_forwarding", 5: "proxy_arp", 8: "bc_forwarding"}
_TABLES = 10  # NFNL_SUBSYS_NFTABLES
_NFT = {0: "table", 3: "chain", 6: "rule", 9: "set", 12: "set", 18: "set", 22: "chain"}
_PARTS = (12, 18, 22)  # elements, objects, flow tables
_GENERATION = 15  # NFT_MSG_NEWGEN, behind all of one change
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

_Attributes = dict[int, bytes]


class Notices:
    """The sockets of all namespaces that are listened in; close it, or use it as a context."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._open: dict[str, NamespaceSockets] = {}
        self._deaf: dict[str, str] = {}

    def __enter__(self) -> Notices:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let all namespaces go."""
        self.follow({})
        self._epoll.close()

    def follow(self, namespaces: Mapping[str, Place]) -> None:
        """Listen in these open namespaces from now on, and in no others."""
        wanted = dict(list(namespaces.items())[:MOST_NAMESPACES])
        for name in [name for name, opened in self._open.items() if not opened.is_of(wanted.get(name))]:
            self._open.pop(name).close()
        self._deaf = {name: why for name, why in self._deaf.items() if name in wanted}
        for name, fd in wanted.items():
            if name not in self._open and name not in self._deaf:
                self._listen(name, fd)

    def _listen(self, name: str, fd: Place) -> None:
        opened = NamespaceSockets(name)
        try:
            opened.open(netns.here(fd, "hearing of changes"))
        except (OSError, NetprobeError) as error:
            opened.close()
            self._deaf[name] = f"changes in {name}: {getattr(error, 'strerror', None) or error}"
            return
        self._open[name] = opened
        for each in opened.sockets:
            self._epoll.register(each.fileno(), select.EPOLLIN)

    def unheard(self) -> tuple[str, ...]:
        """What cannot be heard, and why."""
        return (*self._deaf.values(), *(opened.deaf for opened in self._open.values() if opened.deaf))

    def glance(self) -> bool:
        """Whether something that matters was told since it was last `heard`; what comes gets its moment."""
        if self._epoll.poll(0):
            self._read()
        return any(opened.told for opened in self._open.values())

    def wait(self, seconds: float) -> bool:
        """Whether something that matters was told within so many seconds; returns as soon as it is."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._epoll.poll(left)
            if self.glance():
                return True
        return False

    def _read(self) -> None:
        for opened in self._open.values():
            opened.read()

    def heard(self) -> tuple[Notice, ...]:
        """What was told since the last call."""
        self._read()
        return tuple(notice for opened in self._open.values() for notice in opened.taken())


class NamespaceSockets:
    """The two sockets of one namespace, and what came of them."""

    def __init__(self, name: str) -> None:
        self.name, self.deaf = name, ""
        self.told: list[Notice] = []
        self.sockets: list[socket.socket] = []
        self._identity: netns.Identity | None = None
        self._names: dict[int, str] = {}
        self._states: dict[int, str] = {}

    def open(self, fd: int) -> None:
        """Listen in this open namespace. Raises OSError or NetprobeError."""
        with netns.inside(fd):
            self._identity = netns.identity(fd)
            self._names = dict(socket.if_nameindex())
            self.sockets.append(_member_of(ROUTE, ROUTE_GROUPS))
            try:
                self.sockets.append(_member_of(NETFILTER, (NFNLGRP_NFTABLES,)))
            except OSError as error:  # rules are compared then
                why = "CAP_NET_ADMIN is missing" if isinstance(error, PermissionError) else error.strerror
                self.deaf = f"changes of rules in {self.name}: {why}"

    def is_of(self, fd: Place | None) -> bool:
        """Whether this is the namespace that is open there."""
        return fd is not None and netns.identity(fd) == self._identity

    def close(self) -> None:
        """Let the namespace go."""
        for opened in self.sockets:
            opened.close()

    def taken(self) -> list[Notice]:
        """What was told, which is not told again."""
        told, self.told = self.told, []
        return told

    def read(self) -> None:
        """All that has come."""
        for opened in self.sockets:
            netfilter = opened is not self.sockets[0]
            for _ in range(MOST_READ):
                data = self._received(opened)
                if data is None:
                    break
                self.understand(data, netfilter, time.time_ns())

    def _received(self, opened: socket.socket) -> bytes | None:
        try:
            return opened.recv(LONGEST)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._tell(Notice(time.time_ns(), self.name, "namespace", self.name))  # some were lost: look
            return b""

    def understand(self, data: bytes, netfilter: bool, now: int) -> None:
        """Take note of what the messages of a datagram tell, of nf_tables or of rtnetlink."""
        for kind, body in messages_in(data):
            with suppress(struct.error, ValueError, IndexError, OSError):  # a message that is too short
                if netfilter and kind == _TABLES << 8 | _GENERATION:
                    self._attribute(text(attributes_of(body[4:]).get(3, b"").rstrip(b"\0")))
                    continue
                found = of_rules(kind, body) if netfilter else self._of_network(kind, body)
                if found is not None:
                    self._tell(Notice(now, self.name, *found))

    def _tell(self, notice: Notice) -> None:
        if len(self.told) < MOST_NOTICES:
            self.told.append(notice)

    def _attribute(self, program: str) -> None:
        """The program that made the changes of rules before: the kernel says it after them."""
        kinds = {*_NFT.values()}
        self.told = [
            replace(each, by=program) if each.kind in kinds and not each.by else each for each in self.told
        ]

    def _of_network(self, kind: int, body: bytes) -> tuple[str, str, str] | None:
        """(kind, name, what) of a message of rtnetlink; None of one that tells nothing that is configured."""
        reader = _READERS.get(kind & ~3)
        gone = "gone" if kind & 1 else "new"
        return reader(self, body, gone) if reader is not None else ("configuration", "", "")

    def _link(self, body: bytes, gone: str) -> tuple[str, str, str] | None:
        family, _, _, index, flags, _ = _LINK.unpack_from(body)
        name = text(attributes_of(body[_LINK.size :]).get(3, b"").rstrip(b"\0")) or self._named(index)
        if family == _AF_BRIDGE:  # a port's settings, which the link tells as well
            return "link", name, ""
        if gone == "gone":
            self._states.pop(index, None)
            self._names.pop(index, None)
            return "link", name, gone
        is_new = index not in self._names
        self._names[index] = name
        state = _state(flags)
        before, self._states[index] = self._states.get(index), state
        if is_new:
            return "link", name, "new"
        return "link", name, state if before != state else ""

    def _address(self, body: bytes, gone: str) -> tuple[str, str, str] | None:
        _, length, _, _, index = _ADDRESS.unpack_from(body)
        found = attributes_of(body[_ADDRESS.size :])
        own = found.get(2) or found.get(1)
        if own is None:
            return None
        return "address", f"{address(own)}/{length} dev {self._named(index)}", gone

    def _route(self, body: bytes, gone: str) -> tuple[str, str, str] | None:
        family, length, _, _, table, _, _, _, _ = _ROUTE.unpack_from(body)
        found = attributes_of(body[_ROUTE.size :])
        number = _NAMED.unpack(found[15])[0] if 15 in found else table
        if number == _LOCAL:  # made for an address, which is told as well
            return None
        everything = "0.0.0.0" if family == socket.AF_INET else "::"
        beyond = f" table {number}" if number != 254 else ""
        metric = f" metric {_NAMED.unpack(found[6])[0]}" if 6 in found else ""
        return "route", f"{address(found[1]) if 1 in found else everything}/{length}{beyond}{metric}", gone

    def _rule(self, body: bytes, gone: str) -> tuple[str, str, str] | None:
        version = 4 if body[0] == socket.AF_INET else 6
        found = attributes_of(body[_ROUTE.size :])
        priority = _NAMED.unpack(found[6])[0] if 6 in found else 0
        return "policy-rule", f"IPv{version} {priority}", gone

    def _neighbour(self, body: bytes, gone: str) -> tuple[str, str, str] | None:
        family, _, _, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
        written = _PERMANENT | _STATIC if family == _AF_BRIDGE else _PERMANENT
        if not state & written:
            return None
        found = attributes_of(body[_NEIGHBOUR.size :])
        if family == _AF_BRIDGE:
            return "fdb-entry", found.get(2, b"").hex(":"), gone
        return "neighbour", f"{address(found[1]) if 1 in found else '?'} dev {self._named(index)}", gone

    def _traffic(self, body: bytes, gone: str) -> tuple[str, str, str] | None:  # noqa: ARG002 - as the others
        return "link", self._named(_INDEX.unpack_from(body, 4)[0]), ""

    def _setting(self, body: bytes, gone: str) -> tuple[str, str, str] | None:  # noqa: ARG002 - as the others
        found = attributes_of(body[4:])
        index = _INDEX.unpack(found[1])[0] if 1 in found else 0
        where = {-1: "all", -2: "default"}.get(index) or self._named(index)
        version = 4 if body[0] == socket.AF_INET else 6
        what = next((word for number, word in _NETCONF.items() if number in found), "")
        return "sysctl", f"net.ipv{version}.conf.{where}.{what}", ""

    def _named(self, index: int) -> str:
        return self._names.get(index, f"if{index}")


_Told = tuple[str, str, str] | None
_READERS: dict[int, Callable[[NamespaceSockets, bytes, str], _Told]] = {
    16: NamespaceSockets._link,  # by the first of four types: RTM_NEWLINK
    20: NamespaceSockets._address,
    24: NamespaceSockets._route,
    28: NamespaceSockets._neighbour,
    32: NamespaceSockets._rule,
    36: NamespaceSockets._traffic,  # queueing disciplines, classes, filters
    40: NamespaceSockets._traffic,
    44: NamespaceSockets._traffic,
    80: NamespaceSockets._setting,  # RTM_NEWNETCONF
}


def _state(flags: int) -> str:
    if not flags & _UP:
        return "down"
    return "up" if flags & _LOWER_UP else "no carrier"


def of_rules(kind: int, body: bytes) -> tuple[str, str, str] | None:
    """(kind, name, what) of a message of nf_tables."""
    number = kind & 0xFF
    if kind >> 8 != _TABLES:
        return None
    found = attributes_of(body[4:])
    first = max((each for each in _NFT if each <= number), default=0)
    names = [text(found[each].rstrip(b"\0")) for each in _named_in(_NFT[first]) if each in found]
    handle = f" handle {int.from_bytes(found[3], 'big')}" if _NFT[first] == "rule" and 3 in found else ""
    named = " ".join(("nft", _FAMILIES.get(body[0], "?"), *names)) + handle
    if first in _PARTS:
        return _NFT[first], named, ""
    return _NFT[first], named, "new" if number == first else "gone"


def _named_in(kind: str) -> tuple[int, ...]:
    """The attributes that hold the names: table, and chain or set."""
    return {"table": (1,), "chain": (1, 3), "rule": (1, 2), "set": (1, 2)}[kind]


def _member_of(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    """A socket that hears these groups. Raises OSError."""
    opened = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
    )
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        opened.bind((0, 0))
        for group in groups:
            with suppress(_Lacking):
                _join(opened, group)
    except BaseException:
        opened.close()
        raise
    return opened


class _Lacking(OSError):
    """A group that this kernel does not have."""


def _join(opened: socket.socket, group: int) -> None:
    try:
        opened.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _Lacking(error.errno, os.strerror(error.errno)) from error
        raise


def messages_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each message of a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes_of(data: bytes) -> _Attributes:
    """The attributes of a message by number; of a repeated one the last counts."""
    found: _Attributes = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found
