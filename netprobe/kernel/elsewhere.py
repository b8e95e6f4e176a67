"""Another kernel in the place of this one: a namespace of another host, where somebody asks for us.

What a thread asks while it is `at` such a place - netlink, files of /proc, tools, sockets - goes there: the
functions of `linux` that would ask this kernel look here first. A run on one machine pays one look at a
context variable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, TypeAlias


class NetlinkSocket(Protocol):
    """A netlink socket, of this kernel or of another, as far as it is used."""

    def send(self, data: bytes, /) -> int:
        """Ask."""
        ...

    def recvmsg(self, size: int, /) -> tuple[bytes, list[Any], int, Any]:
        """A datagram of the answer, as socket.recvmsg gives it. Raises OSError."""
        ...

    def close(self) -> None:
        """No more is asked."""
        ...


class DistantNetlinkSocket(NetlinkSocket, Protocol):
    """One of another kernel. `most`: how many entries are wanted of the next dump; 0: all."""

    most: int


class Ended(NamedTuple):
    """How a tool ended there, and what it printed; `code` is None where it did not end in time."""

    code: int | None
    output: bytes
    errors: bytes


class DistantSocket(ABC):
    """A socket of another host, as far as a probe needs one. What it is told may be done only when something
    is asked of it, or when it is bound to an address or a port: the first refusal is the OSError of that.
    """

    family: int
    shift_ns: int
    """What is to be added to the stamps of its kernel, for them to be of this machine's clock."""

    @abstractmethod
    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """setsockopt(2)."""

    @abstractmethod
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """getsockopt(2)."""

    @abstractmethod
    def bind(self, address: Any, /) -> None:
        """bind(2), with an address as Python writes it, or a struct sockaddr."""

    @abstractmethod
    def connect(self, address: Any, /) -> None:
        """connect(2)."""

    @abstractmethod
    def getsockname(self) -> Any:
        """getsockname(2)."""

    @abstractmethod
    def attach(self, program: bytes) -> None:
        """A filter, and an empty queue."""

    @abstractmethod
    def enlarge(self) -> None:
        """A long queue."""

    @abstractmethod
    def hear(self) -> None:
        """From now on `recvmsg` has what comes."""

    @abstractmethod
    def fire(self, data: bytes, address: Any = None) -> int:
        """Send, and say when that was, in ns since the epoch of this machine's clock. Raises OSError."""

    @abstractmethod
    def recvmsg(self, size: int, room: int, flags: int = 0, /) -> tuple[bytes, list[Any], int, Any]:
        """What has come, or an error of the queue of errors. Raises BlockingIOError when there is none."""

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor of ours that can be read when something has come."""

    @abstractmethod
    def close(self) -> None:
        """It is needed no more."""

    def __enter__(self) -> DistantSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# a frame of a tap: the name of the interface, and as recvmsg(2) gave them struct sockaddr_ll, the control
# messages, the frame
Distant = tuple[str, bytes, bytes, bytes]


class HostSensors(ABC):
    """What one host contributes to one observation: its taps, and its sockets if the source is there.

    `gone` says why nothing more comes of it, "" while it does; `shift_ns` is as a socket's, and right but for
    `bound_ns`.
    """

    gone: str
    shift_ns: int
    bound_ns: int

    @abstractmethod
    def tap(self, place: Elsewhere, program: bytes, frames: int, size: int) -> int:
        """A tap to be armed, which keeps so many frames and bytes: its number."""

    @abstractmethod
    def arm(self) -> None:
        """Begin to arm the taps."""

    @abstractmethod
    def armed(self, tap: int) -> OSError | None:
        """Why this tap could not be armed; None when it listens."""

    @abstractmethod
    def begin(self) -> None:
        """Begin to hand out what comes. Raises CannotLook where a socket cannot do what it was told."""

    @abstractmethod
    def taken(self, tap: int) -> list[Distant]:
        """The frames that have come of a tap."""

    @abstractmethod
    def lost(self, tap: int) -> tuple[int, bool]:
        """How many frames a tap had no room for, and whether it was full: after `end`."""

    @abstractmethod
    def fileno(self) -> int:
        """A descriptor of ours that can be read when something has come."""

    @abstractmethod
    def finish(self) -> None:
        """Begin to end."""

    @abstractmethod
    def end(self) -> None:
        """Nothing more is sent or heard, but what has come already. Harmless when repeated."""


class Elsewhere(ABC):
    """A network namespace of another host, open there until each who holds it has let go.

    What cannot be had is an OSError, a host that is lost CannotLook.
    """

    number: int
    """Of the descriptor there: what an attribute of a netlink message calls the namespace."""

    identity: tuple[int, int]
    """(device, inode) there."""

    host: str
    """What tells the kernel from others."""

    @property
    @abstractmethod
    def is_incomplete(self) -> bool:
        """Whether something that was asked here has got no answer yet: what is made of it is not kept."""

    @abstractmethod
    def close(self) -> None:
        """Let go: the last who does closes it."""

    @abstractmethod
    def again(self) -> Elsewhere:
        """This, held once more."""

    @abstractmethod
    def netlink(self, protocol: int, strict: bool) -> DistantNetlinkSocket:
        """A netlink socket of a protocol, with strict checking or without."""

    @abstractmethod
    def cookie(self) -> int:
        """SO_NETNS_COOKIE, 0 where it is not offered."""

    @abstractmethod
    def file(self, path: str, limit: int) -> bytes:
        """The content of a file of the kernel's."""

    @abstractmethod
    def link(self, path: str) -> str:
        """Where a link of /proc leads."""

    @abstractmethod
    def names(self, path: str, limit: int) -> list[str]:
        """The names in a directory of /proc."""

    @abstractmethod
    def key(self, path: str) -> tuple[int, int]:
        """(device, inode) of what a link of /proc leads to."""

    @abstractmethod
    def tools(
        self, commands: Mapping[str, Sequence[str]], limit: int, seconds: float
    ) -> dict[str, Ended | OSError]:
        """What the named command lines print, run side by side: up to so many bytes each, and for so long."""

    @abstractmethod
    def sensors(self) -> HostSensors:
        """What the host contributes to the observation that is under way: one for all its namespaces."""

    @abstractmethod
    def socket(self, family: int, kind: int, protocol: int, uid: int) -> DistantSocket:
        """A socket for a probe, which belongs to the user `uid`, 0: to the one who asks."""


Place: TypeAlias = "int | Elsewhere"
"""An open network namespace: a descriptor of ours, or one of another host."""

_current: ContextVar[Elsewhere | None] = ContextVar("current", default=None)

current = _current.get
"""The place on another host at which this thread is; None: it is on this machine."""


@contextmanager
def at(place: Elsewhere | None) -> Iterator[None]:
    """In the block this thread asks at `place`; None: on this machine."""
    before = _current.set(place)
    try:
        yield
    finally:
        _current.reset(before)
