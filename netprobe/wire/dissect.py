"""Reads a frame with struct: Ethernet, VLAN tags, ARP, IP, ICMP with the packet it quotes, UDP, TCP, tunnels.

The input is hostile: any bytes may come, and whatever does not parse is None. RFC 791, 792, 768, 826, 2784,
4443, 4861, 7348, 8200, 8926, 9293.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Flow, Protocol
from netprobe.model.protocol import ROUTED

from .addresses import ipv4_text, ipv6_text, mac_text
from .numbers import (
    ERRORS,
    ERRORS_V6,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    GENEVE_PORT,
    IPV6_EXTENSIONS,
    IPV6_FRAGMENT,
    NEIGHBOUR_DISCOVERY,
    TRANSPARENT_ETHERNET,
    VLAN_TYPES,
    VXLAN_PORTS,
)

ETHERNET, RAW_IP = 1, 101  # LINKTYPE_ of the pcap registry: how a frame begins
FRAGMENTATION_NEEDED = (3, 4)  # ICMP type and code that carry an MTU; ICMPv6 has type 2
PACKET_TOO_BIG = 2
NONCE_OPTION = 14
TUNNEL_DEPTH = 4  # packets in packets, before we stop reading


class DissectedPacket(Struct):
    """One packet as its headers say.

    `payload` lies behind the last header; `padding` behind the packet's end.

    `fragment` is the offset in bytes, `key` what its fragments have in common. `sequence` is ICMP's, `number`
    and `acknowledged` are TCP's, `checksum` is an echo's or UDP's. `quoted` is the packet that an ICMP error
    speaks of, `inner` the one inside a tunnel.
    """

    flow: Flow
    payload: bytes = b""
    padding: bytes = b""
    sequence: int | None = None
    number: int | None = None
    acknowledged: int | None = None
    flags: int = 0
    checksum: int = 0
    fragment: int = 0
    key: tuple[str, str, int, int] | None = None
    mtu: int | None = None
    quoted: DissectedPacket | None = None
    inner: DissectedPacket | None = None
    hardware: tuple[str, str] | None = None
    nonce: bytes = b""


def dissect(frame: bytes, link_type: int = ETHERNET) -> DissectedPacket | None:
    """The packet in a frame, or None when it is not one that we know. Never raises."""
    try:
        return _ethernet(frame, 0) if link_type == ETHERNET else _ip(frame, _Around())
    except struct.error:  # shorter than a header says
        return None


def dissect_segment(segment: bytes, src: str, dst: str, protocol: int) -> DissectedPacket | None:
    """The packet whose transport header `segment` begins with; for sockets that hide the IP header.

    Never raises.
    """
    try:
        return _transport(segment, protocol, _Around(src=src, dst=dst), 0)
    except struct.error:
        return None


class _Around(Struct, frozen=True, gc=False):
    """What the outer headers said, for the flow that the innermost one completes."""

    src: str = ""
    dst: str = ""
    src_mac: str | None = None
    dst_mac: str | None = None
    ttl: int | None = None
    length: int | None = None
    vlan: int | None = None
    quoted: bool = False

    def flow(
        self,
        protocol: Protocol,
        ports: tuple[int | None, int | None] = (None, None),
        icmp: tuple[int | None, int | None, int | None] = (None, None, None),
    ) -> Flow:
        """The flow of the header at hand: its ports, or its ICMP type, code and id, with all that lies around
        it.
        """
        return Flow(
            self.src, self.dst, protocol, *ports, icmp[2], icmp[0], icmp[1], self.ttl, self.length,
            self.src_mac, self.dst_mac, None, self.vlan,
        )  # fmt: skip


def _ethernet(frame: bytes, depth: int) -> DissectedPacket | None:
    dst, src, kind = struct.unpack_from(">6s6sH", frame)
    at, vlan = 14, None
    while kind in VLAN_TYPES and at < 22:
        tag, kind = struct.unpack_from(">HH", frame, at)
        vlan = tag & 0xFFF if vlan is None else vlan
        at += 4
    around = _Around(src_mac=mac_text(src), dst_mac=mac_text(dst), vlan=vlan)
    if kind == ETHERTYPE_ARP:
        return _arp(frame[at:], around)
    if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return _ip(frame[at:], around, depth)
    return None


def _arp(data: bytes, around: _Around) -> DissectedPacket | None:
    hardware, protocol, hlen, plen, operation, sha, spa, tha, tpa = struct.unpack_from(">HHBBH6s4s6s4s", data)
    if (hardware, protocol, hlen, plen) != (1, ETHERTYPE_IPV4, 6, 4):
        return None
    around = replace(around, src=ipv4_text(spa), dst=ipv4_text(tpa))
    return DissectedPacket(
        around.flow(Protocol.ARP, icmp=(operation, None, None)),
        padding=data[28:],
        hardware=(mac_text(sha), mac_text(tha)),
    )


def _ip(data: bytes, around: _Around, depth: int = 0) -> DissectedPacket | None:
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _ipv4(data, around, depth)
    return _ipv6(data, around, depth) if version == 6 else None


def _ipv4(data: bytes, around: _Around, depth: int) -> DissectedPacket | None:
    first, length, ident, offset, ttl, protocol, src, dst = struct.unpack_from(">BxHHHBB2x4s4s", data)
    header = (first & 0x0F) * 4
    end = length or len(data)  # 0: segmentation was left to the device
    if header < 20 or end < header:
        return None
    around = replace(around, src=ipv4_text(src), dst=ipv4_text(dst), ttl=ttl, length=end)
    packet = _fragment(data[header:end], protocol, around, depth, (offset & 0x1FFF) * 8)
    if packet is not None:
        packet.padding = packet.padding or data[end:]
        packet.key = (around.src, around.dst, ident, protocol) if offset & 0x3FFF else None
    return packet


def _ipv6(data: bytes, around: _Around, depth: int) -> DissectedPacket | None:
    length, protocol, ttl, src, dst = struct.unpack_from(">4xHBB16s16s", data)
    at, end, offset, ident = 40, 40 + length, 0, None
    around = replace(around, src=ipv6_text(src), dst=ipv6_text(dst), ttl=ttl, length=end)
    while not offset and (protocol in IPV6_EXTENSIONS or protocol == IPV6_FRAGMENT):
        following, size, more, identification = struct.unpack_from(">BBHI", data, at)
        if protocol == IPV6_FRAGMENT:
            offset, ident, size = more & 0xFFF8, identification, 0
        protocol = following
        at += (size + 1) * 8
    packet = _fragment(data[at:end], protocol, around, depth, offset)
    if packet is not None:
        packet.padding = packet.padding or data[end:]
        packet.key = (around.src, around.dst, ident, protocol) if ident is not None else None
    return packet


def _fragment(data: bytes, protocol: int, around: _Around, depth: int, offset: int) -> DissectedPacket | None:
    if offset:
        return DissectedPacket(
            around.flow(ROUTED.get(protocol, Protocol.OTHER)), payload=data, fragment=offset
        )
    return _transport(data, protocol, around, depth)


def _transport(data: bytes, protocol: int, around: _Around, depth: int) -> DissectedPacket | None:
    read = _TRANSPORTS.get(protocol)
    if read is not None:
        return read(data, around, depth)
    packet = DissectedPacket(around.flow(Protocol.OTHER), payload=data)
    if protocol in _TUNNELS and depth < TUNNEL_DEPTH:
        packet.inner = _inside(_TUNNELS[protocol], data, packet.flow, depth)
    return packet


def _icmp(data: bytes, around: _Around, depth: int, protocol: int = 1) -> DissectedPacket | None:
    kind, code = struct.unpack_from(">BB", data)
    name = Protocol.ICMP if protocol == 1 else Protocol.ICMPV6
    errors, echoes = (ERRORS, (0, 8)) if protocol == 1 else (ERRORS_V6, (128, 129))
    if kind in echoes:
        checksum, ident, sequence = struct.unpack_from(">HHH", data, 2)
        flow = around.flow(name, icmp=(kind, code, ident))
        return DissectedPacket(flow, payload=data[8:], sequence=sequence, checksum=checksum)
    if protocol == 58 and kind in NEIGHBOUR_DISCOVERY:
        return _neighbour(data, around, kind)
    packet = DissectedPacket(around.flow(name, icmp=(kind, code, None)), payload=data[8:])
    if kind in errors and not around.quoted:
        packet.mtu = _mtu(data, protocol, kind, code)
        packet.quoted = _quoted(data[8:], depth)
    return packet


def _icmpv6(data: bytes, around: _Around, depth: int) -> DissectedPacket | None:
    return _icmp(data, around, depth, 58)


def _mtu(data: bytes, protocol: int, kind: int, code: int) -> int | None:
    if protocol == 58:
        return int(struct.unpack_from(">I", data, 4)[0]) if kind == PACKET_TOO_BIG else None
    return int(struct.unpack_from(">H", data, 6)[0]) if (kind, code) == FRAGMENTATION_NEEDED else None


def _quoted(data: bytes, depth: int) -> DissectedPacket | None:
    """The packet in an ICMP error; it may be cut anywhere behind its first eight bytes, and still be worth
    reading.
    """
    try:
        return _ip(data, _Around(quoted=True), depth)
    except struct.error:
        return None


def _neighbour(data: bytes, around: _Around, kind: int) -> DissectedPacket:
    (target,) = struct.unpack_from(">16s", data, 8)
    options = dict(_options(data[24:]))
    asked = replace(around, dst=ipv6_text(target)) if kind == 135 else replace(around, src=ipv6_text(target))
    flow = asked.flow(Protocol.ND, icmp=(kind, None, None))
    told = options.get(1) or options.get(2) or b""
    hardware = (mac_text(told), around.dst_mac or "") if len(told) == 6 else None
    return DissectedPacket(
        flow, payload=data, hardware=hardware, nonce=options.get(NONCE_OPTION, b""), flags=data[4]
    )


def _options(data: bytes) -> list[tuple[int, bytes]]:
    """Type and content of neighbour discovery's options (RFC 4861 section 4.6)."""
    options, at = [], 0
    while at + 8 <= len(data) and data[at + 1]:
        size = data[at + 1] * 8
        options.append((data[at], data[at + 2 : at + size]))
        at += size
    return options


def _udp(data: bytes, around: _Around, depth: int) -> DissectedPacket:
    sport, dport = struct.unpack_from(">HH", data)
    size = int.from_bytes(data[4:6], "big")
    checksum = int.from_bytes(data[6:8], "big")
    packet = DissectedPacket(
        around.flow(Protocol.UDP, (sport, dport)),
        payload=data[8 : size if size >= 8 else None],
        checksum=checksum,
    )
    if dport in _TUNNEL_PORTS and depth < TUNNEL_DEPTH:
        packet.inner = _inside(_TUNNEL_PORTS[dport], data, packet.flow, depth)
    return packet


def _tcp(data: bytes, around: _Around, depth: int) -> DissectedPacket:  # noqa: ARG001
    sport, dport, number = struct.unpack_from(">HHI", data)
    packet = DissectedPacket(around.flow(Protocol.TCP, (sport, dport)), number=number)
    if len(data) >= 14:
        packet.acknowledged, packet.flags = struct.unpack_from(">IxB", data, 8)
    return packet


def _inside(read: _Reader, data: bytes, outer: Flow, depth: int) -> DissectedPacket | None:
    """The packet in a tunnel, told what it is in; None when it is cut or is something else that happens to
    use the port.
    """
    try:
        packet = read(data, depth + 1)
    except struct.error:
        return None
    if packet is not None:
        packet.flow = replace(packet.flow, outer=outer)
    return packet


def _bare(data: bytes, depth: int) -> DissectedPacket | None:
    return _ip(data, _Around(), depth)


def _vxlan(data: bytes, depth: int) -> DissectedPacket | None:
    return _ethernet(data[16:], depth)


def _geneve(data: bytes, depth: int) -> DissectedPacket | None:
    first, kind = struct.unpack_from(">BxH", data, 8)
    return _ethernet(data[16 + (first & 0x3F) * 4 :], depth) if kind == TRANSPARENT_ETHERNET else None


def _gre(data: bytes, depth: int) -> DissectedPacket | None:
    flags, kind = struct.unpack_from(">HH", data)
    at = 4 + 4 * sum(bool(flags & flag) for flag in (0x8000, 0x2000, 0x1000))
    if kind == TRANSPARENT_ETHERNET:
        return _ethernet(data[at:], depth)
    return _ip(data[at:], _Around(), depth) if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else None


_Reader = Callable[[bytes, int], DissectedPacket | None]
_TRANSPORTS: dict[int, Callable[[bytes, _Around, int], DissectedPacket | None]] = {
    1: _icmp, 6: _tcp, 17: _udp, 58: _icmpv6,
}  # fmt: skip
_TUNNELS: dict[int, _Reader] = {4: _bare, 41: _bare, 47: _gre}
_TUNNEL_PORTS: dict[int, _Reader] = {**dict.fromkeys(VXLAN_PORTS, _vxlan), GENEVE_PORT: _geneve}
