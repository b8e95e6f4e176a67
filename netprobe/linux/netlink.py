"""Netlink, read only, spoken by pyroute2: a request, the records that answer it. What they mean is the callers' business.

pyroute2 stays behind this file and `messages`: its import takes 0.2 s, so it comes in with the first socket; its errors become
OSError; a name that is not UTF-8, which it leaves as bytes, becomes a text with surrogates.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .facade import stay_outside

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

ROUTE, SOCK_DIAG, XFRM, NETFILTER = 0, 4, 6, 12  # protocols of include/uapi/linux/netlink.h
NLMSG_DONE = 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x01, 0x04, 0x300, 0x10
DUMP_TRIES = 4  # a dump that changes under our hands is asked again
BATCH = 64  # requests a send: their answers must fit the socket's receive buffer

_T = TypeVar("_T")


class Request(NamedTuple):
    """What is asked: the message's type, its fields, its attributes by name; what is not given is zero or absent."""

    kind: int
    fields: Mapping[str, Any] = {}
    attributes: Sequence[tuple[str, Any]] = ()


class Record:
    """A message of the kernel, or the attributes nested in one, by their names of the kernel's headers.

    Attributes are decoded when they are asked for. Of a repeated one the last counts. One of no record is absent.
    """

    __slots__ = ("_attributes", "_slots", "fields")

    def __init__(self, decoded: dict[str, Any]) -> None:
        self.fields = decoded
        self._slots = dict.get(decoded, "attrs", ())  # pyroute2's own get looks for attributes
        self._attributes = {slot.name: slot for slot in self._slots}

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]

    def __contains__(self, attribute: str) -> bool:
        return attribute in self._attributes

    def __len__(self) -> int:
        """How many attributes it has, those that have no name here among them as one."""
        return len(self._attributes)

    def get(self, attribute: str, default: Any = None) -> Any:
        """The value of an attribute: a number, an address as text, bytes, or a tuple of numbers; `default` where it is absent."""
        slot = self._attributes.get(attribute)
        return default if slot is None else slot.value

    def text(self, attribute: str) -> str:
        """A name; "" where it is absent. Bytes that are not UTF-8 become surrogates, as in file names."""
        return text(self.get(attribute, ""))

    def nest(self, attribute: str) -> Record:
        """The attributes nested in an attribute, and its fields; none where it is absent."""
        found = self.get(attribute)
        return Record(found) if isinstance(found, dict) else Record({})

    def array(self, attribute: str) -> list[Record]:
        """The records of an attribute that holds several."""
        found = self.get(attribute)
        return [Record(each) for each in found] if isinstance(found, list) else []

    def nested(self) -> list[Record]:
        """The records in the attributes of this one, in order: of a list whose attributes are numbered."""
        return [Record(value) for slot in self._slots if isinstance(value := slot.value, dict)]

    def texts(self) -> list[str]:
        """The names in the attributes of this record, in order: of a list of names."""
        return [text(slot.value) for slot in self._slots]


class Netlink:
    """A netlink socket of the namespace in which this thread is when it makes it; `with` closes it. Errors are OSError.

    `unsteady`: a table never held still while it was dumped, so an entry may be missing from it, or be there twice.
    """

    def __init__(self, protocol: int = ROUTE) -> None:
        self.unsteady = False
        self._requests, answers = _messages(protocol)
        self._ends: list[tuple[int, int]] = []  # flags and error of what ended the dumps
        fd = _endpoint(protocol)
        # asyncio, on which pyroute2 is built, refuses a loop inside a loop; a thread is born in the namespace of its maker
        self._thread = _thread() if _in_event_loop() else None
        self._socket = self._call(lambda: _socket(protocol, fd, answers, self._ends))

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._socket.close)
        if self._thread is not None:
            self._thread.shutdown()

    def dump(self, request: Request) -> list[Record]:
        """All entries of a table; one that changes meanwhile is dumped again, a few times. Raises OSError."""
        for _ in range(DUMP_TRIES):
            records, whole = self._call(lambda: self._dumped(request))
            if whole:
                return records
        self.unsteady = True
        return records

    def count(self, request: Request, count: Callable[[Record], int], most: int) -> int:
        """The sum of `count` over the entries of a table, up to the first that takes it past `most`: the last call to this socket."""

        def counted() -> int:
            total = 0
            for record in self._answer(request, NLM_F_DUMP):
                total += count(record)
                if total > most:
                    break
            return total

        return self._call(counted)

    def ask(self, request: Request) -> Record:
        """The answer to a question. Raises OSError when the kernel refuses it."""
        # it ends with its first message: conntrack marks that as one of several, of which no other follows
        return self._call(lambda: list(self._answer(request, 0, terminate=lambda _: True)))[0]

    def ask_all(self, requests: Sequence[Request]) -> Iterator[Record | None]:
        """One answer for each request, in order; None for one that the kernel refuses."""
        for start in range(0, len(requests), BATCH):
            yield from self._call(partial(self._answers, requests[start : start + BATCH]))

    def _dumped(self, request: Request) -> tuple[list[Record], bool]:
        """The entries of a table, and whether it held still meanwhile."""
        from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

        records: list[Record] = []
        self._ends.clear()
        try:
            with _as_os_error():  # a batch of one: message by message, the event loop takes half as long again
                for message in self._socket.nlm_request_batch([self._message(request, NLM_F_DUMP)]):
                    records.append(Record(message))
        except NetlinkDumpInterrupted:  # up to pyroute2 0.7, which looks itself
            return records, False
        flags, error = self._ends[-1]
        if error:
            raise OSError(-error, os.strerror(-error))
        return records, not any(each & NLM_F_DUMP_INTR for each in (flags, *(record["header"]["flags"] for record in records)))

    def _answers(self, requests: Sequence[Request]) -> list[Record | None]:
        messages = [self._message(request, NLM_F_ACK) for request in requests]
        answers = {answer["header"]["sequence_number"]: answer for answer in self._socket.nlm_request_batch(messages, noraise=True)}
        found = (answers.get(message["header"]["sequence_number"]) for message in messages)
        return [None if answer is None else Record(answer) for answer in found]

    def _answer(self, request: Request, flags: int, terminate: Callable[[Any], bool] | None = None) -> Iterator[Record]:
        """The messages of an answer as they come in, up to one that is `terminate`."""
        message = self._message(request, flags)
        with _as_os_error():
            yield from map(Record, self._socket.nlm_request(message, request.kind, NLM_F_REQUEST | flags, terminate=terminate))

    def _message(self, request: Request, flags: int) -> Any:
        message = self._requests[request.kind]()
        message.update(request.fields)
        message["header"].update(type=request.kind, flags=NLM_F_REQUEST | flags)
        message["attrs"] = [list(attribute) for attribute in request.attributes]
        return message

    def _call(self, function: Callable[[], _T]) -> _T:
        return function() if self._thread is None else self._thread.submit(function).result()


@contextmanager
def _as_os_error() -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

    try:
        yield
    except NetlinkDumpInterrupted:
        raise
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error


def _thread() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


def _in_event_loop() -> bool:
    events = sys.modules.get("asyncio.events")  # not imported for the question: it takes 40 ms
    return events is not None and events._get_running_loop() is not None


def _endpoint(protocol: int) -> int:
    """The descriptor of a new netlink socket. Raises OSError where the kernel does not have the protocol: pyroute2 would leak then."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol).detach()


def _socket(protocol: int, fd: int, answers: Mapping[int, type], ends: list[tuple[int, int]]) -> Any:
    """pyroute2's socket, which keeps the ends of dumps to itself: they go to `ends`."""
    from pyroute2.netlink import nlmsg
    from pyroute2.netlink.nlsocket import NetlinkSocket

    class End(nlmsg):  # type: ignore[misc]
        fields = (("error", "i"),)

        def decode(self) -> None:
            super().decode()
            ends.append((self["header"]["flags"], self["error"]))

    made = NetlinkSocket(family=protocol, fileno=fd)
    made.register_policy({**answers, NLMSG_DONE: End})
    return made


def _messages(protocol: int) -> tuple[Mapping[int, type], Mapping[int, type]]:
    """The classes of a protocol's requests and answers."""
    stay_outside()
    name = {ROUTE: "route", SOCK_DIAG: "sockets", XFRM: "xfrm", NETFILTER: "netfilter"}[protocol]
    module = import_module(f".messages.{name}", __package__)
    return module.REQUESTS, module.ANSWERS


def text(value: str | bytes) -> str:
    """A name as text."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def address(value: bytes) -> str:
    """An IPv4 (4 bytes) or IPv6 (16 bytes) address as canonical text; anything else as hex."""
    if len(value) == 4:
        return socket.inet_ntop(socket.AF_INET, value)
    if len(value) == 16:
        return socket.inet_ntop(socket.AF_INET6, value)
    return value.hex(":")
