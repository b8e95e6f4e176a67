"""Connection tracking on the walk: what a namespace knows of the packet's connection, from its table and from
the request.

Kernel: net/netfilter/nf_conntrack_core.c (resolve_normal_ct), nf_conntrack_proto_{icmp,tcp,udp}.c.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Command, ConntrackEntry, Flow, Leg, Namespace, Object, Place, Protocol, Stage, Stop
from netprobe.model.lookup import column, where
from netprobe.rules.packet import HookPacket, first_entry
from netprobe.rules.ruling import Ruling

from . import fixes
from .trace import Track, Trail
from .view import Packet

_SYNS, _SYN_ACK = {False: ("syn",), True: ("syn", "ecn", "cwr")}, ("syn", "ack")


def subject(name: str, packet: Packet) -> HookPacket:
    """The packet as the rules of namespace `name` see it: what its connection tracking already said, or a
    fresh one.
    """
    if packet.tracked is not None and packet.tracked_in == name:
        return packet.tracked
    flags = None
    if packet.flow.protocol is Protocol.TCP:
        flags = {Leg.REQUEST: _SYNS[packet.ecn], Leg.REPLY: _SYN_ACK}[packet.leg]
    return HookPacket(packet.flow, df=packet.df, tcp_flags=flags, tos=packet.tos, mss=packet.mss)


def onward(name: str, packet: Packet, after: HookPacket) -> Packet:
    """The walk's packet after rules: headers and mark as they left it, and what tracking knows while it stays
    in `name`.
    """
    mark = after.mark or 0
    return replace(packet, flow=after.flow, mark=mark, tos=after.tos, tracked=after, tracked_in=name)


def track(
    namespace: Namespace,
    packet: Packet,
    subject: HookPacket,
    trail: Trail | None,
    older: tuple[ConntrackEntry, ...] = (),
) -> HookPacket:
    """The packet with its connection: one that the request left on this walk, an `older` one of the table, or
    a new one. Neighbour discovery is of none (nf_conntrack_icmpv6_error).
    """
    protocol = packet.flow.protocol
    if protocol is Protocol.ND:
        return replace(subject, state="untracked")
    walked = column(reversed(tracks_in(namespace.name, trail)), "connection")
    for entry in filter(None, (*walked, *older)):
        back = entry.protocol, entry.zone_of_replies
        if back == (protocol, subject.zone_of_replies) and is_side(entry.reply, subject.flow):
            return replace(subject, state="established", reply=True, connection=entry)
        there = entry.protocol, entry.zone, packet.leg
        if there == (protocol, subject.zone, Leg.REQUEST) and is_side(entry.original, subject.flow):
            return replace(subject, state="established", reply=False, connection=entry)
    if packet.leg is Leg.REPLY and packet.flow.protocol.is_asked_first:
        return replace(subject, state="invalid")  # an answer to a question that was never seen here
    return replace(subject, state="new", connection=first_entry(subject))


def tracks_in(name: str, trail: Trail | None) -> tuple[Track, ...]:
    """What namespace `name` has tracked of this walk so far."""
    return where(trail.tracks, namespace=name) if trail is not None else ()


def crowded(namespace: Namespace, place: Place, ruling: Ruling) -> tuple[Stop, ...]:
    """Limits of connection tracking that a new connection may meet here: a full table, a range of ports that
    is used up.
    """
    found = []
    if (
        place.stage in (Stage.PREROUTING, Stage.OUTPUT)
        and ruling.packet.state == "new"
        and _is_full(namespace)
    ):
        key = "net.netfilter.nf_conntrack_max"
        text = f"the connection tracking table of {namespace.name} is full: {key} = {namespace.sysctl(key)}"
        object = Object("sysctl", key, f"{key} = {namespace.sysctl(key)}")
        found.append(
            Stop(
                "conntrack-full",
                place,
                text,
                object,
                fixes.machine_wide(key, 2 * namespace.number(key), namespace.cookie),
            )
        )
    for made in ruling.translations:
        if (
            made.kind in ("SNAT", "MASQUERADE")
            and made.ports is not None
            and made.ports[1] - made.ports[0] < _FEW_PORTS
            and made.decision is not None
        ):
            text = (
                f"{made.decision.object.id} has only the ports {made.ports[0]}-{made.ports[1]} to translate"
                " to: none may be free"
            )
            wide = fixes.with_all_ports(made.decision.object)
            look = Command.look("conntrack", "-L", "-n", note="who holds the ports?")
            found.append(Stop("nat-port-exhausted", place, text, made.decision.object, wide or (look,)))
    return tuple(found)


_FEW_PORTS = 64  # a range that a few connections use up


def _is_full(namespace: Namespace) -> bool:
    """Whether the table has no room; the kernel makes room by dropping early only what is not assured."""
    limit, count = (namespace.number(f"net.netfilter.nf_conntrack_{what}") for what in ("max", "count"))
    return limit > 0 and count >= limit - limit // 100


def is_side(side: tuple[str, str, int | None, int | None], flow: Flow) -> bool:
    """Whether a flow is this side of a connection.

    An ICMP id stands in one of the places of the ports, whichever.
    """
    if flow.protocol.is_echo:
        return side[:2] == (flow.src, flow.dst) and flow.icmp_id in side[2:]
    return side == (flow.src, flow.dst, flow.sport, flow.dport)


def connection(packet: Packet, name: str) -> ConntrackEntry | None:
    """The connection that a packet leaves behind in a namespace it has passed; None where it was not
    tracked.
    """
    if (
        packet.tracked is None
        or packet.tracked_in != name
        or packet.tracked.state in (None, "untracked", "invalid")
    ):
        return None
    return packet.tracked.connection
