"""Connection tracking on the walk: what a namespace knows of the packet's connection, from its table and from the request.

Kernel: net/netfilter/nf_conntrack_core.c (resolve_normal_ct), nf_conntrack_proto_{icmp,tcp,udp}.c.
"""

from __future__ import annotations

from dataclasses import replace

from netprobe.model import ConntrackEntry, Flow, Leg, Namespace, Protocol

from .filter.packet import Packet as Subject
from .filter.packet import entry_of
from .ground import Packet
from .trail import Trail

_SYN, _SYN_ACK = ("syn",), ("syn", "ack")


def subject(name: str, packet: Packet) -> Subject:
    """The packet as the rules of namespace `name` see it: what its connection tracking already said, or a fresh one."""
    if packet.tracked is not None and packet.tracked_in == name:
        return packet.tracked
    flags = None
    if packet.flow.protocol is Protocol.TCP:
        flags = _SYN if packet.leg is Leg.REQUEST else _SYN_ACK
    return Subject(packet.flow, df=packet.df, tcp_flags=flags)


def onward(name: str, packet: Packet, after: Subject) -> Packet:
    """The walk's packet after rules: headers and mark as they left it, and what tracking knows while it stays in `name`."""
    return replace(packet, flow=after.flow, mark=after.mark or 0, tracked=after, tracked_in=name)


def track(namespace: Namespace, packet: Packet, subject: Subject, trail: Trail | None) -> Subject:
    """The packet with its connection: one that the request left on this walk, one of the table, or a new one."""
    asks, answers = ends(subject.flow), ends(subject.flow, answer=True)
    walked = [t.connection for t in reversed(trail.tracks) if t.namespace == namespace.name] if trail is not None else []
    for entry in (*walked, *(namespace.conntrack or ())):
        if entry is None or entry.zone != subject.zone or entry.protocol != packet.flow.protocol:
            continue
        if entry.reply == answers:
            return replace(subject, state="established", reply=True, connection=entry)
        if entry.original == asks and packet.leg is Leg.REQUEST:
            return replace(subject, state="established", reply=False, connection=entry)
    if packet.leg is Leg.REPLY and packet.flow.protocol in (Protocol.ICMP, Protocol.ICMPV6, Protocol.TCP):
        return replace(subject, state="invalid")  # an answer to a question that was never seen here
    return replace(subject, state="new", connection=entry_of(subject.flow, subject.zone))


def ends(flow: Flow, answer: bool = False) -> tuple[str, str, int | None, int | None]:
    """A flow's tuple in the manner of conntrack entries: an ICMP id stands where the asker's port would."""
    if flow.protocol in (Protocol.ICMP, Protocol.ICMPV6):
        return (flow.src, flow.dst, None, flow.icmp_id) if answer else (flow.src, flow.dst, flow.icmp_id, None)
    return (flow.src, flow.dst, flow.sport, flow.dport)


def connection(packet: Packet, name: str) -> ConntrackEntry | None:
    """The connection that a packet leaves behind in a namespace it has passed; None where it was not tracked."""
    if packet.tracked is None or packet.tracked_in != name or packet.tracked.state in (None, "untracked", "invalid"):
        return None
    return packet.tracked.connection
