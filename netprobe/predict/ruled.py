"""Through the rules of one hook in one namespace, and what they do to the packet, as far as can be known."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    AskSet,
    ChainQuery,
    Change,
    Flow,
    Leg,
    Link,
    Namespace,
    Object,
    PassedRules,
    ReadChain,
    Ruleset,
    SetQuery,
    Stage,
    Stop,
)
from netprobe.model.lookup import column, where
from netprobe.rules.hook import traverse
from netprobe.rules.packet import FibAnswer, FibQuery, Fragment, HookPacket, Surroundings
from netprobe.rules.ruling import HookVerdict, Reason, Ruling

from . import allow, conntrack, fib, prefix, rule_ends, sockets
from .drop import place_of, unread
from .outcome import is_group
from .trace import Trail, changes
from .view import BROADCAST, Ground, Lacking, Packet

_FAMILIES = {
    "ip": ("ip", "inet"),
    "ip6": ("ip6", "inet"),
    "bridge": ("bridge",),
    "arp": ("arp",),
    "netdev": ("netdev", "inet"),
}


class Passage(Struct, frozen=True, gc=False):
    """A packet after a hook: as it goes on, what changed, what is worth a note; or `stop`, why it does not go
    on.

    `rerouted`: the mark with which the kernel has looked for another way for it; None where it has not.
    `blamed`: the rule that gave it its MAC, which has to answer for it when nobody takes it up.
    `diverted`: the interface that a rule sends it out of, and so not on; `stop` is what that means.
    """

    packet: Packet
    stop: Stop | None = None
    changes: tuple[Change, ...] = ()
    object: Object | None = None
    note: str = ""
    rerouted: int | None = None
    blamed: Stop | None = None
    diverted: str = ""


class Doors(Struct, frozen=True, gc=False):
    """The interfaces that a hook's rules may ask about: in and out, and on a bridge its master and the
    ports.
    """

    iif: Link | None = None
    oif: Link | None = None
    bridge: Link | None = None
    in_port: Link | None = None
    out_port: Link | None = None
    device: str | None = None


def ruled(
    ground: Ground,
    name: str,
    family: str,
    hook: str,
    packet: Packet,
    doors: Doors,
    trail: Trail | None = None,
) -> Passage:
    """Through all rules of one hook."""
    namespace = ground.namespace(name)
    packet = _not_read(namespace, family, hook, packet)
    if namespace.ruleset is None or not any(
        table.family in _FAMILIES[family] for table in namespace.ruleset.tables
    ):
        return Passage(packet)
    subject = replace(
        conntrack.subject(name, packet), flow=as_sent(packet.flow), mark=packet.mark,
        iif=doors.iif, oif=doors.oif, bridge=doors.bridge,
        in_port=_port_in(name, family, packet, doors), out_port=doors.out_port,
        uid=packet.uid if hook in ("output", "postrouting") else None,
        gid=0 if packet.uid is not None else None, pkttype=_kind(family, packet, doors),
    )  # fmt: skip
    ruling = _ruling(ground, namespace, family, hook, packet, subject, doors.device, trail)
    if packet.fragments and ruling.verdict is HookVerdict.ACCEPT:
        piece = replace(subject, fragment=_PIECE)
        ruling = _later_piece(
            _ruling(ground, namespace, family, hook, packet, piece, doors.device, trail), ruling
        )
    ruling = _as_asked(ruling, subject.flow, packet.flow)
    if ruling.needs:
        raise Lacking(*(_need(name, query) for query in ruling.needs))
    if ruling.verdict is HookVerdict.UNDETERMINED and ruling.alternatives:
        ruling = ground.forks.taken((name, family, hook, packet.leg, packet.flow), ruling)
    if ruling.passed:
        matched = tuple(decision.object for decision in ruling.passed)
        ground.passed.append(PassedRules(packet.leg, name, _stage(hook, family), matched))
    passed = _passage(namespace, hook, family, packet, doors.oif or doors.iif, ruling)
    if passed.stop is None:
        return passed
    # what a tunnel sends has a flow of its own, whose source port says which one it has inside
    is_answer = (packet.leg, packet.inside) == (Leg.REPLY, ())
    answering = replace(subject, reply=subject.reply or is_answer)
    return replace(
        passed, stop=allow.narrowed(namespace.ruleset, passed.stop, ruling, answering, family, hook)
    )


def as_sent(flow: Flow) -> Flow:
    """A packet's addresses as its header has them: a question for a neighbour goes to the group of those who
    may have the address that it asks for, which stands in it (ndisc_send_ns).
    """
    mac = flow.dst_mac or ""
    return replace(flow, dst=prefix.group_of(mac)) if mac.startswith(_SOLICITED) else flow


_SOLICITED = "33:33:ff:"


def _as_asked(ruling: Ruling, sent: Flow, asked: Flow) -> Ruling:
    """The ruling on a question, which goes on for the address that was asked for."""
    after = ruling.packet.flow
    if sent == asked or after.dst != sent.dst:
        return ruling
    return replace(ruling, packet=replace(ruling.packet, flow=replace(after, dst=asked.dst)))


def _need(name: str, query: SetQuery | ChainQuery) -> AskSet | ReadChain:
    return ReadChain(name, query) if isinstance(query, ChainQuery) else AskSet(name, query)


def _port_in(name: str, family: str, packet: Packet, doors: Doors) -> Link | None:
    """The bridge port that the packet came by: of one that is routed on as well, as br_netfilter leaves its
    note at the packet (skb_ext_add of SKB_EXT_BRIDGE_NF).
    """
    if doors.in_port is not None or packet.port is None or family not in ("ip", "ip6"):
        return doors.in_port
    return packet.port[1] if packet.port[0] == name else None


def _kind(family: str, packet: Packet, doors: Doors) -> str:
    """For whom a frame that came in is (eth_type_trans, br_handle_frame); what is sent or forwarded counts as
    the host's own.
    """
    mac, link = packet.flow.dst_mac, doors.iif
    if mac is None or link is None:
        return "unicast"
    if is_group(mac):
        return "broadcast" if mac == BROADCAST else "multicast"
    owned = {link.mac, doors.bridge.mac if doors.bridge is not None else None}
    return "other" if family in ("bridge", "netdev") and mac not in owned else "unicast"


def _ruling(
    ground: Ground,
    namespace: Namespace,
    family: str,
    hook: str,
    packet: Packet,
    subject: HookPacket,
    device: str | None,
    trail: Trail | None,
) -> Ruling:
    """What the rules say. A walk that begins anew, because more was read, puts the same question to the same
    rules again.

    The question holds all that `_surroundings` depend on besides the namespace: the leg, the protocol, the
    connections so far.
    """
    assert namespace.ruleset is not None
    around = _surroundings(ground, namespace, packet, trail)
    if packet.reused:  # then older connections count as well
        return traverse(namespace.ruleset, family, hook, subject, device=device, around=around)
    tracks = conntrack.tracks_in(namespace.name, trail)
    question = (namespace.name, family, hook, subject, device, packet.leg, packet.flow.protocol, tracks)
    asked, ruling = ground.rulings.get(question, (None, None))
    if ruling is None or asked is not namespace:
        ruling = traverse(namespace.ruleset, family, hook, subject, device=device, around=around)
        ground.rulings[question] = namespace, ruling
    return ruling


_PIECE = Fragment(1480, False)  # a later piece of a packet that was cut: no ports, no ICMP header


def _later_piece(piece: Ruling, first: Ruling) -> Ruling:
    """The ruling on a cut packet: what happens to its first piece, unless a later one is dropped."""
    if piece.verdict in (HookVerdict.ACCEPT, HookVerdict.UNDETERMINED) or piece.decision is None:
        return first
    return replace(piece, decision=replace(piece.decision, reason=Reason.FRAGMENT))


def _not_read(namespace: Namespace, family: str, hook: str, packet: Packet) -> Packet:
    """Rules that could not be read may drop anything: a suspect at their namespace's first hook, of IP where
    there never were any.
    """
    rules = namespace.ruleset
    if rules is not None:
        why = [blind.why for blind in rules.blind]
    elif family in ("ip", "ip6"):
        why = [*(blind.why for blind in namespace.blind if "rule" in blind.what), "not read"]
    else:
        why = []
    if not why:
        return packet
    stage = _stage(hook, family)
    return _once(packet, unread(namespace.name, "ruleset", why[0], stage))


def shaped_by_tc(namespace: Namespace, stage: Stage, packet: Packet) -> Packet:
    """Queueing disciplines and tc filters that could not be read may drop anything, too."""
    why = namespace.unread.get("qdiscs")
    return (
        packet if why is None else _once(packet, unread(namespace.name, "queueing disciplines", why, stage))
    )


def _once(packet: Packet, suspect: Stop) -> Packet:
    """The packet under this suspicion, which it may be under already."""
    return (
        packet if any(each.text == suspect.text for each in packet.suspects) else packet.suspecting(suspect)
    )


def _surroundings(ground: Ground, namespace: Namespace, packet: Packet, trail: Trail | None) -> Surroundings:
    """What rules may ask of this namespace."""
    from netprobe.model import RouteQuery

    def lookup(query: FibQuery) -> FibAnswer | None:
        bound = namespace.link_named(query.device) if prefix.needs_scope(query.destination) else None
        asked = RouteQuery(query.source, query.destination, mark=query.mark)
        found = fib.sought(namespace, asked if bound is None else replace(asked, oif=bound.index))
        links = [namespace.link(leg.index) for leg in found.candidates]
        kind = "unreachable" if found.error == "ENETUNREACH" else found.type
        local = ("lo",) if kind == "local" else ()
        return FibAnswer(kind, local + tuple(link.name for link in links if link is not None))

    def own(kind: str, link: Link, towards: str) -> str | None:
        if kind == "redirect":
            return fib.first_address(namespace, link, prefix.version(towards))
        return fib.masqueraded(namespace, link, RouteQuery(None, towards, mark=packet.mark))

    return Surroundings(
        moment=ground.snapshot.moment,
        address_type=lambda address, interface: fib.address_type(namespace, address, interface),
        fib=lookup, own_address=own,
        track=lambda subject: conntrack.track(namespace, packet, subject, trail,
        ground.connections(namespace.name, packet)),
        proxied=lambda subject: sockets.is_proxied(namespace, subject.iif, subject),
        listening=lambda subject: sockets.listening(namespace, packet, subject),
    )  # fmt: skip


def _passage(
    namespace: Namespace, hook: str, family: str, packet: Packet, link: Link | None, ruling: Ruling
) -> Passage:
    """The ruling as a step of the walk: onward with what changed, or stopped by an object; chance and
    ignorance are suspects.
    """
    name = namespace.name
    place = place_of(name, link, _stage(hook, family))
    rules = namespace.ruleset or Ruleset()
    ruling, chances = rule_ends.likely(rules, ruling, place)
    onward = conntrack.onward(name, packet, ruling.packet)
    is_open = ruling.verdict is HookVerdict.UNDETERMINED
    telling = ruling.doubts if is_open else where(ruling.doubts, ignorance=True)
    doubts = [rule_ends.doubtful(doubt.object, place, doubt.text) for doubt in telling]
    end = None if ruling.refused_by is None else rule_ends.stop(rules, place, ruling.refused_by)
    if is_open and end is not None and end.object not in column(telling, "object"):
        doubts = [replace(end, text=f"{end.text}, as far as is known: {doubt.text}") for doubt in doubts]
    onward = onward.suspecting(*chances, *doubts, *conntrack.crowded(namespace, place, ruling))
    made = tuple(c for t in ruling.translations for c in changes(t.before.flow, t.after.flow, t.kind))
    thing = next(filter(None, column(ruling.translations, "object")), None)
    if fields := _fields_set(name, packet, ruling):
        thing = ruling.passed[-1].object
        made = (*made, *fields)
    elif _rewrites_frame(packet, ruling):
        thing = ruling.passed[-1].object
    if ruling.verdict in (HookVerdict.DROP, HookVerdict.REJECT, HookVerdict.STOLEN):
        return Passage(onward, rule_ends.stop(rules, place, ruling), made, thing, diverted=ruling.diverted)
    rerouted = None if ruling.rerouted is None else ruling.rerouted.mark or 0
    led_away = ruling.passed and onward.flow.dst_mac != packet.flow.dst_mac
    blamed = rule_ends.astray(rules, place, ruling) if led_away else None
    return Passage(onward, None, made, thing, _note(ruling), rerouted, blamed)


def _fields_set(name: str, packet: Packet, ruling: Ruling) -> tuple[Change, ...]:
    """What the last rule that the packet passed has set: TTL, whether it is tracked, and addresses without a
    translation, which nobody undoes (nft_payload.c).
    """
    if not ruling.passed:
        return ()
    after, by = ruling.packet, ruling.passed[-1].object.id
    made = [] if ruling.translations else [*changes(packet.flow, after.flow, by)]
    if after.flow.ttl != packet.flow.ttl:
        made.append(Change("ttl", str(packet.flow.ttl), str(after.flow.ttl), by))
    if after.state == "untracked" and conntrack.subject(name, packet).state != "untracked":
        made.append(Change("ct", "tracked", "untracked", by))
    return tuple(made)


def _rewrites_frame(packet: Packet, ruling: Ruling) -> bool:
    """Whether the last rule that the packet passed may have given its frame, or the question or answer that
    it is, other addresses.
    """
    before, after = packet.flow, ruling.packet.flow
    same = (before.src_mac, before.dst_mac) == (after.src_mac, after.dst_mac)
    if before.protocol.on_segment:
        same = same and (before.src, before.dst) == (after.src, after.dst)
    return bool(ruling.passed) and not same


def _stage(hook: str, family: str) -> Stage:
    before = f"{family}-" if family in ("arp", "bridge") else ""
    return Stage(before + hook)


def _note(ruling: Ruling) -> str:
    """The rule that let the packet pass, when one did."""
    if ruling.translations or not ruling.passed:
        return ""
    return f"passed {ruling.passed[-1].object.id}"
