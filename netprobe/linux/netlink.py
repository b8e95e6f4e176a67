"""Netlink, read only: a request, the messages that answer it, their attributes. What they mean is the callers' business.

Why not pyroute2 here: its import takes longer than the rest of a trace (230 ms), its decoding 7 to 15 ms a namespace where this
takes 1 or 2, it needs an event loop of its own, and nexthop objects, XFRM policies and newer route attributes are missing (0.9.7).
Source: include/uapi/linux/netlink.h; Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence

ROUTE, SOCK_DIAG, XFRM = 0, 4, 6  # protocols of include/uapi/linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x01, 0x300, 0x10
ATTRIBUTE_TYPE = 0x3FFF  # without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER
DUMP_TRIES = 4  # a dump that changes under our hands is asked again
BATCH = 64  # requests a send: their answers must fit the socket's receive buffer
TIMEOUT_S = 5.0  # the kernel answers in microseconds; a hang would be a bug, not a wait

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")


class Netlink:
    """A netlink socket of the namespace in which this thread is when it makes it; `with` closes it. Errors are OSError.

    `unsteady`: a table never held still while it was dumped, so an entry may be missing from it, or be there twice.
    """

    def __init__(self, protocol: int = ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(TIMEOUT_S)
        self._buffer = bytearray(1 << 18)
        self._sequence = 0
        self.unsteady = False

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """All messages (type, payload) of a table; one that changes meanwhile is dumped again, a few times. Raises OSError."""
        for _ in range(DUMP_TRIES):
            self._send([(kind, body)], NLM_F_DUMP)
            messages, whole = self._dumped()
            if whole:
                return messages
        self.unsteady = True
        return messages

    def ask(self, requests: Sequence[tuple[int, bytes]]) -> Iterator[bytes | OSError]:
        """One answer (its payload, or the error it was refused with) for each request (type, body), in order."""
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            self._send(batch, 0)
            yield from self._answers(len(batch))

    def _send(self, requests: Sequence[tuple[int, bytes]], flags: int) -> None:
        packed = []
        for kind, body in requests:
            self._sequence += 1
            padding = b"\0" * (-len(body) % 4)
            packed.append(_HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | flags, self._sequence, 0) + body + padding)
        self._socket.send(b"".join(packed))

    def _dumped(self) -> tuple[list[tuple[int, bytes]], bool]:
        messages: list[tuple[int, bytes]] = []
        whole = True
        while True:
            for kind, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if flags & NLM_F_DUMP_INTR:
                    whole = False
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    if error := _error_of(payload):
                        raise error
                    return messages, whole
                messages.append((kind, payload))

    def _answers(self, count: int) -> list[bytes | OSError]:
        first = self._sequence - count + 1
        answers: dict[int, bytes | OSError] = {}
        while len(answers) < count:
            for kind, _, sequence, payload in self._receive():
                if sequence >= first:
                    error = _error_of(payload) if kind == NLMSG_ERROR else None
                    answers[sequence] = error or payload
        return [answers[first + n] for n in range(count)]

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        size = self._socket.recv_into(self._buffer)
        data = bytes(memoryview(self._buffer)[:size])
        offset = 0
        while offset + 16 <= size:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if length < 16:
                break
            yield kind, flags, sequence, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _error_of(payload: bytes) -> OSError | None:
    code = -_ERROR.unpack_from(payload)[0] if len(payload) >= 4 else 0
    return OSError(code, os.strerror(code)) if code > 0 else None


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, packed and padded, for a request."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from `offset` on, by type; of a repeated one the last. A truncated tail is left out."""
    return dict(each_attribute(data, offset))


def each_attribute(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes from `offset` on, in order, as (type, value)."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & ATTRIBUTE_TYPE, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def number(value: bytes | None, default: int = 0) -> int:
    """An unsigned integer of any width in the machine's order; `default` for an absent attribute."""
    return default if value is None else int.from_bytes(value, sys.byteorder)


def signed(value: bytes | None, default: int = 0) -> int:
    """A signed integer of any width in the machine's order; `default` for an absent attribute."""
    return default if value is None else int.from_bytes(value, sys.byteorder, signed=True)


def text(value: bytes | None) -> str:
    """A C string; bytes that are not UTF-8 become surrogates, as in file names."""
    return "" if value is None else value.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def mac(value: bytes | None) -> str:
    """A link-layer address as `ip link` prints it; tunnels have a 4 or 16 byte one, which is an IP address."""
    return "" if value is None else value.hex(":")


def address(value: bytes) -> str:
    """An IPv4 (4 bytes) or IPv6 (16 bytes) address as canonical text; anything else as hex."""
    if len(value) == 4:
        return socket.inet_ntop(socket.AF_INET, value)
    if len(value) == 16:
        return socket.inet_ntop(socket.AF_INET6, value)
    return value.hex(":")
