"""Queueing disciplines and traffic-control filters:

RTM_GETQDISC and RTM_GETTFILTER. Present is what we can say, not what they match; what a BPF program can
answer is said where it is understood.

Numbers are those of include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h and tc_act/*.h; words are tc(8)'s.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from operator import is_

from msgspec.structs import replace

from netprobe.linux.netlink import Netlink, Record, Request
from netprobe.model import Link, Qdisc, TcFilter

from . import programs
from .bpf import tcx_filters

RTM_GETQDISC, RTM_GETTFILTER = 38, 46
ROOT, INGRESS = 0xFFFFFFFF, 0xFFFFFFF1  # TC_H_ROOT, TC_H_INGRESS (clsact has the same parent)
# where clsact keeps its two lists; a plain ingress qdisc answers to the first
FROM_WIRE, TO_WIRE = 0xFFFFFFF2, 0xFFFFFFF3
# what the kernel puts there itself: no filters to ask for
PASSIVE = ("noqueue", "mq", "pfifo_fast", "pfifo", "fq_codel", "fq")

_TCMSG_SIZE = 20  # of a struct tcmsg, behind which comes TCA_KIND
_A_PROGRAM = 4  # interfaces are asked for theirs while the kind of one program is found out
_NOQUEUE = struct.pack("=HH", 12, 1) + b"noqueue\0"

ALL = 0x0003  # ETH_P_ALL
ACT_DIRECT, SKIP_SW = 0x1, 0x2  # TCA_BPF_FLAG_ACT_DIRECT, TCA_CLS_FLAGS_SKIP_SW

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
PROTOCOLS = {ALL: "all", 0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x8100: "802.1Q"}


def with_traffic_control(netlink: Netlink, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """`links`, each with its qdiscs, and with its filters where a qdisc that the kernel does not set by
    itself may hold some.
    """
    qdiscs: dict[int, list[tuple[Qdisc, int]]] = {}
    for record in _dumped(netlink):
        qdiscs.setdefault(record["index"], []).append((qdisc_of(record), record["handle"]))
    # of each interface the kernel is asked for programs, of programs for each: what is less
    are_programs = programs.is_loaded(programs.CLASSIFIER, len(links) // _A_PROGRAM)
    found = tuple(
        _equipped(netlink, link, qdiscs.get(link.index, [])) if are_programs or link.index in qdiscs else link
        for link in links
    )
    return links if all(map(is_, found, links)) else found  # whose indexes are kept


def _queues(bodies: Sequence[bytes]) -> Iterator[int]:
    """All but noqueue, the word for none, which each veth has: to decode one takes 0.1 ms."""
    return (n for n, body in enumerate(bodies) if not body.startswith(_NOQUEUE, _TCMSG_SIZE))


def _dumped(netlink: Netlink) -> list[Record]:
    try:
        return netlink.sifted(Request(RTM_GETQDISC), _queues)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:  # a kernel without traffic control
            return []
        raise


def _equipped(netlink: Netlink, link: Link, found: Sequence[tuple[Qdisc, int]]) -> Link:
    attached, filters = tcx_filters(link.index), list[TcFilter]()
    sides = {"ingress": [FROM_WIRE], "clsact": [FROM_WIRE, TO_WIRE]}
    parents = {parent for qdisc, _ in found for parent in sides.get(qdisc.kind, ())}
    for direction, parent in (("ingress", FROM_WIRE), ("egress", TO_WIRE)):
        first = [each for each in attached if each.direction == direction]
        behind = _filters(netlink, link.index, parent, direction) if parent in parents else ()
        filters += in_turn([*first, *behind])
    for qdisc, handle in found:  # these choose a class, behind all the others
        if qdisc.kind not in (*PASSIVE, *sides):
            filters += deciding(_filters(netlink, link.index, handle, "egress"))
    shown = tuple(qdisc for qdisc, _ in found if qdisc.kind != "noqueue")  # noqueue is the word for none
    return replace(link, qdiscs=shown, filters=tuple(filters)) if shown or filters else link


def deciding(filters: Iterable[TcFilter]) -> Iterator[TcFilter]:
    """Of the filters that choose a class of a queue those that may do more: by an action, or a program. What
    becomes of a packet in its class is the queue's doing.
    """
    return (replace(each, answers=None) for each in filters if each.action or each.kind == "bpf")


def in_turn(filters: Sequence[TcFilter]) -> Iterator[TcFilter]:
    """Filters that are asked one after the other, without answers from where the packet does not come to
    them (net/core/dev.c, sch_handle_ingress).
    """
    is_over = False
    for each in filters:
        yield replace(each, answers=()) if is_over else each
        is_over = is_over or (each.answers is not None and "continue" not in each.answers)


def qdisc_of(record: Record) -> Qdisc:
    """One qdisc from an RTM_NEWQDISC message."""
    kind, handle = record.text("TCA_KIND"), _handle(record["handle"])
    at = {ROOT: "root", INGRESS: kind}.get(record["parent"], _handle(record["parent"]))
    shown = " ".join(
        word for word in (f"qdisc {kind} {handle}", at, options_of(kind, record.nest("TCA_OPTIONS"))) if word
    )
    return Qdisc(kind, handle, at, shown)


def _handle(value: int) -> str:
    return f"{value >> 16:x}:{value & 0xFFFF:x}" if value & 0xFFFF else f"{value >> 16:x}:"


def options_of(kind: str, options: Record) -> str:
    """The options of the qdiscs that lose or delay packets by design, in tc(8)'s words; "" for the others."""
    if kind == "tbf" and "TCA_TBF_PARMS" in options:
        parameters = options.nest("TCA_TBF_PARMS")
        return f"rate {parameters['rate'] * 8}bit limit {parameters['limit']}b"
    if kind == "netem" and "loss" in options.fields:
        loss, duplicate = options["loss"] / 0xFFFFFFFF, options["duplicate"] / 0xFFFFFFFF
        return f"limit {options['limit']} loss {loss:.4g} duplicate {duplicate:.4g}"
    if kind in ("pfifo", "bfifo") and "limit" in options.fields:
        return f"limit {options['limit']}"
    return ""


def _filters(netlink: Netlink, index: int, parent: int, direction: str) -> Iterator[TcFilter]:
    for record in netlink.dump(Request(RTM_GETTFILTER, {"index": index, "parent": parent})):
        found = filter_of(record, direction)
        if found is not None:
            yield found


def filter_of(record: Record, direction: str) -> TcFilter | None:
    """One filter from an RTM_NEWTFILTER message; None for the bookkeeping entries that precede the real
    ones.
    """
    kind, information = record.text("TCA_KIND"), record["info"]
    options = record.nest("TCA_OPTIONS")
    if not options or (kind == "u32" and "TCA_U32_SEL" not in options):
        return None
    words, target = _actions(options.nest("TCA_ACTIONS"))
    program = _program(kind, options)
    protocol = socket.ntohs(information & 0xFFFF)
    shown = [
        (
            f"filter {direction} protocol {PROTOCOLS.get(protocol, hex(protocol))} pref {information >> 16}"
            f" {kind}"
        ),
        f"chain {record.get('TCA_CHAIN', 0)} handle {record['handle']:#x}",
        _keys(options) if kind == "u32" else "",
        program or "",
        f"action {words}" if words else "",
    ]
    text, answers = " ".join(word for word in shown if word), _answers(options)
    if answers is not None and (protocol != ALL or record.get("TCA_CHAIN", 0)):
        answers = tuple(sorted({*answers, "continue"}))  # not every packet comes to it
    return TcFilter(direction, kind, text, words or None, target, answers)


def _program(kind: str, options: Record) -> str | None:
    if kind != "bpf":
        return None
    return f"{options.text('TCA_BPF_NAME')} id {options.get('TCA_BPF_ID', 0)}".strip()


def _answers(options: Record) -> tuple[str, ...] | None:
    """What a program can answer that decides by itself, in software."""
    decides = options.get("TCA_BPF_FLAGS", 0) & ACT_DIRECT
    by_processor = not options.get("TCA_BPF_FLAGS_GEN", 0) & SKIP_SW
    return programs.direct_answers(options.get("TCA_BPF_ID", 0)) if decides and by_processor else None


def _keys(options: Record) -> str:
    """The keys of a u32 filter as tc prints them: match VALUE/MASK at OFFSET."""
    keys = options.array("TCA_U32_SEL")[1:]  # the first is the head of struct tc_u32_sel
    return " ".join(f"match {key['value']:08x}/{key['mask']:08x} at {key['offset']}" for key in keys)


def _actions(listed: Record) -> tuple[str, int | None]:
    """What is done with a match ("drop", "mirred egress redirect", ...), and the ifindex it is sent to."""
    words: list[str] = []
    target = None
    for action in listed.nested():
        kind, options = action.text("TCA_ACT_KIND"), action.nest("TCA_ACT_OPTIONS")
        if kind == "mirred" and "TCA_MIRRED_PARMS" in options:
            parameters = options.nest("TCA_MIRRED_PARMS")
            words.append(f"mirred {MIRRED.get(parameters['eaction'], parameters['eaction'])}")
            target = parameters["ifindex"]
        elif kind == "gact" and "TCA_GACT_PARMS" in options:
            verdict = options.nest("TCA_GACT_PARMS")["action"]
            words.append(
                VERDICTS.get(
                    verdict, f"goto chain {verdict & 0xFFFF}" if verdict >= 1 << 28 else str(verdict)
                )
            )
        else:
            words.append(kind)
    return " ".join(words), target
