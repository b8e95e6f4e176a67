"""What frames are to a probe, read with struct, against what scapy put into them; and no bytes make it fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from frames_of_scapy import (
    A6,
    MAC,
    MAC2,
    NAT,
    NAT6,
    NAT_PORT,
    PORT,
    ROUTER,
    ROUTER6,
    SPORT,
    A,
    B,
    a_mark,
    ether,
    packets,
    samples,
    strangers,
)
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from test_filter import CASES

from netprobe.model import IcmpError, Leg, Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.dissect import ETHERNET, RAW_IP, dissect, dissect_segment
from netprobe.wire.mark import Mark
from netprobe.wire.recognise import Recognised, Recogniser


def recognised(mark: Mark, frame: bytes, ethernet: bool = True, eyes: Recogniser | None = None, point: object = None) -> Recognised | None:
    packet = dissect(frame, ETHERNET if ethernet else RAW_IP)
    return None if packet is None else (eyes or Recogniser(mark))(packet, point)


@pytest.mark.parametrize("size", [56, 8, 7, 0])
@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_all_of_the_probe_is_recognised(protocol: Protocol, six: bool, size: int) -> None:
    mark = a_mark(protocol, size)
    eyes = Recogniser(mark)  # an answer of UDP and every error is known by the request before it
    for sample in samples(mark, six):
        if protocol is Protocol.UDP and size < 8 and sample.sequence:
            continue  # the n-th request at one point; see below
        found = recognised(mark, sample.frame, sample.ethernet, eyes, sample.name)
        assert found is not None, sample.name
        error = IcmpError(*sample.error) if sample.error else None
        assert (found.leg, found.sequence, found.error) == (sample.leg, sample.sequence, error), sample.name


@pytest.mark.parametrize("size", [56, 0])
@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_nothing_of_another_run_is(protocol: Protocol, six: bool, size: int) -> None:
    mark = a_mark(protocol, size)
    for sample in strangers(mark, six):
        assert recognised(mark, sample.frame, sample.ethernet) is None, sample.name


def test_a_flow_says_what_the_headers_say() -> None:
    mark = a_mark(Protocol.ICMP)
    request = packets(mark, 1, six=False)[0]
    request.ttl = 61
    found = recognised(mark, bytes(Ether(src=MAC, dst=MAC2) / Dot1Q(vlan=7) / request))
    assert found is not None
    flow = found.flow
    assert (flow.src, flow.dst, flow.protocol, flow.ttl, flow.length) == (A, B, Protocol.ICMP, 61, 84)
    assert (flow.icmp_type, flow.icmp_code, flow.icmp_id, flow.src_mac, flow.dst_mac, flow.vlan) == (8, 0, 0x1234, MAC, MAC2, 7)


def test_a_tunnel_stands_around_the_flow() -> None:
    mark = a_mark(Protocol.UDP)
    outer = Ether(src="02:00:00:00:00:09", dst=MAC2) / IP(src=ROUTER, dst=NAT) / UDP(sport=5555, dport=4789)
    found = recognised(mark, bytes(outer / VXLAN(vni=42) / ether(packets(mark, 0, six=False)[0])))
    assert found is not None
    assert (found.flow.src, found.flow.sport, found.flow.src_mac) == (A, SPORT, MAC)
    assert found.flow.outer is not None
    assert (found.flow.outer.src, found.flow.outer.dport, found.flow.outer.src_mac) == (ROUTER, 4789, "02:00:00:00:00:09")


@pytest.mark.parametrize(
    ("flags", "number", "acknowledged", "leg", "text"),
    [("S", 0, 0, Leg.REQUEST, "SYN"), ("SA", 9, 1, Leg.REPLY, "SYN ACK"), ("RA", 0, 1, Leg.REPLY, "RST ACK"), ("R", 1, 0, None, "RST")],
)
def test_tcp_segments_and_their_flags(flags: str, number: int, acknowledged: int, leg: Leg | None, text: str) -> None:
    mark = a_mark(Protocol.TCP, isn=1000)
    isn = mark.tcp_sequence(2)
    ours = flags in ("S", "R")
    number = isn + number if ours else number
    segment = TCP(sport=SPORT, dport=PORT, flags=flags, seq=number, ack=0 if ours else isn + acknowledged)
    found = recognised(mark, bytes(ether(IP(src=A, dst=B) / segment)))
    assert found is not None
    assert (found.leg, found.sequence, found.text) == (leg, 2, text)


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes) -> bytes:
    return bytes(ether(IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / Raw(payload)))


def test_a_udp_answer_reverses_a_request_seen_before_it() -> None:
    mark = a_mark(Protocol.UDP)
    eyes = Recogniser(mark)
    answer = udp(B, PORT, NAT, NAT_PORT, b"answer")
    assert recognised(mark, answer, eyes=eyes) is None
    assert recognised(mark, udp(NAT, NAT_PORT, B, PORT, mark.payload(1)), eyes=eyes) is not None
    found = recognised(mark, answer, eyes=eyes)
    assert found is not None
    assert (found.leg, found.sequence) == (Leg.REPLY, 1)
    assert recognised(mark, udp(B, PORT, NAT, NAT_PORT + 1, b"answer"), eyes=eyes) is None


def test_a_udp_answer_may_come_from_another_address_than_asked() -> None:
    mark = a_mark(Protocol.UDP)
    eyes = Recogniser(mark)
    recognised(mark, udp(A, SPORT, B, PORT, mark.payload(0)), eyes=eyes)
    found = recognised(mark, udp("203.0.113.9", PORT, A, SPORT, b"answer"), eyes=eyes)
    assert found is not None
    assert found.leg is Leg.REPLY


@pytest.mark.parametrize("echoed", [True, False])
def test_a_udp_answer_may_come_to_a_source_that_no_request_was_seen_from(echoed: bool) -> None:
    """It was translated before the first tap, and is what it was again where a bridge takes the answer up for its host."""
    mark = a_mark(Protocol.UDP)
    eyes = Recogniser(mark)
    recognised(mark, udp(NAT, NAT_PORT, B, PORT, mark.payload(1)), eyes=eyes)
    found = recognised(mark, udp(B, PORT, A, SPORT, mark.payload(1) if echoed else b"answer"), eyes=eyes)
    assert found is not None
    assert (found.leg, found.sequence) == (Leg.REPLY, 1)
    assert recognised(mark, udp(B, PORT + 1, A, SPORT, b"answer"), eyes=eyes) is None


def test_an_echoed_udp_payload_is_an_answer() -> None:
    mark = a_mark(Protocol.UDP)
    eyes = Recogniser(mark)
    recognised(mark, udp(A, SPORT, B, PORT, mark.payload(2)), eyes=eyes)
    found = recognised(mark, udp(B, PORT, A, SPORT, mark.payload(2)), eyes=eyes)
    assert found is not None
    assert (found.leg, found.sequence) == (Leg.REPLY, 2)


def test_small_udp_requests_are_counted_where_they_pass() -> None:
    mark = a_mark(Protocol.UDP, size=3)
    eyes = Recogniser(mark)
    for point in ("red", "host"):
        for sequence in range(3):
            packet = dissect(udp(A, SPORT, B, PORT, mark.payload(sequence)))
            assert packet is not None
            found = eyes(packet, point)
            assert found is not None
            assert found.sequence == sequence


@pytest.mark.parametrize("protocol", [Protocol.ICMP, Protocol.UDP])
def test_later_fragments_follow_their_first_one(protocol: Protocol) -> None:
    mark = a_mark(protocol, size=3000)
    eyes = Recogniser(mark)
    request = packets(mark, 2, six=False)[0]
    request.id = 77
    found = [recognised(mark, bytes(ether(part)), eyes=eyes) for part in fragment(request, 1400)]
    assert [(f.leg, f.sequence, f.text) for f in found if f] == [
        (Leg.REQUEST, 2, ""), (Leg.REQUEST, 2, "fragment at 1400"), (Leg.REQUEST, 2, "fragment at 2800"),
    ]  # fmt: skip
    stranger = IP(src=A, dst=B, id=78, frag=175, proto=1) / Raw(b"x" * 100)
    assert recognised(mark, bytes(ether(stranger)), eyes=eyes) is None


def test_the_error_about_a_reply_has_the_leg_of_the_reply() -> None:
    mark = a_mark(Protocol.ICMP)
    eyes = Recogniser(mark)
    reply = packets(mark, 0, six=False)[1]
    assert recognised(mark, bytes(ether(reply)), eyes=eyes) is not None
    found = recognised(mark, bytes(ether(IP(src=ROUTER, dst=B) / ICMP(type=3, code=3) / Raw(bytes(reply)))), eyes=eyes)
    assert found is not None
    assert (found.leg, found.error) == (Leg.REPLY, IcmpError(ROUTER, 3, 3))


def unreachable(quoted: Packet, length: int | None = None) -> bytes:
    """An ICMP error about a packet, of which it quotes so much."""
    error = IP(src=ROUTER, dst=A) / ICMP(type=3, code=1) if quoted.version == 4 else IPv6(src=ROUTER6, dst=A6) / ICMPv6DestUnreach()
    return bytes(ether(error / Raw(bytes(quoted)[:length])))


def forged(packet: Packet, protocol: Protocol) -> Iterator[tuple[str, Packet]]:
    """The packet of a probe as somebody would quote it who knows a part of it, or guesses."""
    for name, value in (("src", NAT), ("dst", ROUTER)) if packet.version == 4 else (("src", NAT6), ("dst", ROUTER6)):
        changed = packet.copy()
        setattr(changed, name, value)
        yield f"another {name}", changed
    for name, value in {Protocol.UDP: [("sport", 1), ("dport", 1)], Protocol.TCP: [("sport", 1), ("dport", 1), ("seq", 1)]}.get(
        protocol, [("id", 1), ("seq", 300)]
    ):
        changed = packet.copy()
        setattr(changed.payload, name, value)
        yield f"another {name}", changed


@pytest.mark.parametrize("length", [None, 28])
@pytest.mark.parametrize(("protocol", "six"), CASES)
def test_an_error_about_something_else_than_was_sent_is_nothing(protocol: Protocol, six: bool, length: int | None) -> None:
    mark = a_mark(protocol)
    length = length and (48 if six else length)
    eyes = Recogniser(mark)
    request = packets(mark, 1, six)[0]
    assert recognised(mark, unreachable(request, length), eyes=eyes) is None, "before it was sent"
    assert recognised(mark, bytes(ether(request)), eyes=eyes) is not None
    for name, quoted in forged(request, protocol):
        assert recognised(mark, unreachable(quoted, length), eyes=eyes) is None, name
    found = recognised(mark, unreachable(request, length), eyes=eyes)
    assert found is not None
    assert (found.leg, found.sequence) == (Leg.REQUEST, 1)


@pytest.mark.parametrize(("protocol", "six"), [case for case in CASES if case[0] is not Protocol.TCP])
def test_an_error_with_a_guessed_token_is_nothing(protocol: Protocol, six: bool) -> None:
    """Cut behind the header the guess shows in the checksum, which is made over the token."""
    mark = a_mark(protocol)
    eyes = Recogniser(mark)
    assert recognised(mark, bytes(ether(packets(mark, 0, six)[0])), eyes=eyes) is not None
    guessed = packets(replace(mark, run=b"guess!"), 0, six)[0]
    for length in (None, 48 if six else 28, 52 if six else 32):
        assert recognised(mark, unreachable(guessed, length), eyes=eyes) is None, length


def test_an_error_quotes_what_a_translation_made_of_the_probe() -> None:
    mark = a_mark(Protocol.ICMP)
    eyes = Recogniser(mark)
    request = packets(mark, 2, six=False)[0]
    translated = request.copy()
    translated.src, translated.payload.id = NAT, 4711
    translated = IP(bytes(translated))
    del translated.chksum, translated.payload.chksum
    for packet in (request, translated):
        assert recognised(mark, bytes(ether(packet)), eyes=eyes) is not None
        for length in (None, 28):
            found = recognised(mark, unreachable(packet, length), eyes=eyes)
            assert found is not None
            assert (found.leg, found.sequence) == (Leg.REQUEST, 2)


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "", "F", "U"])
def test_what_no_stack_answers_to_a_syn_is_no_answer(flags: str) -> None:
    mark = a_mark(Protocol.TCP, isn=1000)
    segment = TCP(sport=PORT, dport=SPORT, flags=flags, seq=77, ack=1001)
    assert recognised(mark, bytes(ether(IP(src=B, dst=A) / segment))) is None


@pytest.mark.parametrize("flags", ["SA", "RA"])
@pytest.mark.parametrize("offset", [-1, 0, 4, 2**31])
def test_an_answer_acknowledges_the_syn_and_nothing_else(flags: str, offset: int) -> None:
    mark = a_mark(Protocol.TCP, isn=1000)
    segment = TCP(sport=PORT, dport=SPORT, flags=flags, seq=77, ack=(1000 + offset) % 2**32)
    assert recognised(mark, bytes(ether(IP(src=B, dst=A) / segment))) is None


def test_arp_is_always_of_interest_and_ours_by_its_padding() -> None:
    mark = a_mark(Protocol.ARP)
    ours = list(craft(Recipe(mark, A, "10.0.0.3", MAC)))
    assert [len(frame) for frame in ours] == [60, 60, 60]
    found = [recognised(mark, frame) for frame in ours]
    assert [(f.leg, f.sequence, f.flow.src, f.flow.dst) for f in found if f] == [(Leg.REQUEST, n, A, "10.0.0.3") for n in range(3)]
    other = recognised(replace(mark, run=b"other!"), ours[1])
    assert other is not None
    assert (other.leg, other.flow.icmp_type) == (None, 1)
    reply = Ether(src=MAC, dst=MAC2) / ARP(op=2, hwsrc="02:00:00:00:00:66", psrc="10.0.0.3", hwdst=MAC2, pdst=A)
    told = recognised(mark, bytes(reply))
    assert told is not None
    assert (told.flow.src, told.flow.dst, told.flow.icmp_type, told.text) == ("10.0.0.3", A, 2, "says it has 02:00:00:00:00:66")


def test_solicitations_are_ours_by_their_nonce() -> None:
    mark = a_mark(Protocol.ND)
    ours = list(craft(Recipe(mark, A6, "fd00:10::3", MAC)))
    found = [recognised(mark, frame) for frame in ours]
    assert [(f.leg, f.sequence, f.flow.dst, f.flow.dst_mac) for f in found if f] == [
        (Leg.REQUEST, n, "fd00:10::3", "33:33:ff:00:00:03") for n in range(3)
    ]
    advert = IPv6(src="fd00:10::3", dst=A6) / ICMPv6ND_NA(tgt="fd00:10::3") / ICMPv6NDOptDstLLAddr(lladdr=MAC)
    told = recognised(mark, bytes(ether(advert)))
    assert told is not None
    assert (told.leg, told.flow.src, told.flow.dst, told.flow.icmp_type) == (None, "fd00:10::3", A6, 136)


@given(st.binary(max_size=200), st.sampled_from(list(Protocol)), st.sampled_from([ETHERNET, RAW_IP]))
@example(b"", Protocol.ICMP, RAW_IP)
def test_no_bytes_make_it_fail(frame: bytes, protocol: Protocol, link_type: int) -> None:
    packet = dissect(frame, link_type)
    if packet is not None:
        Recogniser(a_mark(protocol))(packet, "here")


_SEEDS = [sample.frame for protocol, six in CASES for sample in samples(a_mark(protocol), six)]


@given(st.sampled_from(_SEEDS), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6), st.integers(0, 200))
def test_no_damage_to_a_frame_makes_it_fail(frame: bytes, hits: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(frame[:length] if length > 20 else frame)
    for at, value in hits:
        damaged[at % len(damaged)] = value
    for link_type in (ETHERNET, RAW_IP):
        packet = dissect(bytes(damaged), link_type)
        if packet is not None:
            Recogniser(a_mark(Protocol.ICMP))(packet)


@given(st.binary(max_size=60), st.sampled_from([1, 6, 17, 58, 4, 47, 200]))
def test_no_segment_makes_it_fail(segment: bytes, protocol: int) -> None:
    dissect_segment(segment, A, B, protocol)


def test_tunnels_in_tunnels_end() -> None:
    packet = Raw(b"x")
    for _ in range(40):
        packet = IP(src=A, dst=B, proto=4) / Raw(bytes(packet))
    assert dissect(bytes(packet), RAW_IP) is not None
