"""The host of the source of a probe says something else than it is asked: no observation, and the reason; or a blind spot."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import pytest
from fleet.hostile import connected

from netprobe.errors import CannotLook
from netprobe.fleet.place import DistantNamespace
from netprobe.fleet.questions import Questions
from netprobe.linux.netns import inside
from netprobe.linux.sensors.observe import _open_sender
from netprobe.linux.sensors.tap import attach
from netprobe.linux.sensors.taps import BridgePorts
from netprobe.model import Endpoint, Probe, Protocol

SAID = {"errno": 1, "text": "not permitted"}


def place(**operations: Any) -> DistantNamespace:
    """Of a host that answers an operation of a socket as the test says."""

    def answered(_run: str, _place: int, asked: list[Any]) -> list[Any]:
        return [operations.get(name) for name, *_ in asked]

    connection = connected("h1", clock=time.time_ns, sender=answered, take=lambda *_: time.sleep(0.01))
    return DistantNamespace(Questions("h1", connection), 7, (1, 2))


def at_source(**operations: Any) -> Any:
    return place(getsockname=["10.0.0.1", 4000], **operations).socket(socket.AF_INET, socket.SOCK_RAW, 1, 0)


NAMES = [5, None, [],
         ["10.0.0.1"], ["10.0.0.1", -1], ["10.0.0.1", 1 << 16], ["10.0.0.1", "80"], ["::1", 80], ["x", 80], [b"", 80], "10.0.0.1",
         ["\0", 80], ["\udc80", 80], ["1" * 10**6, 80], [["10.0.0.1"], 80]]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda each: f"{each!r:.30}")
def test_a_name_of_a_socket_that_is_none(name: Any) -> None:
    sock = place(getsockname=name).socket(socket.AF_INET, socket.SOCK_DGRAM, 0, 0)
    with pytest.raises(CannotLook, match="h1 gives other answers"):
        sock.getsockname()


def test_a_name_of_a_socket() -> None:
    assert at_source().getsockname() == ("10.0.0.1", 4000)


@pytest.mark.parametrize("operation", ["hear", "filter"])
@pytest.mark.parametrize("is_asked", [True, False])
def test_a_socket_that_cannot_hear_is_no_observation(operation: str, is_asked: bool) -> None:
    """Not even where a question that may be refused went with it."""
    sock = at_source(**{operation: SAID})
    attach(sock, ((6, 0, 0, 1),))
    if is_asked:
        assert sock.getsockopt(1, 55, 36) == b""
    with pytest.raises(CannotLook, match="h1 cannot listen: not permitted"):
        sock._host.begin()


@pytest.mark.parametrize("answer", [SAID, 10**9, None, "text", [1, 2]], ids=repr)
def test_an_option_is_bytes_or_nothing(answer: Any) -> None:
    sock = at_source(getsockopt=answer)
    assert sock.getsockopt(1, 55, 36) == b""
    assert at_source(getsockopt=b"\0" * 36).getsockopt(1, 55, 36) == b"\0" * 36


def test_an_option_that_is_not_offered_is_no_reason_to_stop() -> None:
    sock = at_source(getsockopt=SAID)
    sock.getsockopt(1, 55, 36)
    sock._host.begin()
    sock._host.end()


SHORT = "a message that ends in its struct"
JUNK = [SHORT, [], [b""], [b"x"], [b"\xff" * 40], [b"\x10\0\0\0" + b"\0" * 12], [b"\0" * 64], [b"\x14\0\0\0\x10\0\0\0" + b"\1" * 12]]


def ended(message: bytes) -> list[bytes]:
    """RTM_NEWLINK with the sequence number of the question."""
    return [struct.pack("=IHHII4s", 20, 16, 0, struct.unpack_from("=I", message, 8)[0], 0, b"junk")]


def junk(said: Any) -> DistantNamespace:
    """Of a host whose netlink answers are these."""

    def answered(_place: int, asked: list[Any]) -> list[Any]:
        return [ended(message) if said == SHORT else said for _, _, _, message, *_ in asked]

    connection = connected("h1", clock=time.time_ns, batch=answered, sender=lambda *_: [None] * 9)
    return DistantNamespace(Questions("h1", connection), 7, (1, 2))


class Book:
    """What is told of blind spots."""

    def __init__(self) -> None:
        self.blinds: list[tuple[str, str]] = []

    def doubtful(self) -> dict[str, list[int]]:
        return {"h1:red": [3]}

    def ports(self, _namespace: str, _indexes: set[int]) -> None:
        pass

    def blind(self, namespace: str, why: str) -> None:
        self.blinds.append((namespace, why))


@pytest.mark.parametrize("said", JUNK, ids=repr)
def test_ports_that_a_host_does_not_tell_are_a_blind_spot(said: Any) -> None:
    book: Any = Book()
    no_watch: Any = None
    BridgePorts(no_watch, {"h1:red": junk(said)}, book).finish()
    [(namespace, why)] = book.blinds
    assert namespace == "h1:red"
    assert why.startswith("ports of bridges: ")


@pytest.mark.parametrize("said", JUNK, ids=repr)
def test_a_source_whose_interfaces_a_host_does_not_tell(said: Any) -> None:
    probe = Probe(Protocol.ARP, "", Endpoint("h1:red", "h1:red", "eth0"), Endpoint("10.0.0.2", None, None, "10.0.0.2"))
    refused: Any = type("Book", (), {"refused": lambda *_: None})()
    there = junk(said)
    with pytest.raises(CannotLook, match="h1"):
        _open_sender(probe, there, refused)
    with inside(there):
        pass
