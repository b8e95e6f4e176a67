"""The Internet checksum (RFC 1071): of a header, and of a probe's packet as its first eight bytes must have
it.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from netprobe.model import Protocol

from .dissect import DissectedPacket


def checksum(data: bytes) -> int:
    """The checksum of any bytes; of an odd number as if a zero followed."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def fits(packet: DissectedPacket, payload: bytes) -> bool:
    """Whether the checksum of an echo or UDP datagram is that of this payload, with the packet's own
    addresses, ports and id.
    """
    flow = packet.flow
    if flow.protocol is Protocol.UDP:
        header = struct.pack(">HHHH", flow.sport or 0, flow.dport or 0, 8 + len(payload), 0)
        return packet.checksum == (
            checksum(_pseudo(packet, 17, 8 + len(payload)) + header + payload) or 0xFFFF
        )
    header = struct.pack(
        ">BBHHH", flow.icmp_type or 0, flow.icmp_code or 0, 0, flow.icmp_id or 0, packet.sequence or 0
    )
    before = _pseudo(packet, 58, 8 + len(payload)) if flow.protocol is Protocol.ICMPV6 else b""
    return packet.checksum == checksum(before + header + payload)


def _pseudo(packet: DissectedPacket, protocol: int, length: int) -> bytes:
    """What UDP and ICMPv6 count beside themselves (RFC 768, RFC 8200 section 8.1); both layouts have the same
    sum.
    """
    ends = (ip_address(address.partition("%")[0]).packed for address in (packet.flow.src, packet.flow.dst))
    return b"".join(ends) + struct.pack(">II", length, protocol)
