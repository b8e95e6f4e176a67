"""Netlink messages that no kernel sends: another host's agent may. What they are about could not be read; nothing crashes."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

import pytest

from netprobe.linux.netlink import ROUTE, SOCK_DIAG, decoded
from netprobe.linux.tables import fib, links, neighbours, policy


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def route(prefixlen: int, *attributes: bytes, family: int = socket.AF_INET) -> bytes:
    return struct.pack("=8BI", family, prefixlen, 0, 0, 254, 4, 0, 1, 0) + b"".join(attributes)


def read_route(body: bytes) -> object:
    return fib.route_of(decoded(ROUTE, 24, body))


def read_alike(body: bytes) -> object:
    known = fib.AlikeRoutes()
    known.read(route(24, attribute(1, bytes((10, 0, 0, 0)))), lambda: decoded(ROUTE, 24, route(24, attribute(1, bytes((10, 0, 0, 0))))))
    return known.read(body, lambda: decoded(ROUTE, 24, body))


def read_socket(body: bytes) -> object:
    return decoded(SOCK_DIAG, 20, body)["idiag_src"]


ADDRESS = struct.pack("=4BI", socket.AF_INET, 33, 128, 0, 1) + attribute(2, bytes(4))
RULE = struct.pack("=8BI", socket.AF_INET, 0, 64, 0, 254, 0, 0, 1, 0) + attribute(2, bytes(4))


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (read_route, route(33, attribute(1, bytes(4)))),
        (read_route, route(24, attribute(1, bytes(3)))),
        (read_route, route(0, attribute(4, b"\1"))),
        (read_route, route(64, attribute(1, bytes(11)), family=socket.AF_INET6)),
        (read_alike, route(24, attribute(1, b""))),
        (links.address_of, ADDRESS),
        (links.address_of, struct.pack("=4BI", socket.AF_INET, 8, 128, 0, 1)),
        (policy.rule_of, RULE),
        (read_socket, bytes((8,)) + bytes(71)),
    ],
)
def test_what_cannot_be_is_an_error_as_of_the_kernel(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(OSError, match="an attribute of a message of the kernel") as raised:
        read(body)
    assert raised.value.errno == errno.EBADMSG


def test_a_message_that_says_nothing_is_passed_over() -> None:
    class Empty:
        def bodies(self, _: object) -> list[bytes]:
            return [b"", b""]

    assert policy.read_rules(Empty()) == neighbours.read_neighbours(Empty()) == ()  # type: ignore[arg-type]
