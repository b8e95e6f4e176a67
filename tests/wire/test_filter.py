"""The kernel filter, run in a small machine over frames that scapy builds: everything of the probe passes, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bpf_machine import accepts
from frames_of_scapy import A6, B6, MAC, MAC2, NAT_PORT, PORT, A, B, Sample, a_mark, ether, packets, samples, strangers
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RS, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netprobe.model import Protocol
from netprobe.wire.bpf import LIMIT
from netprobe.wire.filter import packet_filter, segment_filter, tap_filter

CASES = [
    (Protocol.ICMP, False), (Protocol.ICMPV6, True), (Protocol.UDP, False), (Protocol.UDP, True),
    (Protocol.TCP, False), (Protocol.TCP, True),
]  # fmt: skip
NO_ETHERNET = 65534  # ARPHRD_NONE


def passes(sample: Sample, protocol: Protocol, size: int = 56) -> bool:
    return accepts(tap_filter(a_mark(protocol, size)), sample.frame, 1 if sample.ethernet else NO_ETHERNET)


def each(protocol: Protocol, six: bool, size: int = 56) -> Iterator[Sample]:
    yield from samples(a_mark(protocol, size), six)


@pytest.mark.parametrize("size", [56, 8, 7, 0])
@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_all_of_the_probe_passes(protocol: Protocol, six: bool, size: int) -> None:
    lost = [sample.name for sample in each(protocol, six, size) if not passes(sample, protocol, size)]
    assert lost == []


@pytest.mark.parametrize("size", [56, 0])
@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_nothing_of_another_run_passes(protocol: Protocol, six: bool, size: int) -> None:
    taken = [sample.name for sample in strangers(a_mark(protocol, size), six) if passes(sample, protocol, size)]
    assert [name for name in taken if "fragment" not in name] == []


@pytest.mark.parametrize("protocol", list(Protocol))
def test_neighbours_and_later_fragments_always_pass(protocol: Protocol) -> None:
    program = tap_filter(a_mark(protocol))
    for packet in (
        Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc=A, pdst=B),
        Ether(src=MAC, dst=MAC2) / ARP(op=2, psrc=B, pdst=A),
        ether(IPv6(src=A6, dst=B6) / ICMPv6ND_NS(tgt=B6)),
        ether(IPv6(src=B6, dst=A6) / ICMPv6ND_NA(tgt=B6)),
        ether(IP(src=A, dst=B, frag=185, proto=17) / Raw(b"x" * 30)),
        ether(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(offset=185, nh=17) / Raw(b"x" * 30)),
    ):
        assert accepts(program, bytes(packet)), packet.summary()


@pytest.mark.parametrize("protocol", list(Protocol))
def test_ordinary_traffic_does_not(protocol: Protocol) -> None:
    program = tap_filter(a_mark(protocol))
    for packet in (
        ether(IP(src=A, dst=B) / ICMP(type=8, id=7, seq=1) / Raw(b"abcdefgh" * 7)),
        ether(IP(src=A, dst=B) / UDP(sport=1000, dport=2000) / Raw(b"x" * 20)),
        ether(IP(src=A, dst=B) / TCP(sport=1000, dport=443, seq=0x5000, ack=0x6000, flags="PA") / Raw(b"x" * 1000)),
        ether(IPv6(src=A6, dst=B6) / ICMPv6ND_RS()),
        Ether(src=MAC, dst=MAC2, type=0x88CC) / Raw(b"lldp" * 10),
    ):
        assert not accepts(program, bytes(packet)), packet.summary()


def test_a_udp_answer_passes_by_its_ports_after_a_translation() -> None:
    mark = replace(a_mark(Protocol.UDP), ports=(NAT_PORT,))
    answer = ether(IP(src=B, dst="192.0.2.7") / UDP(sport=9999, dport=NAT_PORT) / Raw(b"anything"))
    assert accepts(tap_filter(mark), bytes(answer))
    assert not accepts(tap_filter(replace(mark, ports=())), bytes(answer))
    from_the_service = ether(IP(src=B, dst="192.0.2.7") / UDP(sport=PORT, dport=NAT_PORT) / Raw(b"anything"))
    assert accepts(tap_filter(replace(mark, ports=())), bytes(from_the_service))


@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_the_socket_filters_take_the_answer(protocol: Protocol, six: bool) -> None:
    mark = a_mark(protocol)
    if protocol is Protocol.UDP:
        return  # its socket is bound to a port instead
    for sequence in range(mark.count):
        answer = packets(mark, sequence, six)[1]
        if six:
            assert accepts(segment_filter(mark), bytes(answer)[40:])
        else:
            assert accepts(packet_filter(mark), bytes(answer))


@given(st.binary(max_size=120), st.sampled_from(CASES), st.booleans())
def test_any_bytes_are_decided(frame: bytes, case: tuple[Protocol, bool], ethernet: bool) -> None:
    accepts(tap_filter(a_mark(case[0])), frame, 1 if ethernet else NO_ETHERNET)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_program_is_short(protocol: Protocol) -> None:
    mark = replace(a_mark(protocol), ports=tuple(range(30000, 30064)))
    assert len(tap_filter(mark)) < LIMIT // 4
