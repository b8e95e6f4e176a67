"""Tracked connections of one flow, picked by the kernel: a table may hold 200,000 of them.

Needs CAP_NET_ADMIN there.

ctnetlink: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c. Filters
came with Linux 5.8 (cb8aa9a3affb); an older kernel passes them over and sends the whole table, so what comes
is checked here too.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from netprobe.errors import NetprobeError, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.linux.netlink import CONNTRACK, Netlink, Record, Request
from netprobe.linux.netns import inside
from netprobe.model import ROUTED, Blind, ConntrackEntry, Flow, Protocol

CT_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
ORIG, REPLY = "ORIG", "REPLY"
SRC_PORT, DST_PORT, ICMP_ID, ICMPV6_ID = (
    "CTA_PROTO_SRC_PORT",
    "CTA_PROTO_DST_PORT",
    "CTA_PROTO_ICMP_ID",
    "CTA_PROTO_ICMPV6_ID",
)
# CTA_FILTER_F_CTA_*
F_SRC, F_DST, F_PROTO, F_SPORT, F_DPORT, F_ICMP_ID, F_ICMPV6_ID = 1, 2, 8, 16, 32, 256, 2048

_ECHO = {Protocol.ICMP: "CTA_PROTO_ICMP", Protocol.ICMPV6: "CTA_PROTO_ICMPV6"}
_STATUS = (
    "expected", "seen_reply", "assured", "confirmed", "src_nat", "dst_nat", "seq_adjust", "src_nat_done",
    "dst_nat_done",
    "dying", "fixed_timeout", "template", "untracked", "helper", "offload", "hw_offload",
)  # fmt: skip
_TCP_STATES = (
    "none",
    "syn_sent",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
    "syn_sent2",
)

_Ends = tuple[str, str, int | None, int | None]


def entries(fd: Place, flow: Flow, zone: int = 0) -> tuple[ConntrackEntry, ...] | Blind:
    """The connections of the namespace `fd` that have `flow` as their original or, turned round, as their
    reply direction.

    A flow with all its ports (or its ICMP id) is looked up in the zone like a packet, in microseconds; with a
    port or id of None, which stands for any, the kernel searches the table of all zones. Blind when it cannot
    be read, with the reason.
    """
    if flow.protocol not in ROUTED.values():
        return ()
    if flow.protocol.is_echo and flow.icmp_type is None:
        flow = replace(flow, icmp_type=flow.protocol.question)
    sides = (flow, ORIG), (flow.reversed(), REPLY)
    try:
        with inside(fd), Netlink(CONNTRACK) as netlink:
            records = (
                _looked_up(netlink, sides, zone)
                if None not in _numbers(flow).values()
                else _searched(netlink, sides)
            )
            decoded = [decode(record) for record in records]
    except OSError as error:
        return Blind("connection tracking", _why(error))
    except NetprobeError as error:
        return Blind("connection tracking", str(error))
    return tuple(dict.fromkeys(entry for entry in decoded if entry is not None and _is_of(entry, flow)))


def _why(error: OSError) -> str:
    if error.errno == errno.EPERM:
        return "reading the table needs CAP_NET_ADMIN"
    said = error.strerror or str(error)
    return said if is_short(error) else f"this kernel does not offer it: {said}"


_Sides = tuple[tuple[Flow, str], ...]


def _looked_up(netlink: Netlink, sides: _Sides, zone: int) -> list[Record]:
    """The entries that a packet of the flow would be found to belong to."""
    where = [("CTA_ZONE", zone)] if zone else []
    found = []
    for flow, _ in sides:
        with suppress(FileNotFoundError):
            found.append(netlink.ask(Request(CT_GET, _header(flow), [_tuple(flow, ORIG), *where])))
    return found


def _searched(netlink: Netlink, sides: _Sides) -> list[Record]:
    """The entries that agree with what is known of the flow."""
    requests = [
        Request(CT_GET, _header(flow), [_tuple(flow, side), _filter(flow, side)]) for flow, side in sides
    ]
    return [record for request in requests for record in netlink.dump(request)]


def _is_of(entry: ConntrackEntry, flow: Flow) -> bool:
    if entry.protocol != flow.protocol.value:
        return False
    sides = (ends(flow), entry.original), (ends(flow.reversed()), entry.reply)
    return any(all(w is None or w == h for w, h in zip(wanted, have, strict=True)) for wanted, have in sides)


def ends(flow: Flow) -> _Ends:
    """A flow as the tuple of an entry: the ICMP id stands where a source port would."""
    if flow.protocol.is_echo:
        return flow.src, flow.dst, flow.icmp_id, None
    return flow.src, flow.dst, flow.sport, flow.dport


_Attribute = tuple[str, Any]


def _header(flow: Flow) -> dict[str, int]:
    return {"nfgen_family": socket.AF_INET6 if flow.version == 6 else socket.AF_INET}


def _tuple(flow: Flow, side: str) -> _Attribute:
    """The flow as the tuple of a direction; what is unknown of it is 0."""
    ends = [(f"CTA_IP_V{flow.version}_SRC", flow.src), (f"CTA_IP_V{flow.version}_DST", flow.dst)]
    proto = [
        ("CTA_PROTO_NUM", flow.protocol.number),
        *((name, value or 0) for (name, _), value in _numbers(flow).items()),
    ]
    if flow.protocol in _ECHO:
        stem = _ECHO[flow.protocol]
        proto += [
            (f"{stem}_TYPE", flow.icmp_type if flow.icmp_type is not None else flow.protocol.question),
            (f"{stem}_CODE", 0),
        ]
    return f"CTA_TUPLE_{side}", {
        "attrs": [("CTA_TUPLE_IP", {"attrs": ends}), ("CTA_TUPLE_PROTO", {"attrs": proto})]
    }


def _filter(flow: Flow, side: str) -> _Attribute:
    """Which parts of the tuple count.

    For IPv6 not the addresses: the kernel then sends all entries whose addresses differ (seen on 6.18: the
    comparison in ctnetlink_filter_match_tuple is the wrong way round).
    """
    flags = F_PROTO if flow.version == 6 else F_PROTO | F_SRC | F_DST
    for (_, flag), value in _numbers(flow).items():
        flags |= flag if value is not None else 0
    return "CTA_FILTER", {"attrs": [(f"CTA_FILTER_{side}_FLAGS", flags)]}


def _numbers(flow: Flow) -> dict[tuple[str, int], int | None]:
    """The ports, or the ICMP id, by attribute and filter flag."""
    if flow.protocol is Protocol.ICMP:
        return {(ICMP_ID, F_ICMP_ID): flow.icmp_id}
    if flow.protocol is Protocol.ICMPV6:
        return {(ICMPV6_ID, F_ICMPV6_ID): flow.icmp_id}
    return {(SRC_PORT, F_SPORT): flow.sport, (DST_PORT, F_DPORT): flow.dport}


def decode(record: Record) -> ConntrackEntry | None:
    """One entry as the kernel sends it; None for a protocol that no probe has, or without tuples."""
    original, reply = _ends(record.nest("CTA_TUPLE_ORIG")), _ends(record.nest("CTA_TUPLE_REPLY"))
    if original is None or reply is None or original[0] != reply[0]:
        return None
    bits = record.get("CTA_STATUS", 0)
    status = tuple(word for bit, word in enumerate(_STATUS) if bits >> bit & 1)
    zone, of_replies = _zones(record)
    mark = record.get("CTA_MARK", 0)
    return ConntrackEntry(
        original[0], original[1], reply[1], zone, mark, status, _state(record), reply_zone=of_replies
    )


def _zones(record: Record) -> tuple[int, int | None]:
    """The zone of the original direction, and that of the other where one of them alone has one, which stands
    in its tuple (ctnetlink_dump_zone_id).
    """
    sides = (record.nest("CTA_TUPLE_ORIG"), record.nest("CTA_TUPLE_REPLY"))
    original, reply = (side.get("CTA_TUPLE_ZONE", 0) for side in sides)
    return (original, reply) if original or reply else (record.get("CTA_ZONE", 0), None)


def _ends(side: Record) -> tuple[str, _Ends] | None:
    """The protocol and the ends of one direction."""
    ip, proto = side.nest("CTA_TUPLE_IP"), side.nest("CTA_TUPLE_PROTO")
    protocol = ROUTED.get(proto.get("CTA_PROTO_NUM", 0))
    src, dst = (ip.get(f"CTA_IP_V4_{end}") or ip.get(f"CTA_IP_V6_{end}") for end in ("SRC", "DST"))
    if protocol is None or src is None or dst is None:
        return None
    if protocol in ("icmp", "icmpv6"):
        return protocol, (src, dst, proto.get(ICMP_ID if protocol == "icmp" else ICMPV6_ID), None)
    return protocol, (src, dst, proto.get(SRC_PORT), proto.get(DST_PORT))


def _state(record: Record) -> str | None:
    """TCP's state, in conntrack(8)'s words in lower case."""
    state = (
        record.nest("CTA_PROTOINFO")
        .nest("CTA_PROTOINFO_TCP")
        .get("CTA_PROTOINFO_TCP_STATE", len(_TCP_STATES))
    )
    return _TCP_STATES[state] if state < len(_TCP_STATES) else None
