"""What an agent says has come to a run, checked before it is used: a host's word may be anything."""

from __future__ import annotations

import socket
import struct
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from netprobe.linux.sensors.tap import LATEST, PLENTY, Room

from .agent import ADDRESS, CONTROL, DATAGRAM

Number = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
Stamp = Annotated[int, Meta(ge=0, le=LATEST)]  # ns since the epoch
Code = Annotated[int, Meta(ge=0, lt=4096)]  # an errno (MAX_ERRNO), 0: none
Control = Annotated[bytes, Meta(max_length=CONTROL)]
Data = Annotated[bytes, Meta(max_length=DATAGRAM)]
SocketAddress = Annotated[bytes, Meta(max_length=ADDRESS)]
InterfaceName = Annotated[str, Meta(max_length=32)]


class SentShot(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A packet that was handed to the kernel there, or refused with an errno."""

    shot: Number
    stamp_ns: Stamp
    code: Code


class TakenFrame(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A frame of a tap."""

    tap: Number
    name: InterfaceName
    address: SocketAddress
    control: Control
    frame: Data


class TakenMessage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message of a socket, or of its queue of errors."""

    number: Number
    data: Data
    control: Control
    address: SocketAddress
    is_error: bool


class TapEnd(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How many frames the kernel there had no room for, and whether the tap was full."""

    tap: Number
    dropped: Number
    is_full: bool


class TakenAnswer(Struct, frozen=True):
    """An answer to `take` or `finish`."""

    sent: list[SentShot]
    frames: list[TakenFrame]
    heard: list[TakenMessage]
    taps: list[TapEnd] = []


def taken_answer(answer: Any) -> TakenAnswer:
    """The same, checked. Raises ValueError for anything else."""
    try:
        return msgspec.convert(answer, TakenAnswer, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


class Rooms:
    """How much of each tap is kept.

    An agent that empties a crowded tap before it sends may have handed out what was in it: twice its room.
    """

    def __init__(self) -> None:
        self._left: dict[int, list[int]] = {}
        self._waiting = [PLENTY.frames, PLENTY.bytes]

    def give(self, tap: int, room: Room) -> None:
        """A tap is asked for, which keeps so much; with its last frame it is full, whatever the size."""
        self._left[tap] = [2 * max(1, room.frames), 2 * (room.bytes + DATAGRAM)]

    def withdraw(self, tap: int) -> None:
        """The tap does not listen."""
        self._left.pop(tap, None)

    def check(self, tap: int) -> None:
        """Raises ValueError for a tap that there is not."""
        if tap not in self._left:
            raise ValueError(f"no tap {tap}")

    def take(self, frame: TakenFrame) -> None:
        """Raises ValueError for one of a tap that there is not, or that has no room left."""
        self.check(frame.tap)
        _use(self._left[frame.tap], len(frame.frame), f"tap {frame.tap}")

    def put(self, message: TakenMessage) -> None:
        """A message waits. Raises ValueError where too many do."""
        _use(self._waiting, len(message.data), "the sockets")

    def got(self, size: int) -> None:
        """A message of so many bytes waits no more."""
        self._waiting[0] += 1
        self._waiting[1] += size


def _use(left: list[int], size: int, what: str) -> None:
    left[0] -= 1
    left[1] -= size
    if min(left) < 0:
        raise ValueError(f"more than {what} may keep")


def is_address(family: int, text: str) -> bool:
    """Whether this is an address of AF_INET or AF_INET6, maybe with %interface."""
    try:
        socket.inet_pton(family, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def python_address(raw: bytes) -> tuple[Any, ...]:
    """A struct sockaddr as Python writes it."""
    family = int.from_bytes(raw[:2], "little") if len(raw) >= 2 else 0
    if family == socket.AF_INET and len(raw) >= 8:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6 and len(raw) >= 28:
        scope = struct.unpack_from("=I", raw, 24)[0]
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big"), 0, scope
    return "", 0


def below(number: int, count: int, what: str) -> None:
    """Raises ValueError for one that there is not."""
    if number >= count:
        raise ValueError(f"no {what} {number}")
