"""Tracked connections of one flow, picked by the kernel: a table may hold 200,000 of them. Needs CAP_NET_ADMIN there.

ctnetlink: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c. Filters came with Linux
5.8 (cb8aa9a3affb); an older kernel passes them over and sends the whole table, so what comes is checked here too.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import replace

from netprobe.errors import NetprobeError
from netprobe.model import Blind, ConntrackEntry, Flow, Protocol

from .netlink import Netlink, address, attribute, attributes, number
from .netns import inside

NETFILTER = 12  # a netlink protocol
CT_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
TUPLE_ORIG, TUPLE_REPLY, STATUS, PROTOINFO, TIMEOUT, MARK, ZONE, FILTER = 1, 2, 3, 4, 7, 8, 18, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
IP_ATTRIBUTES = {4: (1, 2), 6: (3, 4)}  # source, destination
PROTO_NUM, SRC_PORT, DST_PORT = 1, 2, 3
ICMP_ID, ICMP_TYPE, ICMP_CODE, ICMPV6_ID, ICMPV6_TYPE, ICMPV6_CODE = 4, 5, 6, 7, 8, 9
FILTER_ORIG_FLAGS, FILTER_REPLY_FLAGS = 1, 2
F_SRC, F_DST, F_PROTO, F_SPORT, F_DPORT, F_ICMP_ID, F_ICMPV6_ID = 1, 2, 8, 16, 32, 256, 2048  # CTA_FILTER_F_CTA_*

_NESTED = 0x8000  # NLA_F_NESTED
_NUMBERS = {Protocol.ICMP: 1, Protocol.TCP: 6, Protocol.UDP: 17, Protocol.ICMPV6: 58}
_ECHO = {Protocol.ICMP: (ICMP_TYPE, ICMP_CODE, 8), Protocol.ICMPV6: (ICMPV6_TYPE, ICMPV6_CODE, 128)}
_NAMES = {value: name.value for name, value in _NUMBERS.items()}
_STATUS = (
    "expected", "seen_reply", "assured", "confirmed", "src_nat", "dst_nat", "seq_adjust", "src_nat_done", "dst_nat_done",
    "dying", "fixed_timeout", "template", "untracked", "helper", "offload", "hw_offload",
)  # fmt: skip
_TCP_STATES = ("none", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close", "syn_sent2")

_Ends = tuple[str, str, int | None, int | None]


def entries(fd: int, flow: Flow, zone: int = 0) -> tuple[ConntrackEntry, ...] | Blind:
    """The connections of the namespace `fd` that have `flow` as their original or, turned round, as their reply direction.

    A flow with all its ports (or its ICMP id) is looked up in the zone like a packet, in microseconds; with a port or id of
    None, which stands for any, the kernel searches the table of all zones. Blind when it cannot be read, with the reason.
    """
    if flow.protocol not in _NUMBERS:
        return ()
    if flow.protocol in _ECHO and flow.icmp_type is None:
        flow = replace(flow, icmp_type=_ECHO[flow.protocol][2])
    sides = (flow, TUPLE_ORIG), (flow.reversed(), TUPLE_REPLY)
    try:
        with inside(fd), Netlink(NETFILTER) as netlink:
            payloads = _looked_up(netlink, sides, zone) if None not in _numbers(flow).values() else _searched(netlink, sides)
    except OSError as error:
        return Blind("connection tracking", _why(error))
    except NetprobeError as error:
        return Blind("connection tracking", str(error))
    decoded = (decode(payload) for payload in payloads)
    return tuple(dict.fromkeys(entry for entry in decoded if entry is not None and _is_of(entry, flow)))


def _why(error: OSError) -> str:
    if error.errno == errno.EPERM:
        return "reading the table needs CAP_NET_ADMIN"
    return f"this kernel does not offer it: {error.strerror}"


_Sides = tuple[tuple[Flow, int], ...]


def _looked_up(netlink: Netlink, sides: _Sides, zone: int) -> list[bytes]:
    """The entries that a packet of the flow would be found to belong to."""
    where = attribute(ZONE, struct.pack(">H", zone)) if zone else b""
    requests = [(CT_GET, _header(flow) + _tuple(flow, TUPLE_ORIG) + where) for flow, _ in sides]
    payloads = []
    for answer in netlink.ask(requests):
        if isinstance(answer, bytes):
            payloads.append(answer)
        elif answer.errno != errno.ENOENT:
            raise answer
    return payloads


def _searched(netlink: Netlink, sides: _Sides) -> list[bytes]:
    """The entries that agree with what is known of the flow."""
    requests = [_header(flow) + _tuple(flow, direction) + _filter(flow, direction) for flow, direction in sides]
    return [payload for request in requests for _, payload in netlink.dump(CT_GET, request)]


def _is_of(entry: ConntrackEntry, flow: Flow) -> bool:
    if entry.protocol != flow.protocol.value:
        return False
    sides = (ends(flow), entry.original), (ends(flow.reversed()), entry.reply)
    return any(all(w is None or w == h for w, h in zip(wanted, have, strict=True)) for wanted, have in sides)


def ends(flow: Flow) -> _Ends:
    """A flow as the tuple of an entry: the ICMP id stands where a source port would."""
    if flow.protocol in (Protocol.ICMP, Protocol.ICMPV6):
        return flow.src, flow.dst, flow.icmp_id, None
    return flow.src, flow.dst, flow.sport, flow.dport


def _header(flow: Flow) -> bytes:
    """struct nfgenmsg."""
    return struct.pack("=BBH", socket.AF_INET6 if flow.version == 6 else socket.AF_INET, 0, 0)


def _tuple(flow: Flow, direction: int) -> bytes:
    """The flow as the tuple of a direction; what is unknown of it is 0."""
    family = socket.AF_INET6 if flow.version == 6 else socket.AF_INET
    src, dst = IP_ATTRIBUTES[flow.version]
    ip = attribute(src, socket.inet_pton(family, flow.src)) + attribute(dst, socket.inet_pton(family, flow.dst))
    proto = attribute(PROTO_NUM, bytes([_NUMBERS[flow.protocol]]))
    for (kind, _), value in _numbers(flow).items():
        proto += attribute(kind, struct.pack(">H", value or 0))
    if flow.protocol in _ECHO:
        kind, code, request = _ECHO[flow.protocol]
        proto += attribute(kind, bytes([flow.icmp_type if flow.icmp_type is not None else request])) + attribute(code, b"\0")
    return attribute(direction | _NESTED, attribute(TUPLE_IP | _NESTED, ip) + attribute(TUPLE_PROTO | _NESTED, proto))


def _filter(flow: Flow, direction: int) -> bytes:
    """Which parts of the tuple count.

    For IPv6 not the addresses: the kernel then sends all entries whose addresses differ (seen on 6.18: the comparison in
    ctnetlink_filter_match_tuple is the wrong way round).
    """
    flags = F_PROTO if flow.version == 6 else F_PROTO | F_SRC | F_DST
    for (_, flag), value in _numbers(flow).items():
        flags |= flag if value is not None else 0
    which = FILTER_ORIG_FLAGS if direction == TUPLE_ORIG else FILTER_REPLY_FLAGS
    return attribute(FILTER | _NESTED, attribute(which, struct.pack("=I", flags)))


def _numbers(flow: Flow) -> dict[tuple[int, int], int | None]:
    """The ports, or the ICMP id, by attribute and filter flag."""
    if flow.protocol is Protocol.ICMP:
        return {(ICMP_ID, F_ICMP_ID): flow.icmp_id}
    if flow.protocol is Protocol.ICMPV6:
        return {(ICMPV6_ID, F_ICMPV6_ID): flow.icmp_id}
    return {(SRC_PORT, F_SPORT): flow.sport, (DST_PORT, F_DPORT): flow.dport}


def decode(payload: bytes) -> ConntrackEntry | None:
    """One entry as the kernel sends it; None for a protocol that no probe has, or without tuples."""
    data = attributes(payload, 4)
    original, reply = _ends(data.get(TUPLE_ORIG)), _ends(data.get(TUPLE_REPLY))
    if original is None or reply is None or original[0] != reply[0]:
        return None
    bits = int.from_bytes(data.get(STATUS, b""), "big")
    status = tuple(word for bit, word in enumerate(_STATUS) if bits >> bit & 1)
    return ConntrackEntry(
        original[0], original[1], reply[1], _big(data, ZONE) or 0, _big(data, MARK) or 0, status, _state(data), _big(data, TIMEOUT)
    )


def _big(data: dict[int, bytes], kind: int) -> int | None:
    return int.from_bytes(data[kind], "big") if kind in data else None


def _ends(data: bytes | None) -> tuple[str, _Ends] | None:
    """The protocol and the ends of one direction."""
    parts = attributes(data or b"")
    ip, proto = attributes(parts.get(TUPLE_IP, b"")), attributes(parts.get(TUPLE_PROTO, b""))
    protocol = _NAMES.get(number(proto.get(PROTO_NUM)))
    addresses = [address(ip[kind]) for kinds in IP_ATTRIBUTES.values() for kind in kinds if kind in ip]
    if protocol is None or len(addresses) != 2:
        return None
    src, dst = addresses
    if protocol in ("icmp", "icmpv6"):
        return protocol, (src, dst, _big(proto, ICMP_ID if protocol == "icmp" else ICMPV6_ID), None)
    return protocol, (src, dst, _big(proto, SRC_PORT), _big(proto, DST_PORT))


def _state(data: dict[int, bytes]) -> str | None:
    """TCP's state, in conntrack(8)'s words in lower case."""
    tcp = attributes(attributes(data.get(PROTOINFO, b"")).get(1, b""))
    state = number(tcp.get(1), len(_TCP_STATES))
    return _TCP_STATES[state] if state < len(_TCP_STATES) else None
