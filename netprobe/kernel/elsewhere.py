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


class Channel(Protocol):
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


class DistantChannel(Channel, Protocol):
    """One of another kernel. `most`: how many entries are wanted of the next dump; 0: all."""

    most: int


class Ended(NamedTuple):
    """How a tool ended there, and what it printed; `code` is None where it did not end in time."""

    code: int | None
    output: bytes
    errors: bytes


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
    def netlink(self, protocol: int, strict: bool) -> DistantChannel:
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
