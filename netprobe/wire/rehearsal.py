"""An answer that nobody sent, made of a packet before that leaves: what reads answers has read one then."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from msgspec.structs import replace

from .dissect import RAW_IP, DissectedPacket, dissect, dissect_segment
from .mark import SEQUENCE_SPACE
from .recognise import ACK, SYN

_HEADER = struct.Struct(">BxHxxHBBxx4s4s")


def imagined(segment: bytes, src: str, dst: str, protocol: int) -> DissectedPacket | None:
    """What would answer a packet, read from bytes; None where that is none that we know."""
    if ":" in dst:
        packet = dissect_segment(segment, src, dst, protocol)
    else:
        ends = IPv4Address(src).packed, IPv4Address(dst).packed
        packet = dissect(
            _HEADER.pack(0x45, _HEADER.size + len(segment), 0, 64, protocol, *ends) + segment, RAW_IP
        )
    if packet is None:
        return None
    acknowledged = ((packet.number or 0) + 1) % SEQUENCE_SPACE
    return replace(packet, flow=packet.flow.reversed(), acknowledged=acknowledged, flags=SYN | ACK)
