"""Which rules of the kernel's are for loopback addresses alone: literal bodies of NFT_MSG_NEWRULE."""

from __future__ import annotations

import struct

import pytest
from decoding import attribute, ip

from netprobe.linux.netfilter.translating import is_of_loopback

SOURCE, DESTINATION, EQUAL, UNEQUAL = 12, 16, 0, 1


def be(value: int) -> bytes:
    return struct.pack(">I", value)


def expression(name: str, *data: bytes) -> bytes:
    return attribute(1, attribute(1, name.encode() + b"\0") + attribute(2, b"".join(data)))


def payload(offset: int, size: int = 4, base: int = 1) -> bytes:
    return expression("payload", attribute(1, be(1)), attribute(2, be(base)), attribute(3, be(offset)), attribute(4, be(size)))


def compare(data: bytes, op: int = EQUAL) -> bytes:
    return expression("cmp", attribute(1, be(1)), attribute(2, be(op)), attribute(3, attribute(1, data)))


def rule(*expressions: bytes) -> bytes:
    return bytes(4) + attribute(4, b"".join(expressions))


LOCAL = ip("127.0.0.11")
MASK = expression("bitwise", attribute(1, be(1)))


@pytest.mark.parametrize(
    ("body", "local"),
    [
        (rule(payload(DESTINATION), compare(LOCAL), expression("counter")), True),
        (rule(expression("counter"), payload(SOURCE), compare(LOCAL), expression("immediate")), True),
        (rule(payload(DESTINATION), compare(LOCAL, UNEQUAL)), False),
        (rule(payload(DESTINATION), compare(ip("172.17.0.2"))), False),
        (rule(payload(DESTINATION), MASK, compare(ip("127.0.0.0"))), False),  # a prefix: the tool tells
        (rule(payload(DESTINATION, base=2), compare(LOCAL)), False),
        (rule(payload(4), compare(LOCAL)), False),
        (rule(payload(DESTINATION, 1), compare(b"\x7f")), False),
        (rule(compare(LOCAL)), False),
        (rule(expression("masq")), False),
        (rule(), False),
        (bytes(4), False),
    ],
)
def test_is_of_loopback(body: bytes, local: bool) -> None:
    assert is_of_loopback(body) is local
