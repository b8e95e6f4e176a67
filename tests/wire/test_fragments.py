"""A later fragment that the kernel wrote over gets its own headers back; scapy knows what they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from netprobe.wire.fragments import restored

INSIDE = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
OUTSIDE = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")
PAYLOAD = Raw(bytes(range(256)) * 12)


def overwritten(frame: Packet, outer: Packet) -> bytes:
    """A fragment as the kernel leaves it: another station's Ethernet header, another source, one hop less."""
    packet = frame.payload.copy()
    if IPv6 in packet:
        packet[IPv6].src, packet[IPv6].hlim = "fd00:203::9", 63
        packet[IPv6ExtHdrFragment].id = 999
    else:
        packet[IP].src, packet[IP].ttl = "192.0.2.7", 63
        del packet[IP].chksum
    return bytes(outer / packet)


def frames_of(six: bool) -> list[Packet]:
    if six:
        whole = IPv6(src="fd00::2", dst="2001:db8::8") / IPv6ExtHdrFragment(id=5) / UDP(sport=1, dport=2) / PAYLOAD
        parts = fragment6(whole, 1280)
    else:
        parts = fragment(IP(src="10.0.0.2", dst="8.8.8.8", id=77) / UDP(sport=1, dport=2) / PAYLOAD, 1400)
    return [INSIDE / part for part in parts]


@pytest.mark.parametrize("six", [False, True])
def test_headers_come_back(six: bool) -> None:
    first, *later = frames_of(six)
    assert len(later) == 2
    for frame in later:
        assert restored(bytes(first), overwritten(frame, OUTSIDE)) == bytes(frame)
        assert restored(bytes(first), bytes(frame)) == bytes(frame)


def test_behind_a_vlan_tag() -> None:
    first, *later = [INSIDE / Dot1Q(vlan=7) / frame.payload for frame in frames_of(six=False)]
    tagged = bytes(OUTSIDE / Dot1Q(vlan=7)) + overwritten(INSIDE / later[0][IP], OUTSIDE)[14:]
    assert restored(bytes(first), tagged) == bytes(later[0])


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes(first: bytes, later: bytes) -> None:
    assert len(restored(first, later)) == len(later)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("length", range(14, 63))
def test_a_later_fragment_that_was_cut_is_left_alone_or_keeps_its_length(six: bool, length: int) -> None:
    first, later, _ = frames_of(six)
    cut = bytes(later)[:length]
    assert len(restored(bytes(first), cut)) == length
    assert restored(bytes(first), cut)[34 if not six else 62 :] == cut[34 if not six else 62 :]


@pytest.mark.parametrize("words", [*range(5), *range(6, 16)])
def test_a_header_length_that_the_frame_does_not_have(words: int) -> None:
    """An IHL below 20 bytes or beyond the end; the odd lengths are those that no checksum is defined for."""
    first, later, _ = frames_of(six=False)
    for length in (35, 36, 37):
        damaged = bytearray(bytes(later)[:length])
        damaged[14] = 0x40 | words
        damaged[:6] = b"\xff" * 6  # another station's
        assert restored(bytes(first), bytes(damaged)) == bytes(damaged)
