"""What the tests of the tap do inside a lab."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any
from unittest.mock import patch

from observing import path_of

from netprobe.kernel.close import release
from netprobe.linux.netns import inside
from netprobe.linux.sensors.haul import Buffers
from netprobe.linux.sensors.tap import BUFFER, Caught, Room, Tap, attach
from netprobe.wire.bpf import Instruction
from netprobe.wire.filter import answer_filter, tap_filter
from netprobe.wire.mark import Mark

Seen = tuple[str, int, bytes, int, int]


def inject(mark: Mark, namespace: str, frames: list[bytes], watched: str) -> list[Seen]:
    """Put frames on eth0 of a namespace; what a tap of `watched` catches of them: interface, type, bytes, lengths, link type."""
    with inside(path_of(watched)):
        tap = Tap(watched, tap_filter(mark))
    try:
        with inside(path_of(namespace)), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("eth0", 0))
            for frame in frames:
                out.send(frame)
        return [plain(caught) for caught in until_quiet(tap)]
    finally:
        release([tap.socket])


def until_quiet(tap: Tap) -> list[Caught]:
    """What the tap catches until nothing more comes; for the first frame a busy machine may take its time."""
    caught: list[Caught] = []
    room = Buffers()
    quiet = 0
    while quiet < (10 if caught else 50):
        time.sleep(0.01)
        new = list(tap.read(room))
        quiet = 0 if new else quiet + 1
        caught += new
    return caught


def plain(caught: Caught) -> Seen:
    return caught.interface, caught.packet_type, caught.frame, caught.wire_length, caught.link_type


def through_a_tun(mark: Mark, packet: bytes) -> list[Seen]:
    """What a tap of `red` catches of a packet that comes out of a tun device, which has no Ethernet."""
    with inside(path_of("red")):
        tap = Tap("red", tap_filter(mark))
        tun = os.open("/dev/net/tun", os.O_RDWR)
        try:
            fcntl.ioctl(tun, 0x400454CA, struct.pack("=16sH22x", b"tun\xff", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, 0x8914, struct.pack("=16sH22x", b"tun\xff", 1))  # SIOCSIFFLAGS, IFF_UP
            os.write(tun, packet)
            return [plain(caught) for caught in until_quiet(tap)]
        finally:
            os.close(tun)
            release([tap.socket])


def starve(mark: Mark, frame: bytes, times: int) -> tuple[int, int]:
    """How many of the frames a tap catches when nobody reads it meanwhile, and how many it says it lost."""
    with inside(path_of("host")):
        tap = Tap("host", tap_filter(mark))
    try:
        tap.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with inside(path_of("red")), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("eth0", 0))
            for _ in range(times):
                out.send(frame)
        time.sleep(0.2)
        return len(list(tap.read(Buffers()))), tap.lost()
    finally:
        release([tap.socket])


def flooded(mark: Mark, frame: bytes, other: bytes, times: int, room: int) -> dict[str, Any]:
    """A tap with little room is given many frames; what it keeps, and whether it hears of `other` then, and after it was cleared."""
    with inside(path_of("host")):
        tap = Tap("host", tap_filter(mark), Room(room, 1 << 20))
    try:
        with inside(path_of("red")), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("eth0", 0))
            for _ in range(times):
                out.send(frame)
            kept = len(until_quiet(tap))
            full = tap.full
            out.send(other)
            told, queued = len(until_quiet(tap)), bool(select.select([tap], [], [], 0)[0])
            tap.clear()
            again = tap.full
            out.send(other)
            return {"kept": kept, "full": full, "told": told, "queued": queued, "again": again, "heard": len(until_quiet(tap))}
    finally:
        release([tap.socket])


def decided(program: tuple[Instruction, ...], frames: list[bytes]) -> list[bytes]:
    """Those of the frames that the kernel gives to a tap with this filter, when they come out of red."""
    with inside(path_of("red")):
        tap = Tap("red", program)
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
                out.bind(("eth0", 0))
                for frame in frames:
                    out.send(frame)
            return [caught.frame for caught in until_quiet(tap) if caught.packet_type == 4]
        finally:
            release([tap.socket])


def heard_by(asked: str, port: int, sources: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Which of these senders, all on lo of red, a UDP socket with the filter for an answer hears."""
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with inside(path_of("red")), socket.socket(family, socket.SOCK_DGRAM) as ours:
        ours.bind((asked, 0))
        attach(ours, answer_filter(asked, port))
        for source, sport in sources:
            with socket.socket(family, socket.SOCK_DGRAM) as theirs:
                theirs.bind((source, sport))
                theirs.sendto(b"hello", ours.getsockname())
        heard = []
        ours.settimeout(0.2)
        with suppress(TimeoutError):
            while True:
                heard.append(ours.recvfrom(100)[1][:2])
        return heard


def released(count: int, kernel: tuple[int, int]) -> tuple[int, int]:
    """Open descriptors before and after `count` packet sockets were opened and released as on this kernel."""
    with patch("netprobe.kernel.close._kernel", return_value=kernel):
        return _released(count)


def _released(count: int) -> tuple[int, int]:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counting, not walking
    release([socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3) for _ in range(count)])
    deadline = time.monotonic() + 5
    while (after := len(os.listdir("/proc/self/fd"))) > before and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.02)
    return before, after


def queue_room(mark: Mark) -> Any:
    """The tap's receive buffer in bytes, as the kernel counts (twice what was asked)."""
    tap = Tap("host", tap_filter(mark))
    try:
        return tap.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), 2 * BUFFER
    finally:
        release([tap.socket])
