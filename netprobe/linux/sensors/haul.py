"""Frames as a call received them: many at once, and left where the kernel has put them until there is time to
look. While a run waits for its answer, what is not done is not waited for.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from netprobe.kernel.received import Header, OneOfMany, Piece

MSG_DONTWAIT = 0x40

AT_ONCE = 16  # frames of one call
SLOTS = 3 * AT_ONCE  # frames that may lie there
USUAL = 20  # that one probe makes of itself
CONTROL, NAME = 256, 32  # bytes of control messages and of a struct sockaddr_ll
BEFORE, FRAME = 512, 1 << 16  # bytes before a frame, and its own
SLOT = FRAME + 4096  # the beginnings of all lie in a page of their own
_ONE = ctypes.sizeof(OneOfMany)

_libc = ctypes.CDLL(None, use_errno=True)

# as recvmsg(2) gave them: struct sockaddr_ll, the control messages, the frame
Taken = tuple[bytes, bytes, bytes]


class Haul:
    """What one call brought. It lies where the kernel has put it until somebody looks at it, or the place is
    needed again.
    """

    __slots__ = ("_copies", "_count", "_first", "_place")

    def __init__(self, place: Buffers, first: int, count: int) -> None:
        self._place, self._first, self._count = place, first, count
        self._copies: list[Taken] | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Taken]:
        return iter(self.copies())

    def copies(self) -> list[Taken]:
        """The frames, as objects of their own."""
        if self._copies is None:
            self._copies = [self._place.copy(slot) for slot in self._slots()]
        return self._copies

    def sizes(self) -> list[int]:
        """The bytes of each; asked for at once or never."""
        many = self._place.many
        return [many[slot].length for slot in self._slots()]

    def cut(self, count: int) -> None:
        """The first ones only."""
        self._count = count

    def _slots(self) -> range:
        return range(self._first, self._first + self._count)


class Buffers:
    """The place to receive into, shared by all taps of a run: what waits at one comes by one system call.

    Its memory is the kernel's until it is written to. Those of former runs are lent again.
    """

    def __init__(self) -> None:
        self._memory = mmap(-1, SLOTS * SLOT, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        slots = range(start, start + SLOTS * SLOT, SLOT)
        self._pieces = (Piece * SLOTS)(*(Piece(slot + BEFORE, FRAME) for slot in slots))
        piece, size = ctypes.addressof(self._pieces), ctypes.sizeof(Piece)
        headers = (
            Header(slot, NAME, piece + k * size, 1, slot + NAME, CONTROL, 0) for k, slot in enumerate(slots)
        )
        self.many = (OneOfMany * SLOTS)(*(OneOfMany(header, 0) for header in headers))
        self._fresh = bytes(self.many)  # the kernel writes lengths over
        self._next, self._lying = 0, list[Haul]()
        self._is_lent, self._is_found = True, False

    def rehearse(self) -> None:
        """Receive something now: the first time takes five times as long as the next, and a page that was
        never written to has to be found first.
        """
        for slot in range(0 if self._is_found else USUAL):
            self._memory[slot * SLOT] = 0
        self._is_found = True
        with suppress(OSError):
            ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            with ours, other:
                for _ in range(2):
                    other.send(bytes(64))
                self.receive(ours.fileno())
        self._begin()

    def receive(self, fd: int) -> Haul | None:
        """The next frames that wait at a socket, no more where they are fewer than AT_ONCE; None where it had
        something else to tell.
        """
        first = self._next
        if first + AT_ONCE > SLOTS:
            self._begin()
            first = 0
        count = _libc.recvmmsg(fd, ctypes.byref(self.many, first * _ONE), AT_ONCE, MSG_DONTWAIT, None)
        if count <= 0:
            return None if ctypes.get_errno() in (errno.ENETDOWN, errno.EINTR) else Haul(self, first, 0)
        haul = Haul(self, first, count)
        self._next = first + count
        self._lying.append(haul)
        return haul

    def _begin(self) -> None:
        """Begin in front again; what lies there still is copied."""
        for haul in self._lying:
            haul.copies()
        self._lying.clear()
        ctypes.memmove(self.many, self._fresh, self._next * _ONE)
        self._next = 0

    def copy(self, slot: int) -> Taken:
        """What lies there."""
        one, at, memory = self.many[slot], slot * SLOT, self._memory
        control, frame = at + NAME, at + BEFORE
        return (
            memory[at:control],
            memory[control : control + one.header.controllen],
            memory[frame : frame + one.length],
        )

    def close(self) -> None:
        """For the next run. What lies there is copied: who has it keeps it. Harmless when repeated."""
        self._begin()
        if self._is_lent:
            self._is_lent = False
            _idle.append(self)

    @staticmethod
    def lent() -> Buffers:
        """A place that is nobody's now. Close it."""
        try:
            place = _idle.pop()
        except IndexError:
            return Buffers()
        place._is_lent = True
        return place


_idle: list[Buffers] = []
