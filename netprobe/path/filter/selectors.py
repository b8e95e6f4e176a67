"""What a packet shows to a rule: the selectors of nft(8), each with its type and how it is read from a packet.

A selector gives a number, a word, None (the packet has no such header: the rule ends without a match, NFT_BREAK), or UNKNOWN (the
packet has it, we cannot tell).
"""

# ruff: noqa: ARG001, ARG005 - the readers of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from netprobe.model import Link, Protocol

from . import datatypes as dt
from .packet import FibQuery, Packet, Surroundings


class Unknown(Enum):
    """The value that a packet has and we cannot tell."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
Seen = int | str | None | Unknown
Reader = Callable[[Packet, Surroundings], Seen]

_TCP, _UDP = (Protocol.TCP,), (Protocol.UDP,)
_ANY = (Protocol.TCP, Protocol.UDP)
_ICMP4, _ICMP6 = (Protocol.ICMP,), (Protocol.ICMPV6, Protocol.ND)
PROTOCOL_NUMBER = {Protocol.ICMP: 1, Protocol.TCP: 6, Protocol.UDP: 17, Protocol.ICMPV6: 58, Protocol.ND: 58}


def find(selector: str) -> tuple[dt.Datatype, Reader]:
    """The type and reader of a selector; one that nobody knows reads as UNKNOWN."""
    return SELECTORS.get(selector) or _UNHEARD


def _unknown(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN


_UNHEARD = (dt.WORD, _unknown)


# --- network and transport headers -------------------------------------------------------------------------------------------


def _of(ethertype: str, read: Reader) -> Reader:
    """Only for packets of this network protocol."""
    return lambda packet, around: read(packet, around) if packet.ethertype == ethertype else None


def _source(packet: Packet, around: Surroundings) -> Seen:
    return dt.IPV4.number(packet.flow.src)


def _destination(packet: Packet, around: Surroundings) -> Seen:
    return dt.IPV4.number(packet.flow.dst)


def _l4proto(packet: Packet, around: Surroundings) -> Seen:
    if packet.ethertype == "arp":
        return None
    return PROTOCOL_NUMBER.get(packet.flow.protocol, UNKNOWN)


def _carried(packet: Packet) -> bool:
    """Whether this packet begins with a transport header (a later fragment does not)."""
    return packet.ethertype != "arp" and not (packet.fragment and packet.fragment.offset)


def _port(protocols: tuple[Protocol, ...], side: str) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        if packet.flow.protocol not in protocols or not _carried(packet):
            return UNKNOWN if packet.flow.protocol is Protocol.OTHER else None
        number = packet.flow.sport if side == "sport" else packet.flow.dport
        return UNKNOWN if number is None else number

    return read


def _words(side: str) -> Reader:
    """`th sport`, `th dport`: the first two words of any transport header; in ICMP they are type and code, and the checksum."""

    def read(packet: Packet, around: Surroundings) -> Seen:
        if packet.flow.protocol in _ANY:
            return _port(_ANY, side)(packet, around)
        if not _carried(packet):
            return None
        kind = packet.flow.icmp_type
        return UNKNOWN if side == "dport" or kind is None else kind << 8 | (packet.flow.icmp_code or 0)

    return read


def _icmp(protocols: tuple[Protocol, ...], field: str) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        if packet.flow.protocol not in protocols or not _carried(packet):
            return None
        number: int | None = {"type": packet.flow.icmp_type, "code": packet.flow.icmp_code or 0, "id": packet.flow.icmp_id}[field]
        return UNKNOWN if number is None else number

    return read


def _tcp_flags(packet: Packet, around: Surroundings) -> Seen:
    if packet.flow.protocol is not Protocol.TCP or not _carried(packet):
        return None
    return UNKNOWN if packet.tcp_flags is None else sum({dt.TCP_FLAGS[flag] for flag in packet.tcp_flags})


def _fragment_word(packet: Packet, around: Surroundings) -> Seen:
    """The IPv4 header's flags and offset: DF 0x4000, MF 0x2000, offset in units of 8 bytes (RFC 791)."""
    if packet.fragment:
        return packet.fragment.offset // 8 | (0x2000 if packet.fragment.more else 0)
    return UNKNOWN if packet.df is None else 0x4000 if packet.df else 0


def _ttl(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.flow.ttl is None else packet.flow.ttl


def _length(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.flow.length is None else packet.flow.length


def _dscp(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.dscp is None else packet.dscp


def _tos(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.dscp is None else packet.dscp << 2


def _fragment_header(packet: Packet, around: Surroundings) -> Seen:
    """Whether an IPv6 packet has a fragment header."""
    return int(packet.fragment is not None)


# --- link layer and ARP ------------------------------------------------------------------------------------------------------


def _mac(side: str) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        mac = packet.flow.src_mac if side == "src" else packet.flow.dst_mac
        if mac is None:
            return None if packet.iif is None else UNKNOWN  # an output packet has no link header yet
        return dt.MAC.number(mac)

    return read


def _arp_operation(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.flow.icmp_type is None else packet.flow.icmp_type


def _arp_sender(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.flow.src_mac is None else dt.MAC.number(packet.flow.src_mac)


def _arp_target(packet: Packet, around: Surroundings) -> Seen:
    """The target hardware address: zero in a request (RFC 826 leaves it open; the kernel sends zeros)."""
    if packet.flow.icmp_type == 1:
        return 0
    return UNKNOWN if packet.flow.dst_mac is None else dt.MAC.number(packet.flow.dst_mac)


def _constant(number: int) -> Reader:
    return lambda packet, around: number


# --- meta --------------------------------------------------------------------------------------------------------------------


def _link(side: str, field: str) -> Reader:
    """A property of the interface in or out. Without one its name is "" and its index 0 (nft_meta_store_ifname), the rest breaks."""

    def read(packet: Packet, around: Surroundings) -> Seen:
        link: Link | None = {"iif": packet.iif, "oif": packet.oif, "in": packet.in_port, "out": packet.out_port, "br": packet.bridge}[side]
        if link is None:
            return "" if field == "name" else None
        if field == "type":
            return 772 if link.kind == "loopback" else 1
        if field == "kind":
            return link.kind or None
        return link.name

    return read


def _mark(packet: Packet, around: Surroundings) -> Seen:
    return UNKNOWN if packet.mark is None else packet.mark


def _nfproto(packet: Packet, around: Surroundings) -> Seen:
    return {"ip": 2, "ip6": 10, "arp": 3}[packet.ethertype]


def _ethertype(packet: Packet, around: Surroundings) -> Seen:
    return dt.ETHERTYPES[packet.ethertype]


def _outer_ethertype(packet: Packet, around: Surroundings) -> Seen:
    return dt.ETHERTYPES["vlan"] if packet.vlan is not None else dt.ETHERTYPES[packet.ethertype]


def _pkttype(packet: Packet, around: Surroundings) -> Seen:
    return dt.PKTTYPE.number(packet.pkttype)


def _port_known(side: str) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        return int((packet.in_port if side == "in" else packet.out_port) is not None)

    return read


def _bridged(packet: Packet, around: Surroundings) -> Seen:
    return int(packet.in_port is not None and packet.out_port is not None)


# --- connection tracking -----------------------------------------------------------------------------------------------------


def _state(packet: Packet, around: Surroundings) -> Seen:
    """No entry reads as invalid (nft_ct_get_eval, conntrack_mt): so rules before priority -200 see it."""
    return dt.CT_STATES[packet.state or "invalid"]


def _xt_state(packet: Packet, around: Surroundings) -> Seen:
    bits = dt.CT_STATES[packet.state or "invalid"]
    status = _status(packet, around)
    if isinstance(status, int):
        bits |= (dt.XT_CT_STATES["snat"] if status & 16 else 0) | (dt.XT_CT_STATES["dnat"] if status & 32 else 0)
    return bits


def tracked(packet: Packet) -> bool:
    """Whether the packet belongs to a conntrack entry at this point."""
    return packet.state not in (None, "invalid", "untracked")


def _status(packet: Packet, around: Surroundings) -> Seen:
    """Translations show in the entry's two tuples; the other words come from the entry itself, if it was read."""
    if not tracked(packet):
        return None
    if packet.connection is None:
        return UNKNOWN
    words = {word.lower().removeprefix("ips_").replace("_", "-") for word in packet.connection.status}
    bits = sum(bit for word, bit in dt.CT_STATUSES.items() if word in words)
    original, reply = packet.connection.original, packet.connection.reply
    bits |= 16 if reply[1] != original[0] else 0
    bits |= 32 if reply[0] != original[1] else 0
    return bits | (2 if packet.reply else 0) | (8 if packet.state == "established" else 0)


def _ct_direction(packet: Packet, around: Surroundings) -> Seen:
    return int(packet.reply) if tracked(packet) else None


def _ct_tuple(tuple_name: str, index: int) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        if not tracked(packet):
            return None
        if packet.connection is None:
            return UNKNOWN
        seen = getattr(packet.connection, tuple_name)[index]
        if index < 2:
            return dt.IPV4.number(seen)
        return UNKNOWN if seen is None else int(seen)

    return read


def _ct_mark(packet: Packet, around: Surroundings) -> Seen:
    if not tracked(packet):
        return None
    return packet.connection.mark if packet.connection else UNKNOWN


def _ct_zone(packet: Packet, around: Surroundings) -> Seen:
    return packet.zone if packet.state != "untracked" else 0


def _ct_protocol(packet: Packet, around: Surroundings) -> Seen:
    return _l4proto(packet, around) if tracked(packet) else None


def _nothing(packet: Packet, around: Surroundings) -> Seen:
    return None


# --- sockets and routes ------------------------------------------------------------------------------------------------------


def _uid(packet: Packet, around: Surroundings) -> Seen:
    return packet.uid


def _gid(packet: Packet, around: Surroundings) -> Seen:
    return packet.gid if packet.gid is not None or packet.uid is None else UNKNOWN


def _has_socket(packet: Packet, around: Surroundings) -> Seen:
    return int(packet.uid is not None)


def _ipsec(packet: Packet, around: Surroundings) -> Seen:
    return int(packet.ipsec)


def _fib_type(side: str, device: str | None) -> Reader:
    def read(packet: Packet, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        address = packet.flow.src if side == "saddr" else packet.flow.dst
        link = {"iif": packet.iif, "oif": packet.oif}.get(device or "")
        kind = around.address_type(address, link.name if link else None) if around.address_type else None
        return UNKNOWN if kind is None else dt.FIB_TYPES.get(kind, UNKNOWN)

    return read


def _fib_device(side: str, device: str | None, with_mark: bool, found: str) -> Reader:
    """`fib saddr . iif oif`: the device of the route (back) - with iif only if it is that one. Kernel: nft_fib_ipv4.c."""

    def read(packet: Packet, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        link = {"iif": packet.iif, "oif": packet.oif}.get(device or "")
        if packet.iif is not None and packet.iif.kind == "loopback":
            return 1 if found == "exists" else packet.iif.name
        near, far = (packet.flow.src, packet.flow.dst) if side == "saddr" else (packet.flow.dst, packet.flow.src)
        query = FibQuery(near, far, (packet.mark or 0) if with_mark else 0, link.name if link else None)
        answer = around.fib(query) if around.fib else None
        if answer is None or (with_mark and packet.mark is None):
            return UNKNOWN
        name = _leaving(answer.type, answer.devices, link)
        return int(bool(name)) if found == "exists" else name

    return read


def _leaving(kind: str, devices: tuple[str, ...], link: Link | None) -> str:
    if kind != "unicast" or not devices:
        return ""
    if link is None:
        return devices[0]
    return link.name if link.name in devices else ""


SELECTORS: dict[str, tuple[dt.Datatype, Reader]] = {
    "ip saddr": (dt.IPV4, _of("ip", _source)),
    "ip daddr": (dt.IPV4, _of("ip", _destination)),
    "ip6 saddr": (dt.IPV6, _of("ip6", _source)),
    "ip6 daddr": (dt.IPV6, _of("ip6", _destination)),
    "ip protocol": (dt.PROTOCOL, _of("ip", _l4proto)),
    "ip6 nexthdr": (dt.PROTOCOL, _of("ip6", _l4proto)),
    "meta l4proto": (dt.PROTOCOL, _l4proto),
    "ip ttl": (dt.NUMBER, _of("ip", _ttl)),
    "ip6 hoplimit": (dt.NUMBER, _of("ip6", _ttl)),
    "ip dscp": (dt.DIFFSERV, _of("ip", _dscp)),
    "ip6 dscp": (dt.DIFFSERV, _of("ip6", _dscp)),
    "ip tos": (dt.NUMBER, _of("ip", _tos)),
    "ip6 tos": (dt.NUMBER, _of("ip6", _tos)),
    "ip version": (dt.NUMBER, _of("ip", _constant(4))),
    "ip6 version": (dt.NUMBER, _of("ip6", _constant(6))),
    "ip hdrlength": (dt.NUMBER, _of("ip", _constant(5))),
    "ip length": (dt.NUMBER, _of("ip", _length)),
    "meta length": (dt.NUMBER, _length),
    "ip frag-off": (dt.NUMBER, _of("ip", _fragment_word)),
    "exthdr frag": (dt.BOOLEAN, _of("ip6", _fragment_header)),
    "exthdr rt": (dt.BOOLEAN, _of("ip6", _constant(0))),
    "exthdr hbh": (dt.BOOLEAN, _of("ip6", _constant(0))),
    "exthdr dst": (dt.BOOLEAN, _of("ip6", _constant(0))),
    "exthdr mh": (dt.BOOLEAN, _of("ip6", _constant(0))),
    "exthdr ah": (dt.BOOLEAN, _constant(0)),
    "ip option lsrr": (dt.BOOLEAN, _of("ip", _constant(0))),
    "ip option rr": (dt.BOOLEAN, _of("ip", _constant(0))),
    "ip option ssrr": (dt.BOOLEAN, _of("ip", _constant(0))),
    "ip option ra": (dt.BOOLEAN, _of("ip", _constant(0))),
    "tcp sport": (dt.PORT, _port(_TCP, "sport")),
    "tcp dport": (dt.PORT, _port(_TCP, "dport")),
    "udp sport": (dt.PORT, _port(_UDP, "sport")),
    "udp dport": (dt.PORT, _port(_UDP, "dport")),
    "th sport": (dt.PORT, _words("sport")),
    "th dport": (dt.PORT, _words("dport")),
    "tcp flags": (dt.TCP_FLAG, _tcp_flags),
    "icmp type": (dt.ICMP_TYPE, _icmp(_ICMP4, "type")),
    "icmp code": (dt.ICMP_CODE, _icmp(_ICMP4, "code")),
    "icmp id": (dt.NUMBER, _icmp(_ICMP4, "id")),
    "icmpv6 type": (dt.ICMPV6_TYPE, _icmp(_ICMP6, "type")),
    "icmpv6 code": (dt.ICMPV6_CODE, _icmp(_ICMP6, "code")),
    "icmpv6 id": (dt.NUMBER, _icmp(_ICMP6, "id")),
    "ether saddr": (dt.MAC, _mac("src")),
    "ether daddr": (dt.MAC, _mac("dst")),
    "ether type": (dt.ETHERTYPE, _outer_ethertype),
    "vlan id": (dt.NUMBER, lambda packet, around: packet.vlan),
    "arp operation": (dt.ARP_OPERATION, _of("arp", _arp_operation)),
    "arp htype": (dt.NUMBER, _of("arp", _constant(1))),
    "arp ptype": (dt.ETHERTYPE, _of("arp", _constant(0x0800))),
    "arp hlen": (dt.NUMBER, _of("arp", _constant(6))),
    "arp plen": (dt.NUMBER, _of("arp", _constant(4))),
    "arp saddr ip": (dt.IPV4, _of("arp", _source)),
    "arp daddr ip": (dt.IPV4, _of("arp", _destination)),
    "arp saddr ether": (dt.MAC, _of("arp", _arp_sender)),
    "arp daddr ether": (dt.MAC, _of("arp", _arp_target)),
    "meta iifname": (dt.INTERFACE, _link("iif", "name")),
    "meta oifname": (dt.INTERFACE, _link("oif", "name")),
    "meta iif": (dt.INTERFACE, _link("iif", "name")),
    "meta oif": (dt.INTERFACE, _link("oif", "name")),
    "meta iiftype": (dt.DEVICE_TYPE, _link("iif", "type")),
    "meta oiftype": (dt.DEVICE_TYPE, _link("oif", "type")),
    "meta iifkind": (dt.WORD, _link("iif", "kind")),
    "meta oifkind": (dt.WORD, _link("oif", "kind")),
    "meta ibrname": (dt.INTERFACE, _link("br", "name")),
    "meta obrname": (dt.INTERFACE, _link("br", "name")),
    "meta sdif": (dt.INTERFACE, _nothing),
    "meta sdifname": (dt.INTERFACE, _nothing),
    "meta mark": (dt.NUMBER, _mark),
    "meta nfproto": (dt.NFPROTO, _nfproto),
    "meta protocol": (dt.ETHERTYPE, _ethertype),
    "meta pkttype": (dt.PKTTYPE, _pkttype),
    "meta skuid": (dt.NUMBER, _uid),
    "meta skgid": (dt.NUMBER, _gid),
    "xt skuid": (dt.NUMBER, lambda packet, around: -1 if packet.uid is None else packet.uid),
    "xt skgid": (dt.NUMBER, lambda packet, around: -1 if packet.uid is None else _gid(packet, around)),
    "meta ipsec": (dt.BOOLEAN, _ipsec),
    "meta secpath": (dt.BOOLEAN, _ipsec),
    "socket exists": (dt.BOOLEAN, _has_socket),
    "xt physdev-in": (dt.INTERFACE, _link("in", "name")),
    "xt physdev-out": (dt.INTERFACE, _link("out", "name")),
    "xt physdev-is-in": (dt.BOOLEAN, _port_known("in")),
    "xt physdev-is-out": (dt.BOOLEAN, _port_known("out")),
    "xt physdev-is-bridged": (dt.BOOLEAN, _bridged),
    "xt ctstate": (dt.XT_CT_STATE, _xt_state),
    "ct state": (dt.CT_STATE, _state),
    "ct status": (dt.CT_STATUS, _status),
    "ct direction": (dt.CT_DIRECTION, _ct_direction),
    "ct mark": (dt.NUMBER, _ct_mark),
    "ct zone": (dt.NUMBER, _ct_zone),
    "ct protocol": (dt.PROTOCOL, _ct_protocol),
    "ct l3proto": (dt.NFPROTO, lambda packet, around: _nfproto(packet, around) if tracked(packet) else None),
    "ct helper": (dt.WORD, _nothing),
}  # fmt: skip

for _tuple, _name in (("original", "original"), ("reply", "reply")):
    for _index, _field in enumerate(("saddr", "daddr")):
        SELECTORS[f"ct {_name} ip {_field}"] = (dt.IPV4, _of("ip", _ct_tuple(_tuple, _index)))
        SELECTORS[f"ct {_name} ip6 {_field}"] = (dt.IPV6, _of("ip6", _ct_tuple(_tuple, _index)))
        SELECTORS[f"ct {_name} saddr" if _index == 0 else f"ct {_name} daddr"] = (dt.IPV4, _ct_tuple(_tuple, _index))
    for _index, _field in ((2, "proto-src"), (3, "proto-dst")):
        SELECTORS[f"ct {_name} {_field}"] = (dt.PORT, _ct_tuple(_tuple, _index))

for _side in ("saddr", "daddr"):
    for _suffix, _device in (("", None), (" . iif", "iif"), (" . oif", "oif")):
        SELECTORS[f"fib {_side}{_suffix} type"] = (dt.FIB_TYPE, _fib_type(_side, _device))
        for _marked in ("", " . mark"):
            _key = f"fib {_side}{_marked}{_suffix}"
            SELECTORS[f"{_key} oif"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            SELECTORS[f"{_key} oifname"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            SELECTORS[f"{_key} check"] = (dt.BOOLEAN, _fib_device(_side, _device, bool(_marked), "exists"))
