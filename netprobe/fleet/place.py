"""A network namespace of another host, as `linux` asks in it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from netprobe.kernel.elsewhere import DistantSocket, Elsewhere, Ended
from netprobe.linux import deadline
from netprobe.linux.netlink import (
    LONGEST,
    NETFILTER,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
)

from .questions import PATIENCE_S, NotAsked, Questions, Request, Unanswered
from .sensors import DistantSensors

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_SEQUENCE, _SEQUENCE_AT = struct.Struct("=I"), 8  # in it
_DONE = struct.Struct("=IHHIIi")  # one with an error code

TOOLS = 0.8  # of the patience for an answer, that a tool may take
_T = TypeVar("_T")


class DistantNamespace(Elsewhere):
    """The namespace of the agent's descriptor `number`, which is given up when all have let go."""

    def __init__(self, questions: Questions, number: int, identity: tuple[int, int]) -> None:
        self.questions, self.number, self.identity = questions, number, identity
        self.host = questions.name
        self._holders = 1

    def close(self) -> None:
        """Let go: the last who does closes it."""
        self._holders -= 1
        if self._holders == 0:
            self.questions.shut(self.number)

    def again(self) -> DistantNamespace:
        """This, held once more."""
        self._holders += 1
        return self

    @property
    def is_incomplete(self) -> bool:
        """Whether something that was asked here has got no answer yet."""
        return self.questions.is_incomplete

    def sensors(self) -> DistantSensors:
        """What the host contributes to the observation that is under way: one for all its namespaces."""
        host: DistantSensors = self.questions.sensors or DistantSensors(self.questions)
        self.questions.sensors = host
        return host

    def socket(self, family: int, kind: int, protocol: int, uid: int) -> DistantSocket:
        """A socket for a probe, which belongs to the user `uid`, 0: to the one who asks."""
        return self.sensors().socket(self, family, kind, protocol, uid)

    def netlink(self, protocol: int, strict: bool) -> DistantNetlink:
        """A netlink socket of a protocol, with strict checking or without."""
        return DistantNetlink(self, protocol, strict)

    def cookie(self) -> int:
        """SO_NETNS_COOKIE, 0 where it is not offered."""
        return self._is(int, self._told(0, "cookie"))

    def file(self, path: str, limit: int) -> bytes:
        """The content of a file of the kernel's."""
        return self._is(bytes, self._told(b"", "file", path, limit))

    def link(self, path: str) -> str:
        """Where a link of /proc leads."""
        return self._is(str, self._told("", "link", path))

    def names(self, path: str, limit: int) -> list[str]:
        """The names in a directory of /proc."""
        return [self._is(str, each) for each in self._is(list, self._told([], "names", path, limit))]

    def key(self, path: str) -> tuple[int, int]:
        """(device, inode) of what a link of /proc leads to."""
        device, inode = self._is(list, self._told([0, 0], "key", path))
        return self._is(int, device), self._is(int, inode)

    def tools(
        self, commands: Mapping[str, Sequence[str]], limit: int, seconds: float
    ) -> dict[str, Ended | OSError]:
        """What the named command lines print, run side by side: up to so many bytes each, and for so long."""
        seconds = min(seconds, self.questions.patience(PATIENCE_S) * TOOLS)
        asked = {name: ("tool", list(line), limit, seconds) for name, line in commands.items()}
        keys = {name: ("tool", tuple(line)) for name, line in commands.items()}
        answers = self.questions.ask_all(self.number, [(keys[name], asked[name]) for name in commands])
        return {name: self._ended(answer) for name, answer in zip(commands, answers, strict=True)}

    def _ended(self, answer: Any) -> Ended | OSError:
        match answer:
            case OSError():
                return answer
            case Unanswered():
                return OSError(errno.EIO, str(answer))
            case [int() | None as code, bytes(output), bytes(errors)]:
                return Ended(code, output, errors)
        raise self.nonsense()

    def _told(self, empty: Any, *request: Any) -> Any:
        """The answer to a request here; `empty` in a rehearsal that has none yet. Raises OSError."""
        try:
            return self.questions.ask(self.number, request)
        except NotAsked:
            return empty

    def _is(self, kind: type[_T], value: Any) -> _T:
        """A value of the kind that it should be. Raises CannotLook."""
        if not isinstance(value, kind):
            raise self.nonsense()
        return value

    def nonsense(self) -> Unanswered:
        """The error for what is no answer."""
        return Unanswered(f"{self.host} gives other answers than it was asked for")


class DistantNetlink:
    """A netlink socket of such a namespace: each `send` is one request, with all that answers it."""

    def __init__(self, place: DistantNamespace, protocol: int, strict: bool) -> None:
        self._place, self._protocol, self._strict = place, protocol, strict
        self._datagrams: Iterator[bytes] = iter(())
        self._whole: set[bytes] = set()  # dumps of which all is to be heard
        self.most = 0

    def close(self) -> None:
        """Nothing is held."""

    def send(self, data: bytes, /) -> int:
        """Ask. Raises OSError."""
        first, message = _numbered_from_one(data)
        headers = list(_headers(message))
        is_dump = any(flags & NLM_F_DUMP == NLM_F_DUMP for _, _, flags in headers)
        most = 0 if message in self._whole else self.most
        found = self._asked(message, 0 if is_dump else len(headers), most)
        if is_dump and found and not _is_ended(found):
            self._whole.add(message)
            found = [*found, _cut()]
        self._datagrams = self._numbered(found, first - 1)
        return len(data)

    def _numbered(self, datagrams: Sequence[bytes], by: int) -> Iterator[bytes]:
        """These with the sequence numbers that were asked with, each when it is wanted. Raises OSError,
        ETIMEDOUT when the time of the question is up.
        """
        for each in datagrams:
            deadline.check()
            yield _moved(each, by)

    def _asked(self, message: bytes, wanted: int, most: int) -> list[bytes]:
        request: Request = ("netlink", self._protocol, self._strict, message, wanted, most)
        place = self._place
        try:
            answer = place.questions.ask(place.number, request)
        except NotAsked as error:
            if not wanted and self._protocol != NETFILTER.protocol:
                return [_DONE.pack(_DONE.size, NLMSG_DONE, 0, 1, 0, 0)]
            raise OSError(errno.ENODATA, str(error)) from None
        datagrams = [place._is(bytes, each) for each in place._is(list, answer)]
        if any(len(each) > LONGEST for each in datagrams):
            raise place.nonsense()
        return datagrams

    def recvmsg(self, size: int, /) -> tuple[bytes, list[Any], int, Any]:  # noqa: ARG002 - as a socket's
        """The next datagram of the answer. Raises CannotLook where it ends too early."""
        data = next(self._datagrams, None)
        if data is None:
            raise self._place.nonsense()
        return data, [], 0, None


def _headers(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each message of a datagram begins, its type and its flags."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield at, kind, flags
        at += (length + 3) & ~3


def _numbered_from_one(data: bytes) -> tuple[int, bytes]:
    """The first sequence number of requests, and the requests with numbers from 1: what is asked again is
    known by its bytes.
    """
    [first] = _SEQUENCE.unpack_from(data, _SEQUENCE_AT)
    return first, _moved(data, 1 - first)


def _moved(data: bytes, by: int) -> bytes:
    """Messages with other sequence numbers."""
    moved = bytearray(data)
    for at, _, _ in _headers(data):
        [number] = _SEQUENCE.unpack_from(moved, at + _SEQUENCE_AT)
        _SEQUENCE.pack_into(moved, at + _SEQUENCE_AT, number + by & 0xFFFFFFFF)
    return bytes(moved)


def _is_ended(datagrams: Sequence[bytes]) -> bool:
    """Whether a dump was heard to its end."""
    return any(kind in (NLMSG_DONE, NLMSG_ERROR) for _, kind, _ in _headers(datagrams[-1]))


def _cut() -> bytes:
    """The end of a dump that has more: as of one that was disturbed, so that who needs all asks again."""
    return _DONE.pack(_DONE.size, NLMSG_DONE, NLM_F_DUMP_INTR, 1, 0, 0)
