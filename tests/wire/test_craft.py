"""The packets of one probe: each as scapy makes it, though scapy makes only the first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark

ADDRESSES = {4: ("10.0.0.2", "192.0.2.7"), 6: ("fd00::2", "2001:db8::7")}
PROBES = [
    (Protocol.ICMP, 4), (Protocol.ICMPV6, 6), (Protocol.UDP, 4), (Protocol.UDP, 6), (Protocol.TCP, 4), (Protocol.TCP, 6),
]  # fmt: skip


def probe(protocol: Protocol, version: int, run: bytes, size: int, first: int, isn: int, count: int) -> Recipe:
    ports = tuple(40000 + n % 2000 for n in range(count)) if protocol in (Protocol.UDP, Protocol.TCP) else ()
    port = 80 if ports else None
    return Recipe(Mark(protocol, run, count, size, 7, first, isn, ports, port), *ADDRESSES[version])


@pytest.mark.parametrize(("protocol", "version"), PROBES)
@settings(max_examples=30, deadline=None)
@given(
    run=st.binary(min_size=6, max_size=6),
    size=st.integers(16, 300),
    first=st.integers(0, 65535),
    isn=st.integers(0, 2**32 - 1),
)
def test_each_is_as_scapy_makes_it(protocol: Protocol, version: int, run: bytes, size: int, first: int, isn: int) -> None:
    recipe = probe(protocol, version, run, size, first, isn, 5)
    by_scapy = [next(craft(recipe, sequence)) for sequence in range(5)]
    assert list(craft(recipe)) == by_scapy


def test_all_checksums_that_there_are() -> None:
    """Of 65,536 sequence numbers each gives another one."""
    recipe = probe(Protocol.UDP, 4, b"runrun", 56, 0, 0, 70_000)
    packets = list(craft(recipe))
    for sequence in range(0, 70_000, 997):
        assert packets[sequence] == next(craft(recipe, sequence))
    assert all(packet[6:8] != b"\0\0" for packet in packets)
