"""Literal RTM_NEWLINK messages of kinds that this machine's kernel may not have: tunnels, bonds, VRFs; and aliases."""

from __future__ import annotations

import struct

import pytest
from decoding import attribute, ip, record, u8, u32

from netprobe.linux.tables.layers import layer_of
from netprobe.model.wiring import Layer

HEADER = struct.pack("=BxHiII", 0, 1, 5, 0x11043, 0)
BE32 = struct.Struct(">I").pack


def layer(kind: str, *data: bytes, alias: bytes = b"") -> Layer:
    info = attribute(1, kind.encode() + b"\0") + attribute(2, b"".join(data))
    named = attribute(20, alias + b"\0") if alias else b""
    return layer_of(record("link", HEADER + attribute(18, info) + named))


@pytest.mark.parametrize("kind", ["gre", "gretap", "erspan"])
def test_gre(kind: str) -> None:
    data = attribute(1, u32(3)), attribute(5, BE32(9)), attribute(6, ip("10.0.0.1")), attribute(7, ip("10.0.0.2"))
    assert layer(kind, *data) == Layer(local="10.0.0.1", remote="10.0.0.2", key=9)


def test_an_end_that_is_not_fixed_is_none() -> None:
    assert layer("gre", attribute(6, ip("0.0.0.0")), attribute(7, ip("10.0.0.2")), attribute(5, BE32(0))) == Layer(remote="10.0.0.2")
    assert layer("ip6gre", attribute(6, ip("::")), attribute(7, ip("2001:db8::2"))) == Layer(remote="2001:db8::2")


@pytest.mark.parametrize("kind", ["ipip", "sit", "ip6tnl"])
def test_ip_in_ip(kind: str) -> None:
    one, other = ("2001:db8::1", "2001:db8::2") if kind == "ip6tnl" else ("10.0.0.1", "10.0.0.2")
    assert layer(kind, attribute(2, ip(one)), attribute(3, ip(other))) == Layer(local=one, remote=other)


def test_vti() -> None:
    assert layer("vti", attribute(3, BE32(7)), attribute(4, ip("10.0.0.1")), attribute(5, ip("10.0.0.2"))) == Layer(
        local="10.0.0.1", remote="10.0.0.2", key=7
    )


def test_geneve() -> None:
    assert layer("geneve", attribute(1, u32(77)), attribute(2, ip("10.0.0.2"))) == Layer(remote="10.0.0.2", key=77)
    assert layer("geneve", attribute(1, u32(77)), attribute(7, ip("2001:db8::2"))) == Layer(remote="2001:db8::2", key=77)


def test_bonds_and_vrfs() -> None:
    assert layer("bond", attribute(1, u8(4))) == Layer(mode="802.3ad")
    assert layer("bond", attribute(1, u8(99))) == Layer()
    assert layer("vrf", attribute(1, u32(10))) == Layer(table=10)


def test_aliases_of_any_bytes() -> None:
    assert layer("veth", alias=b"to the other node") == Layer(alias="to the other node")
    assert layer("veth", alias=b"\xff\x1b[2J") == Layer(alias="\udcff\x1b[2J")
    assert layer("veth") == Layer()
