"""Queueing disciplines and traffic-control filters: RTM_GETQDISC and RTM_GETTFILTER. Present is what we can say, not what they match.

Numbers are those of include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls,gen_stats}.h and tc_act/*.h; words are tc(8)'s.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netprobe.model import Link, Qdisc, TcFilter

from .netlink import Netlink, attributes, each_attribute, number, text
from .programs import tcx_filters

RTM_GETQDISC, RTM_GETTFILTER = 38, 46
TCA_KIND, TCA_OPTIONS, TCA_STATS2, TCA_CHAIN = 1, 2, 7, 11
TCA_STATS_QUEUE = 3
TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_ACT_PARMS = 1, 2, 2  # the parameters of gact, mirred, bpf, skbedit, ... are all number 2
TCA_POLICE_TBF = 1
TCA_BPF_NAME, TCA_BPF_ID = 7, 11
TCA_U32_SEL = 5
ROOT, INGRESS = 0xFFFFFFFF, 0xFFFFFFF1  # TC_H_ROOT, TC_H_INGRESS (clsact has the same parent)
FROM_WIRE, TO_WIRE = 0xFFFFFFF2, 0xFFFFFFF3  # where clsact keeps its two lists; a plain ingress qdisc answers to the first
PASSIVE = ("noqueue", "mq", "pfifo_fast", "pfifo", "fq_codel", "fq")  # what the kernel puts there itself: no filters to ask for

# where each classifier keeps its actions (TCA_*_ACT)
ACTIONS_AT = {"u32": 7, "flower": 3, "matchall": 2, "bpf": 1, "basic": 3, "fw": 4, "route": 6, "cgroup": 1, "flow": 9}
VERDICTS = {
    -1: "continue",
    0: "pass",
    1: "reclassify",
    2: "drop",
    3: "pipe",
    4: "stolen",
    5: "queued",
    6: "repeat",
    7: "redirect",
    8: "trap",
}
MIRRED = {1: "egress redirect", 2: "egress mirror", 3: "ingress redirect", 4: "ingress mirror"}
PROTOCOLS = {0x0003: "all", 0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x8100: "802.1Q"}

_TCMSG = struct.Struct("=BxxxiIII")
_TC_GEN = struct.Struct("=IIiii")  # index, capabilities, action, two reference counts


def with_traffic_control(netlink: Netlink, links: Sequence[Link]) -> tuple[Link, ...]:
    """`links`, each with its qdiscs, and with its filters where a qdisc that the kernel does not set by itself may hold some."""
    qdiscs: dict[int, list[tuple[Qdisc, int]]] = {}
    for payload in _dumped(netlink):
        index, handle = _TCMSG.unpack_from(payload)[1:3]
        qdiscs.setdefault(index, []).append((qdisc_of(payload), handle))
    return tuple(_equipped(netlink, link, qdiscs.get(link.index, [])) for link in links)


def _dumped(netlink: Netlink) -> list[bytes]:
    try:
        return [payload for _, payload in netlink.dump(RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))]
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:  # a kernel without traffic control
            return []
        raise


def _equipped(netlink: Netlink, link: Link, found: Sequence[tuple[Qdisc, int]]) -> Link:
    filters: list[TcFilter] = list(tcx_filters(link.index))
    for qdisc, handle in found:
        if qdisc.kind in ("clsact", "ingress"):
            filters += _filters(netlink, link.index, FROM_WIRE, "ingress")
        if qdisc.kind == "clsact":
            filters += _filters(netlink, link.index, TO_WIRE, "egress")
        elif qdisc.kind not in (*PASSIVE, "ingress"):
            filters += _filters(netlink, link.index, handle, "egress")
    shown = tuple(qdisc for qdisc, _ in found if qdisc.kind != "noqueue")  # noqueue is the word for none
    return replace(link, qdiscs=shown, filters=tuple(filters)) if shown or filters else link


def qdisc_of(payload: bytes) -> Qdisc:
    """One qdisc from the payload of an RTM_NEWQDISC message."""
    _, _, handle, parent, _ = _TCMSG.unpack_from(payload)
    fields = attributes(payload, _TCMSG.size)
    kind = text(fields.get(TCA_KIND))
    queue = attributes(fields.get(TCA_STATS2, b"")).get(TCA_STATS_QUEUE, b"").ljust(20, b"\0")
    at = {ROOT: "root", INGRESS: kind}.get(parent, _handle(parent))
    shown = " ".join(word for word in (f"qdisc {kind} {_handle(handle)}", at, options_of(kind, fields.get(TCA_OPTIONS, b""))) if word)
    return Qdisc(kind, _handle(handle), at, shown, drops=struct.unpack_from("=5I", queue)[2])


def _handle(value: int) -> str:
    return f"{value >> 16:x}:{value & 0xFFFF:x}" if value & 0xFFFF else f"{value >> 16:x}:"


def options_of(kind: str, options: bytes) -> str:
    """The options of the qdiscs that lose or delay packets by design, in tc(8)'s words; "" for the others."""
    if kind == "tbf" and 1 in (fields := attributes(options)):  # TCA_TBF_PARMS: two struct tc_ratespec, then limit, buffer, mtu
        rate = struct.unpack_from("=I", fields[1], 8)[0]
        limit = struct.unpack_from("=I", fields[1], 24)[0]
        return f"rate {rate * 8}bit limit {limit}b"
    if kind == "netem" and len(options) >= 24:  # struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
        _, limit, loss, _, duplicate, _ = struct.unpack_from("=6I", options)
        return f"limit {limit} loss {loss / 0xFFFFFFFF:.4g} duplicate {duplicate / 0xFFFFFFFF:.4g}"
    if kind in ("pfifo", "bfifo") and len(options) >= 4:
        return f"limit {struct.unpack_from('=I', options)[0]}"
    return ""


def _filters(netlink: Netlink, index: int, parent: int, direction: str) -> Iterator[TcFilter]:
    for _, payload in netlink.dump(RTM_GETTFILTER, _TCMSG.pack(0, index, 0, parent, 0)):
        found = filter_of(payload, direction)
        if found is not None:
            yield found


def filter_of(payload: bytes, direction: str) -> TcFilter | None:
    """One filter from the payload of an RTM_NEWTFILTER message; None for the bookkeeping entries that precede the real ones."""
    _, _, handle, _, info = _TCMSG.unpack_from(payload)
    fields = attributes(payload, _TCMSG.size)
    kind = text(fields.get(TCA_KIND))
    options = attributes(fields.get(TCA_OPTIONS, b""))
    if not options or (kind == "u32" and TCA_U32_SEL not in options):
        return None
    words, target = _actions(options.get(ACTIONS_AT.get(kind, -1), b""))
    program = _program(kind, options)
    protocol = int.from_bytes((info & 0xFFFF).to_bytes(2, "little"), "big")
    shown = [
        f"filter {direction} protocol {PROTOCOLS.get(protocol, hex(protocol))} pref {info >> 16} {kind}",
        f"chain {number(fields.get(TCA_CHAIN))} handle {handle:#x}",
        _selector(options[TCA_U32_SEL]) if kind == "u32" else "",
        program or "",
        f"action {words}" if words else "",
    ]
    return TcFilter(direction, kind, " ".join(word for word in shown if word), program, words or None, target)


def _program(kind: str, options: Mapping[int, bytes]) -> str | None:
    if kind != "bpf":
        return None
    return f"{text(options.get(TCA_BPF_NAME))} id {number(options.get(TCA_BPF_ID))}".strip()


def _selector(sel: bytes) -> str:
    """The keys of a u32 filter (struct tc_u32_sel, big-endian) as tc prints them: match VALUE/MASK at OFFSET."""
    keys = (struct.unpack_from("!II", sel, at) + struct.unpack_from("=i", sel, at + 8) for at in range(16, len(sel) - 15, 16))
    return " ".join(f"match {value:08x}/{mask:08x} at {offset}" for mask, value, offset in keys)


def _actions(listed: bytes) -> tuple[str, int | None]:
    """What is done with a match ("drop", "mirred egress redirect", ...), and the ifindex it is sent to."""
    words: list[str] = []
    target = None
    for _, action in each_attribute(listed):
        fields = attributes(action)
        kind, options = text(fields.get(TCA_ACT_KIND)), attributes(fields.get(TCA_ACT_OPTIONS, b""))
        parameters = options.get(TCA_POLICE_TBF if kind == "police" else TCA_ACT_PARMS, b"")
        if kind == "mirred" and len(parameters) >= 28:
            direction, target = struct.unpack_from("=iI", parameters, _TC_GEN.size)
            words.append(f"mirred {MIRRED.get(direction, direction)}")
        elif kind == "gact" and len(parameters) >= _TC_GEN.size:
            verdict = _TC_GEN.unpack_from(parameters)[2]
            words.append(VERDICTS.get(verdict, f"goto chain {verdict & 0xFFFF}" if verdict >= 1 << 28 else str(verdict)))
        else:
            words.append(kind)
    return " ".join(words), target
