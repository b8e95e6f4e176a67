"""Frames that scapy builds, as an oracle for the filter and for what we read: a probe in every wrapping it may meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from netprobe.model import Leg, Protocol
from netprobe.wire.mark import Mark

A, B, NAT, ROUTER = "10.0.0.2", "8.8.8.8", "192.0.2.7", "192.0.2.1"
A6, B6, NAT6, ROUTER6 = "fd00:10::2", "2001:db8::8", "fd00:203::7", "fd00:203::1"
SPORT, NAT_PORT, PORT = 40000, 61000, 53
MAC, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"


@dataclass(frozen=True)
class Sample:
    """A frame, whether it begins with Ethernet, and what it is to the mark (leg None and no sequence: nothing)."""

    name: str
    frame: bytes
    ethernet: bool = True
    leg: Leg | None = None
    sequence: int = 0
    error: tuple[str, int, int, int | None] | None = None


def a_mark(protocol: Protocol, size: int = 56, count: int = 3, isn: int = 0xFFFFFFFE) -> Mark:
    """A mark whose numbers wrap around."""
    run = bytes.fromhex("c0ffee00ab1e")
    return Mark(protocol, run, count, size, icmp_id=0x1234, first=0xFFFF, isn=isn, source_ports=(SPORT,), port=PORT)


def segments(mark: Mark, sequence: int) -> tuple[Packet, Packet]:
    """The request's transport layer and the answer's."""
    payload = Raw(mark.payload(sequence))
    number = mark.icmp_sequence(sequence)
    match mark.protocol:
        case Protocol.ICMP:
            return ICMP(type=8, id=mark.icmp_id, seq=number) / payload, ICMP(type=0, id=mark.icmp_id, seq=number) / payload
        case Protocol.ICMPV6:
            return (
                ICMPv6EchoRequest(id=mark.icmp_id, seq=number, data=mark.payload(sequence)),
                ICMPv6EchoReply(id=mark.icmp_id, seq=number, data=mark.payload(sequence)),
            )
        case Protocol.UDP:
            return UDP(sport=SPORT, dport=PORT) / payload, UDP(sport=PORT, dport=SPORT) / Raw(b"an answer")
        case _:
            isn = mark.tcp_sequence(sequence)
            answer = TCP(sport=PORT, dport=SPORT, flags="SA", seq=99, ack=(isn + 1) % 2**32)
            return TCP(sport=SPORT, dport=PORT, flags="S", seq=isn), answer


def packets(mark: Mark, sequence: int, six: bool) -> tuple[Packet, Packet]:
    """The request and the answer, from the IP header on."""
    request, answer = segments(mark, sequence)
    if six:
        return IPv6(src=A6, dst=B6) / request, IPv6(src=B6, dst=A6) / answer
    return IP(src=A, dst=B) / request, IP(src=B, dst=A) / answer


def ether(packet: Packet) -> Packet:
    return Ether(src=MAC, dst=MAC2) / packet


def samples(mark: Mark, six: bool) -> Iterator[Sample]:
    """The probe, its answer and its errors, bare and wrapped; everything here belongs to the mark."""
    for sequence in range(mark.count):
        request, answer = packets(mark, sequence, six)
        for leg, packet in ((Leg.REQUEST, request), (Leg.REPLY, answer)):
            for name, frame, ethernet in wrappings(packet):
                yield Sample(f"{leg} {sequence} {name}", frame, ethernet, leg, sequence)
        yield from errors(request, sequence, six)


def wrappings(packet: Packet) -> Iterator[tuple[str, bytes, bool]]:
    """One packet on every kind of wire."""
    bare = bytes(packet)
    yield "plain", bytes(ether(packet)), True
    yield "padded", bytes(ether(packet)) + b"\0" * 6, True
    yield "without ethernet", bare, False
    yield "tagged", bytes(Ether(src=MAC, dst=MAC2) / Dot1Q(vlan=7) / packet), True
    yield "tagged twice", bytes(Ether(src=MAC, dst=MAC2, type=0x88A8) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / packet), True
    outer = IP(src=ROUTER, dst=NAT)
    yield "in vxlan", bytes(ether(outer / UDP(sport=5555, dport=4789) / VXLAN(vni=42) / ether(packet))), True
    yield "in flannel's vxlan", bytes(ether(outer / UDP(sport=5555, dport=8472) / VXLAN(vni=1) / ether(packet))), True
    yield (
        "in vxlan over ipv6",
        bytes(ether(IPv6(src=ROUTER6, dst=NAT6) / UDP(sport=5555, dport=4789) / VXLAN(vni=42) / ether(packet))),
        True,
    )
    yield "in geneve", bytes(ether(outer / UDP(sport=5555, dport=6081) / GENEVE(vni=42, proto=0x6558) / ether(packet))), True
    yield "in ip", bytes(ether(IP(src=ROUTER, dst=NAT, proto=41 if packet.version == 6 else 4) / Raw(bare))), True
    kind = 0x86DD if packet.version == 6 else 0x0800
    yield "in gre", bytes(ether(outer / GRE(proto=kind) / Raw(bare))), True
    yield "in gre with a key", bytes(ether(outer / GRE(proto=kind, key_present=1, key=9) / Raw(bare))), True
    if packet.version == 4:
        options = packet.copy()
        options.options = [IPOption_NOP()] * 8
        del options.ihl, options.len, options.chksum
        yield "with ip options", bytes(ether(options)), True
        return
    behind = packet.payload
    head = IPv6(src=packet.src, dst=packet.dst)
    yield "behind hop-by-hop", bytes(ether(head / IPv6ExtHdrHopByHop() / behind)), True
    yield "first fragment", bytes(ether(head / IPv6ExtHdrFragment(offset=0, m=1, id=5) / behind)), True


def errors(request: Packet, sequence: int, six: bool) -> Iterator[Sample]:
    """ICMP errors that quote the request: whole, and cut to the eight bytes that RFC 792 asks for."""
    quoted = bytes(request)
    if six:
        head = IPv6(src=ROUTER6, dst=A6)
        yield Sample(
            "no route", bytes(ether(head / ICMPv6DestUnreach(code=0) / Raw(quoted))), True, Leg.REQUEST, sequence, (ROUTER6, 1, 0, None)
        )
        big = ether(head / ICMPv6PacketTooBig(mtu=1280) / Raw(quoted))
        yield Sample("too big", bytes(big), True, Leg.REQUEST, sequence, (ROUTER6, 2, 0, 1280))
        return
    for name, kind, code, mtu in (("unreachable", 3, 1, None), ("fragmentation needed", 3, 4, 1400), ("ttl exceeded", 11, 0, None)):
        error = ether(IP(src=ROUTER, dst=A) / ICMP(type=kind, code=code, nexthopmtu=mtu or 0) / Raw(quoted))
        yield Sample(name, bytes(error), True, Leg.REQUEST, sequence, (ROUTER, kind, code, mtu))
    short = ether(IP(src=ROUTER, dst=A) / ICMP(type=3, code=0) / Raw(quoted[:28]))
    yield Sample("unreachable, cut", bytes(short), True, Leg.REQUEST, sequence, (ROUTER, 3, 0, None))


def strangers(mark: Mark, six: bool) -> Iterator[Sample]:
    """The same kind of traffic, of others: another run, another sequence range, other protocols."""
    other = Mark(
        mark.protocol, bytes.fromhex("badbadbadbad"), mark.count, mark.size, icmp_id=0x4321, first=100, isn=0x1000,
        source_ports=(SPORT + 1,), port=PORT + 1,
    )  # fmt: skip
    moved = {Protocol.UDP: (SPORT + 1, PORT + 1), Protocol.TCP: (SPORT + 1, PORT + 1)}.get(mark.protocol)
    for sequence in range(mark.count):
        for leg, packet in zip(("request", "answer"), packets(other, sequence, six), strict=True):
            changed: Any = packet.copy()
            if moved:
                layer = changed.lastlayer() if mark.protocol is Protocol.TCP else changed[UDP]
                layer.sport, layer.dport = moved if leg == "request" else moved[::-1]
                del layer.chksum
            for name, frame, ethernet in wrappings(changed):
                yield Sample(f"a stranger's {leg} {sequence} {name}", frame, ethernet)
