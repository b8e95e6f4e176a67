"""Rules that read a packet's bytes by their place, against the kernel's own reading of them."""

from __future__ import annotations

import pytest
from literal_rules import DROP, forward, iptables, nft_forward

from netprobe.model import Flow, Protocol
from netprobe.rules import HookVerdict
from netprobe.rules.octets import bits, network, transport, u32
from netprobe.rules.packet import HookPacket

SYN = HookPacket(Flow("10.0.0.2", "8.8.8.8", Protocol.TCP, 40000, 80, ttl=63, length=60), df=True, tcp_flags=("syn",))
ECHO = HookPacket(Flow("fd00::2", "fd00::3", Protocol.ICMPV6, ttl=64, length=104, icmp_type=128, icmp_id=7))


@pytest.mark.parametrize(
    ("tests", "holds"),
    [
        ("0x6&0xff=0x6", True), ("0x6&0xff=0x11", False), ("0xc=0xa000002", True), ("0x10=0x8080800:0x808080f", True),
        ("0&0xffff=0x3c", True), ("0&0xffff=0x28:0x3b,0x3d", False), ("0x4&0x4000=0x4000", True),
        ("0>>0x16&0x3c@0>>0x10=0x9c40", True), ("0>>22&0x3C@0&0xFFFF=80", True), ("0>>22&0x3C@12>>16&0x2=2", True),
        ("0x6&0xff=0x6&&0x8>>0x18=0x3f", True), ("0x6&0xff=0x6 && 0x8>>24=0x40", False), ("2&0xffff=1", None),
        ("0>>22&0x3C@4=1", None), ("2&0xffff=1&&0x6&0xff=0x11", False),
    ],
)  # fmt: skip
def test_u32(tests: str, holds: bool | None) -> None:
    assert u32(network(SYN), tests) is holds


def test_what_is_no_test_is_not_understood() -> None:
    with pytest.raises(ValueError, match="no place"):
        u32(network(SYN), "x=1")


def test_fields_of_bits() -> None:
    assert bits(network(SYN), 72, 8) == 6
    assert bits(network(SYN), 4, 4) == 5
    assert bits(transport(SYN), 16, 16) == 80
    assert bits(network(SYN), 32, 16) is None
    assert bits(network(ECHO), 48, 8) == 58
    assert bits(network(ECHO), 0, 4) == 6
    assert bits(transport(ECHO), 0, 8) == 128


def test_a_rule_with_u32_decides() -> None:
    found = forward(iptables('-A FORWARD -m u32 --u32 "0x6&0xff=0x1" -j DROP'))
    assert found.verdict is HookVerdict.DROP
    assert forward(iptables('-A FORWARD -m u32 --u32 "0x6&0xff=0x6" -j DROP')).verdict is HookVerdict.ACCEPT
    assert forward(iptables('-A FORWARD -m u32 ! --u32 "0x6&0xff=0x6" -j DROP')).verdict is HookVerdict.DROP


@pytest.mark.parametrize(
    ("base", "offset", "length", "value", "verdict"),
    [
        ("nh", 72, 8, 1, "drop"),
        ("nh", 72, 8, 6, "accept"),
        ("th", 0, 8, 8, "drop"),
        ("th", 16, 16, 5, "undetermined"),
        ("ll", 0, 8, 2, "undetermined"),
    ],
)
def test_raw_payload(base: str, offset: int, length: int, value: int, verdict: str) -> None:
    left = {"payload": {"base": base, "offset": offset, "len": length}}
    found = forward(nft_forward([{"match": {"op": "==", "left": left, "right": value}}, DROP]))
    assert found.verdict == verdict
