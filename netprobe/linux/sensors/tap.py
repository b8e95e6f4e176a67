"""A tap: one AF_PACKET socket that sees every interface of the namespace it was opened in, through a kernel
filter.

Order matters: protocol 0, then the filter, then bind; nothing unfiltered is ever queued, and opening takes
0.05 ms. Received with recvmsg(2) through ctypes, because Python's own fails on an interface whose name is not
UTF-8. packet(7).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from netprobe.kernel.arrays import array
from netprobe.kernel.elsewhere import DistantSocket
from netprobe.wire.bpf import RET, Instruction, packed
from netprobe.wire.dissect import ETHERNET, RAW_IP
from netprobe.wire.numbers import ETHERNET_DEVICES

from .haul import AT_ONCE, Buffers, Haul, Taken

SO_ATTACH_FILTER = 26  # include/uapi/asm-generic/socket.h
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS_NEW = 64
SOL_PACKET = 263
PACKET_STATISTICS, PACKET_AUXDATA = 6, 8  # include/uapi/linux/if_packet.h
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
ETH_P_ALL = 3
SIOCGIFNAME = 0x8910

BUFFER = 1 << 20  # bytes of queue: 64 KiB lost 21 % of a burst over 200 namespaces
LATEST, LONGEST = (1 << 63) - 1, (1 << 32) - 1  # ns and bytes, as a capture can tell them
NOTHING = ((RET, 0, 0, 0),)  # a filter
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata
_TIMESPEC = struct.Struct("=qq")  # struct __kernel_timespec
# a struct cmsghdr with the one and with the other, of which the first is the earlier
_USUAL = struct.Struct("@NiiqqNiiIIIHHHH")
_STAMPED = (struct.calcsize("@Nii") + _TIMESPEC.size, socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW)
_WITH_AUXDATA = (struct.calcsize("@Nii") + _AUXDATA.size, SOL_PACKET, PACKET_AUXDATA)
_ALIGNMENT = struct.calcsize("@N")  # of a control message

_libc = ctypes.CDLL(None, use_errno=True)
AnySocket: TypeAlias = "socket.socket | DistantSocket"


class Caught(Struct, frozen=True):
    """A frame as a tap caught it.

    `stamp_ns` is the kernel's, since the epoch; where that is another host's, it may be wrong by `bound_ns`.
    `packet_type` is PACKET_HOST and so on.
    """

    namespace: str
    interface: str
    stamp_ns: int
    packet_type: int
    frame: bytes
    wire_length: int
    link_type: int
    index: int
    bound_ns: int = 0


class Room(Struct, frozen=True):
    """How much one tap keeps: what is beyond it is no probe's, but somebody who floods."""

    frames: int
    bytes: int


PLENTY = Room(1 << 16, 1 << 26)


class Tap:
    """A tap on the namespace in which the calling thread is. Raises OSError when it cannot be had. Close it.

    `beside` is a tap for what travels beside the probe. One that is `full` takes no more.
    """

    def __init__(
        self, namespace: str, instructions: tuple[Instruction, ...], room: Room = PLENTY, beside: bool = False
    ) -> None:
        self.namespace = namespace
        self.beside = beside
        self.names: dict[int, str] = {}
        self._instructions, self._room = instructions, room
        self._frames, self._bytes = room.frames, room.bytes
        self.full = False
        self.socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
        try:
            attach(self.socket, instructions)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            enlarge(self.socket)
            bind_packet(self.socket, 0, ETH_P_ALL)
        except BaseException:
            self.socket.close()
            raise

    def fileno(self) -> int:
        """The socket's descriptor, for epoll."""
        return self.socket.fileno()

    def read(self, buffers: Buffers) -> Iterator[Caught]:
        """Everything that is queued now, oldest first."""
        return map(self.caught, chain.from_iterable(self.take(buffers)))

    def take(self, buffers: Buffers) -> list[Haul]:
        """Everything that is queued now, not yet looked at: the queue is empty soon, whatever `caught` costs
        later.

        A tap that has no room left hears nothing from then on, so that a flood costs neither memory nor time.
        """
        fd, taken = self.socket.fileno(), list[Haul]()
        while not self.full:
            came = buffers.receive(fd)
            if came is None:  # ENETDOWN is told once, and the queue goes on
                continue
            count = len(came)
            if count:
                self._keep(came)
                taken.append(came)
            if count < AT_ONCE:
                break
        return taken

    @property
    def crowded(self) -> bool:
        """Whether a good part of its room is taken."""
        return self._frames < self._room.frames * 3 // 4 or self._bytes < self._room.bytes * 3 // 4

    def clear(self) -> None:
        """Throw away everything that is queued, and begin anew: nothing of it can be the probe, which was not
        sent yet.
        """
        attach(self.socket, NOTHING)
        empty(self.socket)
        self.lost()  # reading it sets it to 0
        self._frames, self._bytes, self.full = self._room.frames, self._room.bytes, False
        attach(self.socket, self._instructions)

    def _keep(self, haul: Haul) -> None:
        """Give the frames room; what comes after the last of it is left out."""
        for number, size in enumerate(haul.sizes(), 1):
            self._frames, self._bytes = self._frames - 1, self._bytes - size
            if self._frames <= 0 or self._bytes <= 0:
                haul.cut(number)
                self._stop()
                return

    def _stop(self) -> None:
        self.full = True
        attach(self.socket, NOTHING)
        empty(self.socket)

    def caught(self, taken: Taken) -> Caught:
        """A frame that `take` gave. The tap has to be open still: it asks for the interface's name."""
        return caught(self.namespace, self.name(index_of(taken)), taken)

    def name(self, index: int) -> str:
        """The name of the interface, remembered; "if7" when it is gone.

        Bytes that are not UTF-8 become surrogates.
        """
        if index not in self.names:
            try:
                answer = fcntl.ioctl(self.socket, SIOCGIFNAME, struct.pack("=16si20x", b"", index))
                self.names[index] = os.fsdecode(answer[:16].split(b"\0")[0])
            except OSError:
                self.names[index] = f"if{index}"
        return self.names[index]

    def lost(self) -> int:
        """How many matching frames the kernel had no room for since the tap was opened (the kernel then
        starts from 0).
        """
        _, dropped = struct.unpack("=II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return int(dropped)


def index_of(taken: Taken) -> int:
    """The interface's, in the struct sockaddr_ll of a frame."""
    [index] = struct.unpack_from("=i", taken[0], 4)
    return int(index)


def caught(namespace: str, interface: str, taken: Taken, shift_ns: int = 0, bound_ns: int = 0) -> Caught:
    """A frame as it was caught on an interface of a namespace, on a host whose clock is so far behind."""
    address, control, frame = taken
    index, hatype, packet_type = struct.unpack_from("=iHB", address, 4)
    at_ns, length, tag = _of_usual(control) or _of_any(control)
    ethernet = hatype in ETHERNET_DEVICES
    if tag and ethernet:  # the kernel keeps the tag beside the frame
        frame, length = frame[:12] + tag + frame[12:], length + 4
    link_type = ETHERNET if ethernet else RAW_IP
    length = min(length, LONGEST) or len(frame)
    stamp_ns = max(0, at_ns + shift_ns)
    return Caught(namespace, interface, stamp_ns, packet_type, frame, length, link_type, index, bound_ns)


def bind_packet(sock: AnySocket, index: int, protocol: int) -> None:
    """Bind an AF_PACKET socket to an interface; index 0 is every interface, also one that comes later.

    By hand, since Python's bind knows interfaces by name only, and only by names that are UTF-8. Raises
    OSError.
    """
    address = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(protocol), index)
    if isinstance(sock, DistantSocket):
        sock.bind(address)
        return
    if _libc.bind(sock.fileno(), address, len(address)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def attach(sock: AnySocket, instructions: tuple[Instruction, ...]) -> None:
    """Give a socket its kernel filter."""
    if isinstance(sock, DistantSocket):
        sock.attach(packed(instructions))
        return
    code = array(len(instructions) * 8, packed(instructions))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(instructions), ctypes.addressof(code))
    )


def empty(sock: AnySocket) -> None:
    """Throw away what is queued at a socket whose filter takes no more."""
    while not isinstance(sock, DistantSocket):  # which is emptied with its filter
        try:
            sock.recv(1)
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # which is told once
                return


def enlarge(sock: AnySocket) -> None:
    """Give a socket a long queue; without privilege as long as the system allows."""
    if isinstance(sock, DistantSocket):
        sock.enlarge()
        return
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def stamp_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp in ns since the epoch among the control messages that recvmsg gave; 0 without
    one.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW) and len(data) >= _TIMESPEC.size:
            seconds, rest = _TIMESPEC.unpack_from(data)
            return min(max(0, int(seconds) * 1_000_000_000 + int(rest)), LATEST)
    return 0


def _of_usual(control: bytes) -> tuple[int, int, bytes] | None:
    """What `_of_any` says, of control messages as every kernel writes them for a tap: a stamp, and what lies
    beside an untagged frame.
    """
    if len(control) < _USUAL.size:
        return None
    found = _USUAL.unpack_from(control)
    if found[:3] != _STAMPED or found[5:8] != _WITH_AUXDATA or found[8] & TP_STATUS_VLAN_VALID:
        return None
    return min(max(0, found[3] * 1_000_000_000 + found[4]), LATEST), found[9], b""


def _of_any(control: bytes) -> tuple[int, int, bytes]:
    """The stamp in ns, the length on the wire, and the tag."""
    ancillary = messages_of(control)
    return stamp_of(ancillary), *_auxiliary(ancillary)


def messages_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """The control messages in a buffer (cmsg(3))."""
    messages, at, head = [], 0, struct.calcsize("@Nii")
    while at + head <= len(data):
        size, level, kind = struct.unpack_from("@Nii", data, at)
        if size < head:
            break
        messages.append((level, kind, data[at + head : at + size]))
        at += (size + _ALIGNMENT - 1) & ~(_ALIGNMENT - 1)
    return messages


def _auxiliary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, bytes]:
    """struct tpacket_auxdata: the frame's length on the wire, and the four bytes of its VLAN tag if it has
    one.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(data) >= _AUXDATA.size:
            status, length, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
            if not status & TP_STATUS_VLAN_VALID:
                return length, b""
            return length, struct.pack(">HH", tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100, tci)
    return 0, b""
