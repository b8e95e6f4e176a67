"""The kernel filter, run in a small machine over frames that scapy builds: everything of the probe passes, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bpf_machine import accepts
from frames_of_scapy import A6, B6, MAC, MAC2, NAT, NAT_PORT, PORT, ROUTER, SPORT, A, B, Sample, a_mark, ether, packets, samples, strangers
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RS, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from netprobe.model import Protocol
from netprobe.wire import filter as filters
from netprobe.wire.around import EVERYTHING, Around
from netprobe.wire.bpf import LIMIT, Assembler
from netprobe.wire.filter import answer_filter, packet_filter, segment_filter, side_filter, tap_filter
from netprobe.wire.filter_blocks import Writer

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


OWN = (Protocol.ARP, Protocol.ND)
BESIDE = [
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc=A, pdst=B),
    Ether(src=MAC, dst=MAC2) / ARP(op=2, psrc=B, pdst=A),
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc="0.0.0.0", pdst=B),  # RFC 5227: is the address free?
    Ether(src=MAC, dst=MAC2) / ARP(op=2, psrc=B, pdst="0.0.0.0"),
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc=B, pdst=B),  # announced
    ether(IPv6(src=A6, dst=B6) / ICMPv6ND_NS(tgt=B6)),
    ether(IPv6(src="::", dst="ff02::1:ff00:8") / ICMPv6ND_NS(tgt=B6)),  # DAD
    ether(IPv6(src=B6, dst=A6) / ICMPv6ND_NA(tgt=B6)),
    ether(IP(src=A, dst=B, frag=185, proto=17) / Raw(b"x" * 30)),
    ether(IP(src=B, dst=A, frag=185, proto=1) / Raw(b"x" * 30)),
    ether(IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(offset=185, nh=17) / Raw(b"x" * 30)),
    ether(IPv6(src=B6, dst=A6) / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=185, nh=17) / Raw(b"x" * 30)),
]
OTHER, OTHER6 = "10.0.0.99", "fd00:10::99"
STRANGE = [
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc=A, pdst=OTHER),
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc=OTHER, pdst=B),
    Ether(src=MAC, dst=MAC2) / ARP(op=2, psrc=OTHER, pdst=OTHER),
    Ether(src=MAC, dst=MAC2) / ARP(op=1, psrc="0.0.0.0", pdst=OTHER),
    ether(IPv6(src=A6, dst=B6) / ICMPv6ND_NS(tgt=OTHER6)),
    ether(IPv6(src=OTHER6, dst=A6) / ICMPv6ND_NA(tgt=OTHER6)),
    ether(IP(src=A, dst=OTHER, frag=185, proto=17) / Raw(b"x" * 30)),
    ether(IP(src=OTHER, dst=B, frag=185, proto=17) / Raw(b"x" * 30)),
    ether(IP(src=A, dst=A, frag=185, proto=17) / Raw(b"x" * 30)),
    ether(IPv6(src=OTHER6, dst=B6) / IPv6ExtHdrFragment(offset=185, nh=17) / Raw(b"x" * 30)),
]
AROUND = Around((A, B, A6, B6), ((A, B), (B, A), (A6, B6), (B6, A6)))


def wrapped(frame: Packet) -> Iterator[bytes]:
    """A frame as it is, behind tags, and in tunnels."""
    outer = IP(src=ROUTER, dst=NAT)
    yield bytes(frame)
    yield bytes(Ether(src=MAC, dst=MAC2) / Dot1Q(vlan=7, type=frame.type) / frame.payload)
    yield bytes(ether(outer / UDP(sport=5555, dport=4789) / VXLAN(vni=42) / frame))
    yield bytes(ether(outer / UDP(sport=5555, dport=6081) / GENEVE(vni=42, proto=0x6558) / frame))
    yield bytes(ether(outer / GRE(proto=0x6558) / frame))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_what_travels_beside_the_probe_has_a_tap_of_its_own(protocol: Protocol) -> None:
    for frame in (frame for packet in BESIDE for frame in wrapped(packet)):
        assert accepts(side_filter(a_mark(protocol)), frame), Ether(frame).summary()
        assert accepts(side_filter(a_mark(protocol), AROUND), frame), Ether(frame).summary()
        if protocol not in OWN:
            assert not accepts(tap_filter(a_mark(protocol)), frame), Ether(frame).summary()


@pytest.mark.parametrize("protocol", list(Protocol))
def test_neighbours_and_fragments_of_others_are_left_out_where_the_addresses_are_known(protocol: Protocol) -> None:
    for frame in (frame for packet in STRANGE for frame in wrapped(packet)):
        assert accepts(side_filter(a_mark(protocol)), frame), Ether(frame).summary()
        assert not accepts(side_filter(a_mark(protocol), AROUND), frame), Ether(frame).summary()
        assert not accepts(side_filter(a_mark(protocol), Around((), ())), frame), Ether(frame).summary()


@pytest.mark.parametrize("protocol", OWN)
def test_a_probe_that_asks_for_neighbours_sees_them_and_no_fragments(protocol: Protocol) -> None:
    program = tap_filter(a_mark(protocol), AROUND)
    assert [accepts(program, bytes(packet)) for packet in BESIDE] == [True] * 8 + [False] * 4
    assert not any(accepts(program, bytes(packet)) for packet in STRANGE)


def test_an_answer_from_the_service_passes_by_its_address_where_that_is_known() -> None:
    """Or every answer of every name server would pass, when it is port 53 that is asked."""
    program = tap_filter(a_mark(Protocol.UDP), AROUND)
    for src, wanted in ((B, True), (OTHER, False)):
        answer = ether(IP(src=src, dst="192.0.2.7") / UDP(sport=PORT, dport=NAT_PORT) / Raw(b"anything"))
        assert accepts(program, bytes(answer)) is wanted
    moved = replace(a_mark(Protocol.UDP), services=(5353,))
    translated = ether(IP(src=B, dst="192.0.2.7") / UDP(sport=5353, dport=NAT_PORT) / Raw(b"anything"))
    assert accepts(tap_filter(moved, AROUND), bytes(translated))
    assert not accepts(program, bytes(translated))


@pytest.mark.parametrize("size", [56, 3])
@pytest.mark.parametrize("six", [False, True])
def test_no_frame_passes_both_taps_and_a_stranger_does_not_crowd_the_probe(six: bool, size: int) -> None:
    mark = a_mark(Protocol.UDP, size)
    programs = tap_filter(mark, AROUND), side_filter(mark, AROUND)
    strange = IPv6(src=OTHER6, dst=A6) if six else IP(src=OTHER, dst=A)
    datagram = bytes(ether(strange / UDP(sport=9999, dport=SPORT) / Raw(b"anything you like")))
    assert [accepts(program, datagram) for program in programs] == [False, True]
    for length in range(9):  # a service that has several addresses may answer with nothing, too
        short = bytes(ether(strange / UDP(sport=PORT, dport=SPORT) / Raw(b"anything"[:length])))
        assert [accepts(program, short) for program in programs] == [False, True], length
    for sample in (*samples(mark, six), *strangers(mark, six)):
        hatype = 1 if sample.ethernet else NO_ETHERNET
        assert sum(accepts(program, sample.frame, hatype) for program in programs) <= 1, sample.name
    unknown = tap_filter(mark), side_filter(mark)
    assert [accepts(program, datagram) for program in unknown] == [True, False]


@pytest.mark.parametrize(("asked", "others"), [(B, (A, "8.8.8.9")), (B6, (A6, "2001:db8:1::8", "2001:db8::9"))])
def test_a_udp_socket_hears_who_was_asked(asked: str, others: tuple[str, ...]) -> None:
    def heard(src: str, sport: int = PORT) -> bool:
        head = IPv6(src=src, dst=A6) if ":" in src else IP(src=src, dst=A)
        return accepts(answer_filter(asked, PORT), bytes(UDP(sport=sport, dport=SPORT) / Raw(b"x")), network=bytes(head))

    assert heard(asked)
    assert not heard(asked, PORT + 1)
    assert not any(map(heard, others))


def test_a_udp_socket_hears_its_own_host() -> None:
    """A redirection to the host itself is answered from 127.0.0.1, which no wire can forge without route_localnet (ip_route_input_slow)."""
    head = bytes(IP(src="127.0.0.1", dst="127.0.0.1"))
    assert accepts(answer_filter(B, PORT), bytes(UDP(sport=PORT, dport=SPORT)), network=head)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_ordinary_traffic_does_not(protocol: Protocol) -> None:
    programs = tap_filter(a_mark(protocol)), side_filter(a_mark(protocol))
    for packet in (
        ether(IP(src=A, dst=B) / ICMP(type=8, id=7, seq=1) / Raw(b"abcdefgh" * 7)),
        ether(IP(src=A, dst=B) / UDP(sport=1000, dport=2000) / Raw(b"x" * 20)),
        ether(IP(src=A, dst=B) / TCP(sport=1000, dport=443, seq=0x5000, ack=0x6000, flags="PA") / Raw(b"x" * 1000)),
        ether(IPv6(src=A6, dst=B6) / ICMPv6ND_RS()),
        Ether(src=MAC, dst=MAC2, type=0x88CC) / Raw(b"lldp" * 10),
    ):
        assert not any(accepts(program, bytes(packet)) for program in programs), packet.summary()


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
    for program in (tap_filter(a_mark(case[0]), AROUND), side_filter(a_mark(case[0]), AROUND)):
        accepts(program, frame, 1 if ethernet else NO_ETHERNET)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_program_is_short(protocol: Protocol) -> None:
    mark = replace(a_mark(protocol), ports=tuple(range(30000, 30064)))
    many = [f"10.0.{n}.1" for n in range(64)] + [f"fd00::{n:x}:1" for n in range(64)]
    around = Around(tuple(many), tuple((one, other) for one in many[:8] for other in many[8:16]))
    for program in (tap_filter(mark, around), side_filter(mark, around)):
        assert len(program) < LIMIT // 4


@pytest.mark.parametrize("protocol", [Protocol.ICMP, Protocol.ICMPV6, Protocol.UDP, Protocol.TCP, Protocol.ARP])
def test_what_runs_have_beside_their_probes_is_kept_as_far_as_it_is_the_same(protocol: Protocol) -> None:
    marks = [replace(a_mark(protocol), run=run) for run in (b"abcdef", b"uvwxyz")]
    for around in (EVERYTHING, AROUND):
        made = [filters._of_frames(Writer(Assembler(), mark, around, beside=True, fragments=True)) for mark in marks]
        assert [side_filter(mark, around) for mark in marks] == made
    assert (side_filter(marks[0]) is side_filter(marks[1])) == (protocol is not Protocol.UDP)
