"""Netlink, read only: a request, the records that answer it. What they mean is the callers' business.

pyroute2 encodes and decodes the messages; it stays behind this file and `messages`, and comes in with the
first socket. Its own sockets are not used: built on asyncio, they took a third of the time of a whole run.
What is left is netlink(7): send, and receive until the answer is complete. Errors are OSError; a name that is
not UTF-8, which pyroute2 leaves as bytes, becomes a text with surrogates.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple

from netprobe.errors import is_short
from netprobe.kernel.elsewhere import DistantNetlinkSocket, NetlinkSocket, current

from . import deadline
from .attribute_values import address, text
from .encoding import encoded
from .lazy_pyroute2 import stay_outside
from .record import Record, attributes, lean, whole

__all__ = ["Record", "address", "attributes", "text"]


class Family(NamedTuple):
    """A protocol of include/uapi/linux/netlink.h, and the module of `messages` with the part of it that is
    spoken.
    """

    protocol: int
    module: str


ROUTE, SOCK_DIAG, XFRM = Family(0, "route"), Family(4, "sockets"), Family(6, "xfrm")
NETFILTER, CONNTRACK, IPSET = Family(12, "netfilter"), Family(12, "conntrack"), Family(12, "ipset")

NLMSG_ERROR, NLMSG_DONE = 2, 3
_ENDS = (NLMSG_ERROR, NLMSG_DONE)
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x01, 0x300, 0x10
DUMP_TRIES = 4  # a dump that changes under our hands is asked again
BATCH = 64  # requests a send: their answers must fit the socket's receive buffer
RECEIVE_BUFFER = 1 << 20
PATIENCE_S = 5.0  # the kernel answers at once or never
LARGEST = 64 << 20  # bytes of one dump: a million routes
_ALL = sys.maxsize  # entries of a dump
LONGEST = 1 << 16  # of a datagram: the kernel fills at most 32 KiB with entries of a dump
SOL_NETLINK, GET_STRICT_CHK = 270, 12  # include/uapi/linux/netlink.h
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ERROR = struct.Struct("=i")
_SEQUENCE, _SEQUENCE_AT = struct.Struct("=I"), 8  # in a header
_ENCODED: dict[tuple[object, ...], bytes] = {}  # requests by what they say
_MOST_ENCODED = 256


class Request(NamedTuple):
    """What is asked: the message's type, its fields, its attributes by name; what is not given is zero or
    absent.
    """

    kind: int
    fields: Mapping[str, Any] = {}
    attributes: Sequence[tuple[str, Any]] = ()


class _Message(NamedTuple):
    """A message as it came: its header, and where it begins and ends in its datagram."""

    kind: int
    flags: int
    sequence: int
    data: bytes
    offset: int
    end: int

    def refused(self) -> OSError | None:
        """The error that it reports, if it does: an NLMSG_ERROR, or the end of a dump that failed."""
        if self.kind not in _ENDS:
            return None
        [code] = _ERROR.unpack_from(self.data, self.offset + _HEADER.size)
        if code:
            return OSError(-code, os.strerror(-code))
        return (
            OSError(errno.EBADMSG, "the kernel says yes to a question that asks for more")
            if self.kind == NLMSG_ERROR
            else None
        )

    def accepted(self) -> None:
        """Raises the error that it reports, if it does."""
        error = self.refused()
        try:
            if error is not None:
                raise error
        finally:
            del error  # it holds this frame, and all above it


_made = _Message._make  # of a tuple, in half the time


class Netlink:
    """A netlink socket of the namespace in which this thread is when it makes it; `with` closes it.

    Errors are OSError. `strict`: the kernel heeds what a dump is asked for besides its family, and refuses
    what it does not know (Linux 4.20).

    `unsteady`: a table never held still while it was dumped, so an entry may be missing from it, or be there
    twice.
    """

    def __init__(self, family: Family = ROUTE, strict: bool = False) -> None:
        self.unsteady = False
        self._requests, self._answers, self._by_hand = _messages(family.module)
        self._sequence = (1 << 16) + int.from_bytes(os.urandom(3), "big")
        self._protocol, self._strict = family.protocol, strict
        self._distant: DistantNetlinkSocket | None = None
        self._socket = self._opened()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(self, request: Request) -> list[Record]:
        """All entries of a table; one that changes meanwhile is dumped again, a few times. Raises OSError."""
        return [self._record_in_time(message) for message in self._steady(request)]

    def at_most(
        self, request: Request, most: int, counts: Callable[[bytes], bool] = bool
    ) -> list[Record] | None:
        """As `dump`, of a table that has no more than so many entries; None of a larger one, which is not
        heard to its end. Entries that do not count, by what follows the header, are left out.
        """
        found = self._whole(request, 0, most, counts)
        return None if len(found) > most else [self._read_in_time(message) for message in found]

    def bodies_at_most(self, request: Request, most: int) -> list[bytes] | None:
        """As `bodies`, of a table that has no more than so many entries; None of a larger one."""
        found = self._whole(request, _HEADER.size, most)
        return None if len(found) > most else found

    def first(self, request: Request, most: int) -> list[Record]:
        """The first entries of a table, which may have more."""
        return [self._record_in_time(message) for message in self._first(request, most)]

    def first_bodies(self, request: Request, most: int) -> list[bytes]:
        """As `first`, but what follows the header is left as it came."""
        return [_body(message) for message in self._first(request, most)]

    def _first(self, request: Request, most: int) -> list[_Message]:
        messages = list(islice(self._dumped(request, most), most))
        if messages and messages[-1].kind != NLMSG_DONE:
            self._cut_short()
        return [message for message in messages if message.kind != NLMSG_DONE]

    def _cut_short(self) -> None:
        """Hear no more of a dump: the next question is asked by another socket."""
        self._socket.close()
        self._socket = self._opened()

    def _opened(self) -> NetlinkSocket:
        if (there := current()) is not None:
            self._distant = there.netlink(self._protocol, self._strict)
            return self._distant
        opened = _endpoint(self._protocol)
        if self._strict:
            opened.setsockopt(SOL_NETLINK, GET_STRICT_CHK, 1)
        return opened

    def sifted(self, request: Request, wanted: Callable[[Sequence[bytes]], Iterable[int]]) -> list[Record]:
        """As `dump`, but only those entries are decoded that `wanted` chooses: it is given all bodies and
        returns numbers, from 0.
        """
        messages = self._whole(request, 0)
        chosen = wanted([each[_HEADER.size :] for each in messages])
        return [self._read_in_time(messages[at]) for at in chosen]

    def bodies(self, request: Request) -> list[bytes]:
        """As `dump`, but what follows the header is left as it came: for tables with thousands of entries,
        0.1 ms each to decode.
        """
        return self._whole(request, _HEADER.size)

    def _whole(
        self, request: Request, begin: int, most: int = _ALL, counts: Callable[[bytes], bool] = bool
    ) -> list[bytes]:
        """The entries that count of a table that held still while it was dumped, each from this byte on; one
        more than `most`, or some more, where there are so many.
        """
        for _ in range(DUMP_TRIES):
            entries, is_torn = self._gathered(request, begin, most, counts)
            if not is_torn:
                break
        else:
            self.unsteady = True
        return entries

    def _gathered(
        self, request: Request, begin: int, most: int, counts: Callable[[bytes], bool]
    ) -> tuple[list[bytes], bool]:
        """The entries of a dump, as far as `_whole` wants them, and whether the table changed meanwhile; as
        of `_dumped`, in half the time.
        """
        if self._distant is not None:
            self._distant.most = 0 if most == _ALL or counts is not bool else most + 1
        [sequence], size, flagged = self._send([request], NLM_F_DUMP), 0, 0
        entries: list[bytes] = []
        add = entries.append
        for data in self._datagrams():
            for kind, flags, number, offset, end in _parted(data, self._answers):
                if number != sequence:
                    continue
                flagged |= flags
                size += end - offset
                if kind not in _ENDS:
                    if size <= LARGEST and (counts is bool or counts(data[offset + _HEADER.size : end])):
                        add(data[offset + begin : end])
                    continue
                _made((kind, flags, number, data, offset, end)).accepted()
                if size > LARGEST:
                    raise _too_large()
                return entries, bool(flagged & NLM_F_DUMP_INTR)
            if len(entries) > most:
                self._cut_short()
                return entries, False
        return entries, True  # never: datagrams come without end

    def _steady(self, request: Request) -> list[_Message]:
        """The entries of a table that held still while it was dumped."""
        for _ in range(DUMP_TRIES):
            messages = list(self._dumped(request))
            if not any(message.flags & NLM_F_DUMP_INTR for message in messages):
                break
        else:
            self.unsteady = True
        return [message for message in messages if message.kind != NLMSG_DONE]

    def count(self, request: Request, count: Callable[[Record], int], most: int) -> int:
        """The sum of `count` over the entries of a table, up to the first that takes it past `most`: the last
        call to this socket.
        """
        total = 0
        for message in self._dumped(request, most + 1):
            total += count(self._record(message)) if message.kind != NLMSG_DONE else 0
            if total > most:
                break
        return total

    def ask(self, request: Request) -> Record:
        """The answer to a question. Raises OSError when the kernel refuses it."""
        [sequence] = self._send([request], 0)
        answer = next(
            message
            for message in self._received()
            if message.sequence == sequence and message.kind != NLMSG_DONE
        )
        answer.accepted()
        return self._record(answer)

    def ask_all(self, requests: Sequence[Request]) -> Iterator[Record | None]:
        """One answer for each request, in order; None for one that the kernel refuses."""
        for start in range(0, len(requests), BATCH):
            yield from self._answered(requests[start : start + BATCH])

    def _answered(self, requests: Sequence[Request]) -> list[Record | None]:
        sequences = self._send(requests, 0)
        answers: dict[int, Record | None] = {}
        for message in self._received():
            if message.sequence in sequences and message.kind != NLMSG_DONE:
                refused = message.refused()
                if refused is not None and is_short(refused):
                    raise refused
                answers[message.sequence] = None if refused else self._record(message)
            if len(answers) == len(sequences):
                break
        return [answers[sequence] for sequence in sequences]

    def _dumped(self, request: Request, most: int = 0) -> Iterator[_Message]:
        """The messages of a dump, its end included; no more than `most` are wanted, unless that is 0."""
        if self._distant is not None:
            self._distant.most = most
        [sequence], size = self._send([request], NLM_F_DUMP), 0
        for message in self._received():
            kind, _, number, _, begin, end = message
            if number != sequence:
                continue
            if kind in _ENDS:
                message.accepted()
            size += end - begin
            if size <= LARGEST:
                yield message
            elif kind == NLMSG_DONE:  # heard to its end: the socket takes no other question before
                raise _too_large()
            if kind == NLMSG_DONE:
                return

    def _send(self, requests: Sequence[Request], flags: int) -> range:
        """Send the requests together; the sequence numbers that their answers will have."""
        first = self._sequence
        self._sequence += len(requests)
        sequences = range(first, self._sequence)
        self._socket.send(
            b"".join(
                self._encoded(request, flags, number)
                for request, number in zip(requests, sequences, strict=True)
            )
        )
        return sequences

    def _encoded(self, request: Request, flags: int, sequence: int) -> bytes:
        """The request as bytes; what is asked of every namespace alike is encoded once, a tenth of a
        millisecond each.
        """
        asked = (self._requests[request.kind], request.kind, flags)
        said: tuple[object, ...] = (*asked, *request.fields.items(), None, *request.attributes)
        try:
            known = _ENCODED.get(said)
        except TypeError:  # attributes that hold others
            said = (*asked, repr(request))
            known = _ENCODED.get(said)
        if known is None:
            if len(_ENCODED) >= _MOST_ENCODED:
                _ENCODED.clear()
            known = _ENCODED[said] = self._encode(request, flags)
        encoded = bytearray(known)
        _SEQUENCE.pack_into(encoded, _SEQUENCE_AT, sequence)
        return bytes(encoded)

    def _encode(self, request: Request, flags: int) -> bytes:
        made, flags = self._requests[request.kind], NLM_F_REQUEST | flags
        found = encoded(made, request.kind, flags, request.fields, request.attributes)
        return _by_pyroute2(made, request, flags) if found is None else found

    def _received(self) -> Iterator[_Message]:
        """The messages that come in, without end; of a kind that nobody asked for there is none.

        Raises OSError, ETIMEDOUT when the time of the question is up.
        """
        for data in self._datagrams():
            for kind, flags, sequence, offset, end in _parted(data, self._answers):
                yield _made((kind, flags, sequence, data, offset, end))

    def _datagrams(self) -> Iterator[bytes]:
        while True:
            deadline.check()
            try:
                data, _, flags, _ = self._socket.recvmsg(LONGEST)
            except BlockingIOError:  # SO_RCVTIMEO
                deadline.check()
                raise
            if flags & socket.MSG_TRUNC:
                raise OSError(errno.EMSGSIZE, f"an answer of the kernel has more than {LONGEST} bytes")
            yield data

    def _read_in_time(self, message: bytes) -> Record:
        deadline.check()
        return _read(self._answers[_HEADER.unpack_from(message)[1]], message, self._by_hand)

    def _record_in_time(self, message: _Message) -> Record:
        deadline.check()
        return self._record(message)

    def _record(self, message: _Message) -> Record:
        bare = message.data[message.offset : message.end]
        return _read(self._answers[message.kind], bare, self._by_hand)


def _by_pyroute2(made: type, request: Request, flags: int) -> bytes:
    message = made()
    message.update(request.fields)
    message["header"].update(type=request.kind, flags=flags)
    message["attrs"] = [list(attribute) for attribute in request.attributes]
    message.encode()
    return bytes(message.data)


def decoded(family: Family, kind: int, body: bytes) -> Record:
    """The record of a message of this type, of which there is what follows its header."""
    _, answers, by_hand = _messages(family.module)
    header = _HEADER.pack(_HEADER.size + len(body), kind, 0, 0, 0)
    return _read(answers[kind], header + body, by_hand)


def _read(answer: type, message: bytes, by_hand: Set[type]) -> Record:
    return lean(answer, message) if answer in by_hand else whole(answer, message)


def _parted(data: bytes, answers: Container[int]) -> list[tuple[int, int, int, int, int]]:
    """The messages in a datagram that are answers or ends: type, flags, number, where they begin and end.
    Raises OSError.
    """
    found = list[tuple[int, int, int, int, int]]()
    unpack, least, size, offset = _HEADER.unpack_from, _HEADER.size, len(data), 0
    last = size - least
    while offset <= last:
        length, kind, flags, sequence, _ = unpack(data, offset)
        end = offset + length
        if length < least or end > size:
            raise OSError(errno.EBADMSG, "a message of the kernel says a length that it does not have")
        if kind in answers or kind in _ENDS:
            found.append((kind, flags, sequence, offset, end))
        offset += length + 3 & ~3
    return found


def _too_large() -> OSError:
    return OSError(errno.EFBIG, f"the kernel lists more than {LARGEST >> 20} MiB")


def _body(message: _Message) -> bytes:
    return message.data[message.offset + _HEADER.size : message.end]


def _endpoint(protocol: int) -> socket.socket:
    """A new netlink socket. Raises OSError where the kernel does not have the protocol."""
    endpoint = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    patience = deadline.left(PATIENCE_S)
    seconds, rest = int(patience), int(patience % 1 * 1e6)
    # struct timeval, of which 0 means for ever
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, max(rest, 1)))
    return endpoint


@cache
def _messages(module: str) -> tuple[Mapping[int, type], Mapping[int, type], Set[type]]:
    """The classes of requests and answers, by the type of the message; those of answers of which there may be
    thousands.
    """
    stay_outside()
    declared = import_module(f".messages.{module}", __package__)
    return declared.REQUESTS, declared.ANSWERS, getattr(declared, "BY_HAND", frozenset())
