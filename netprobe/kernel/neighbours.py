"""The neighbour entries of one namespace, listed and removed; and how full the table is, which is one for all
namespaces of the kernel (net/core/neighbour.c: gc_entries against gc_thresh1, 2 and 3). rtnetlink(7).

Bytes by hand: thousands of entries are removed in one run.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

AF_INET, AF_INET6 = 2, 10
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWNEIGHTBL, RTM_GETNEIGHTBL = 64, 66
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 0x01, 0x300
NDA_DST, NDA_LLADDR = 1, 2
NDTA_THRESH2, NDTA_THRESH3, NDTA_CONFIG, NDTA_STATS = 3, 4, 5, 7  # include/uapi/linux/neighbour.h
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
ENTRIES_AT, FULLS_AT = 4, 80  # in struct ndt_config and struct ndt_stats
LONGEST = 1 << 16
AT_ONCE = 256  # messages in one send

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg
_TABLE = struct.Struct("=Bxxx")  # struct ndtmsg
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER, _LONG, _CODE = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=i")


class Entry(NamedTuple):
    """A neighbour: its interface's index, its address and MAC (b"" while it is not known), its NUD_ state."""

    interface: int
    address: bytes
    mac: bytes
    state: int


class Fullness(NamedTuple):
    """How full the table of one IP version is: entries of all namespaces; from `soft` of them on the kernel
    throws stale ones away, at `hard` it makes no more; `fulls` counts how often it could not.
    """

    entries: int
    soft: int
    hard: int
    fulls: int


class NeighbourTable:
    """The entries of the namespace in which the thread is when it makes this. Raises OSError. Close it."""

    __slots__ = ("_sequence", "_socket", "refused")

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
        )
        self._sequence = 0
        self.refused = 0  # the errno with which the kernel refused to remove an entry that there is

    def close(self) -> None:
        """Close the socket. Harmless when repeated."""
        self._socket.close()

    def entries(self, family: int) -> list[Entry]:
        """All entries of one IP version but those that no address is resolved for."""
        found = []
        for body in self._dumped(RTM_GETNEIGH, RTM_NEWNEIGH, _NEIGHBOUR.pack(family, 0, 0, 0, 0)):
            _, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
            of = dict(_attributes(body, _NEIGHBOUR.size))
            if NDA_DST in of and not state & NUD_NOARP:
                found.append(Entry(index, of[NDA_DST], of.get(NDA_LLADDR, b""), state))
        return found

    def forget(self, messages: Sequence[bytes]) -> None:
        """Remove entries, each by a message of `removal`; one that is gone already is no matter."""
        for start in range(0, len(messages), AT_ONCE):
            self._socket.send(b"".join(messages[start : start + AT_ONCE]))
            for data in self._waiting():
                self._note(data)

    def fullness(self, family: int) -> Fullness:
        """How full the kernel's table of this IP version is."""
        for body in list(self._dumped(RTM_GETNEIGHTBL, RTM_NEWNEIGHTBL, _TABLE.pack(family))):
            of = dict(_attributes(body, _TABLE.size))
            if NDTA_CONFIG in of and NDTA_STATS in of:
                soft, hard = (_NUMBER.unpack_from(of[each])[0] for each in (NDTA_THRESH2, NDTA_THRESH3))
                entries = _NUMBER.unpack_from(of[NDTA_CONFIG], ENTRIES_AT)[0]
                return Fullness(entries, soft, hard, _LONG.unpack_from(of[NDTA_STATS], FULLS_AT)[0])
        raise OSError(errno.ENODATA, "the kernel lists no neighbour table")

    def _note(self, data: bytes) -> None:
        if len(data) >= _HEADER.size + _CODE.size and _HEADER.unpack_from(data)[1] == NLMSG_ERROR:
            code = -_CODE.unpack_from(data, _HEADER.size)[0]
            if code not in (0, errno.ENOENT):
                self.refused = code

    def _waiting(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._socket.recv(LONGEST)
            except BlockingIOError:
                return

    def _dumped(self, kind: int, answer: int, body: bytes) -> Iterator[bytes]:
        """The bodies of the messages that a dump gives: the kernel fills the socket as it is read."""
        self._sequence += 1
        header = _HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0
        self._socket.send(_HEADER.pack(*header) + body)
        while True:
            for found, sequence, inside in _messages(self._socket.recv(LONGEST)):
                if sequence != self._sequence:  # about an entry that was to be removed
                    continue
                if found == NLMSG_DONE:
                    return
                if found == NLMSG_ERROR:
                    code = -_CODE.unpack_from(inside)[0]
                    raise OSError(code, os.strerror(code))
                if found == answer:
                    yield inside


def removal(family: int, index: int, addresses: Iterable[bytes]) -> list[bytes]:
    """The messages that remove the entries of these addresses on one interface."""
    size = 4 if family == AF_INET else 16
    body = _NEIGHBOUR.pack(family, index, 0, 0, 0) + _ATTRIBUTE.pack(_ATTRIBUTE.size + size, NDA_DST)
    head = _HEADER.pack(_HEADER.size + len(body) + size, RTM_DELNEIGH, NLM_F_REQUEST, 0, 0) + body
    return [head + address for address in addresses]


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence number, what follows the header) of each message of a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
