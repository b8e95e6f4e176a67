"""Network and transport headers: IPv4 and IPv6, TCP, UDP, ICMP (RFC 791, 8200, 9293, 768, 792, 4443)."""

# ruff: noqa: ARG001 - the readers of one table take the same arguments
from __future__ import annotations

from netprobe.model import MSS, Protocol
from netprobe.model.protocol import PORTED
from netprobe.rules import datatypes as dt
from netprobe.rules.packet import HookPacket, Surroundings

from .value import UNKNOWN, Reader, Rows, Seen, constant, known, only

_ICMP4, _ICMP6 = (Protocol.ICMP,), (Protocol.ICMPV6, Protocol.ND)


def source(packet: HookPacket, around: Surroundings) -> Seen:
    """The network header's source address, as a number; in ARP the sender's."""
    return dt.IPV4.number(packet.flow.src)


def destination(packet: HookPacket, around: Surroundings) -> Seen:
    """The network header's destination address, as a number; in ARP the target's."""
    return dt.IPV4.number(packet.flow.dst)


def l4proto(packet: HookPacket, around: Surroundings) -> Seen:
    """The number of the transport protocol."""
    if packet.ethertype == "arp":
        return None
    number = packet.flow.protocol.number
    return UNKNOWN if number is None else number


def carried(packet: HookPacket) -> bool:
    """Whether this packet begins with a transport header (a later fragment does not)."""
    return packet.ethertype != "arp" and not (packet.fragment and packet.fragment.offset)


def _port(protocols: tuple[Protocol, ...], side: str) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.flow.protocol not in protocols or not carried(packet):
            return UNKNOWN if packet.flow.protocol is Protocol.OTHER else None
        number = packet.flow.sport if side == "sport" else packet.flow.dport
        return known(number)

    return read


def _words(side: str) -> Reader:
    """`th sport`, `th dport`: the first two words of any transport header; in ICMP they are type and code,
    and the checksum. That is any number to a rule about ports: the one of an empty echo stands for it.
    """

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.flow.protocol.has_ports:
            return _port(PORTED, side)(packet, around)
        if not carried(packet):
            return None
        kind = packet.flow.icmp_type
        if kind is None:
            return UNKNOWN
        first = kind << 8 | (packet.flow.icmp_code or 0)
        return first if side == "sport" else 0xFFFF - (first + (packet.flow.icmp_id or 0)) % 0xFFFF

    return read


def _icmp(protocols: tuple[Protocol, ...], field: str) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.flow.protocol not in protocols or not carried(packet):
            return None
        number: int | None = {
            "type": packet.flow.icmp_type,
            "code": packet.flow.icmp_code or 0,
            "id": packet.flow.icmp_id,
        }[field]
        return known(number)

    return read


def _tcp_flags(packet: HookPacket, around: Surroundings) -> Seen:
    if packet.flow.protocol is not Protocol.TCP or not carried(packet):
        return None
    return UNKNOWN if packet.tcp_flags is None else sum({dt.TCP_FLAGS[flag] for flag in packet.tcp_flags})


def _is_syn(packet: HookPacket) -> bool:
    return packet.flow.protocol is Protocol.TCP and "syn" in (packet.tcp_flags or ())


def _mss(packet: HookPacket, around: Surroundings) -> Seen:
    """The option of a SYN (RFC 9293, 3.7.1): ours has the usual one, an answer's is its kernel's choice."""
    if not _is_syn(packet):
        return None
    chosen = packet.clamped or "ack" in (packet.tcp_flags or ())
    return UNKNOWN if chosen else packet.mss or MSS[packet.flow.version]


def _has_mss(packet: HookPacket, around: Surroundings) -> Seen:
    return int(_is_syn(packet))


def _fragment_word(packet: HookPacket, around: Surroundings) -> Seen:
    """The IPv4 header's flags and offset: DF 0x4000, MF 0x2000, offset in units of 8 bytes (RFC 791)."""
    if packet.fragment:
        return packet.fragment.offset // 8 | (0x2000 if packet.fragment.more else 0)
    return UNKNOWN if packet.df is None else 0x4000 * int(packet.df)


def _ttl(packet: HookPacket, around: Surroundings) -> Seen:
    return known(packet.flow.ttl)


def _length(packet: HookPacket, around: Surroundings) -> Seen:
    return known(packet.flow.length)


def _dscp(packet: HookPacket, around: Surroundings) -> Seen:
    return UNKNOWN if packet.tos is None else packet.tos >> 2


def _ecn(packet: HookPacket, around: Surroundings) -> Seen:
    return UNKNOWN if packet.tos is None else packet.tos & 3


def _tos(packet: HookPacket, around: Surroundings) -> Seen:
    return known(packet.tos)


def _fragment_header(packet: HookPacket, around: Surroundings) -> Seen:
    """Whether an IPv6 packet has a fragment header."""
    return int(packet.fragment is not None)


ROWS: Rows = {
    "ip saddr": (dt.IPV4, only("ip", source)),
    "ip daddr": (dt.IPV4, only("ip", destination)),
    "ip6 saddr": (dt.IPV6, only("ip6", source)),
    "ip6 daddr": (dt.IPV6, only("ip6", destination)),
    "ip protocol": (dt.PROTOCOL, only("ip", l4proto)),
    "ip6 nexthdr": (dt.PROTOCOL, only("ip6", l4proto)),
    "meta l4proto": (dt.PROTOCOL, l4proto),
    "ip ttl": (dt.NUMBER, only("ip", _ttl)),
    "ip6 hoplimit": (dt.NUMBER, only("ip6", _ttl)),
    "ip dscp": (dt.DIFFSERV, only("ip", _dscp)),
    "ip6 dscp": (dt.DIFFSERV, only("ip6", _dscp)),
    "ip tos": (dt.NUMBER, only("ip", _tos)),
    "ip6 tos": (dt.NUMBER, only("ip6", _tos)),
    "ip ecn": (dt.ECN, only("ip", _ecn)),
    "ip6 ecn": (dt.ECN, only("ip6", _ecn)),
    "ip version": (dt.NUMBER, only("ip", constant(4))),
    "ip6 version": (dt.NUMBER, only("ip6", constant(6))),
    "ip hdrlength": (dt.NUMBER, only("ip", constant(5))),
    "ip length": (dt.NUMBER, only("ip", _length)),
    "meta length": (dt.NUMBER, _length),
    "ip frag-off": (dt.NUMBER, only("ip", _fragment_word)),
    "exthdr frag": (dt.BOOLEAN, only("ip6", _fragment_header)),
    "exthdr ah": (dt.BOOLEAN, constant(0)),
    **{f"{each} {side}": (dt.PORT, _port((each,), side)) for each in PORTED for side in ("sport", "dport")},
    "th sport": (dt.PORT, _words("sport")),
    "th dport": (dt.PORT, _words("dport")),
    "tcp flags": (dt.TCP_FLAG, _tcp_flags),
    "tcp option maxseg": (dt.BOOLEAN, _has_mss),
    "tcp option maxseg size": (dt.NUMBER, _mss),
    "icmp type": (dt.ICMP_TYPE, _icmp(_ICMP4, "type")),
    "icmp code": (dt.ICMP_CODE, _icmp(_ICMP4, "code")),
    "icmp id": (dt.NUMBER, _icmp(_ICMP4, "id")),
    "icmpv6 type": (dt.ICMPV6_TYPE, _icmp(_ICMP6, "type")),
    "icmpv6 code": (dt.ICMPV6_CODE, _icmp(_ICMP6, "code")),
    "icmpv6 id": (dt.NUMBER, _icmp(_ICMP6, "id")),
}  # fmt: skip
