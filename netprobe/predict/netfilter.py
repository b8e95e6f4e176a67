"""The hooks a packet passes in one namespace - rules, XDP, tc - and what they do to it, as far as can be
known.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    AskSet,
    Bridge,
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
from netprobe.rules.hook import traverse
from netprobe.rules.packet import FibAnswer, FibQuery, Fragment, HookPacket, Surroundings
from netprobe.rules.ruling import HookVerdict, Reason, Ruling

from . import allow, bpf, conntrack, fib, prefix, rule_ends, sockets
from .drop import place_of, unread
from .outcome import BROADCAST, is_group
from .trace import Trail, changes
from .view import Ground, Lacking, Packet

_FAMILIES = {
    "ip": ("ip", "inet"),
    "ip6": ("ip6", "inet"),
    "bridge": ("bridge",),
    "arp": ("arp",),
    "netdev": ("netdev", "inet"),
}


class Passage(Struct, frozen=True):
    """A packet after a hook: as it goes on, what changed, what is worth a note; or `stop`, why it does not go
    on.
    """

    packet: Packet
    stop: Stop | None = None
    changes: tuple[Change, ...] = ()
    object: Object | None = None
    note: str = ""


class _Doors(Struct, frozen=True):
    """The interfaces that a hook's rules may ask about: in and out, and on a bridge its master and the
    ports.
    """

    iif: Link | None = None
    oif: Link | None = None
    bridge: Link | None = None
    in_port: Link | None = None
    out_port: Link | None = None
    device: str | None = None


def on_transmit(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Egress of a device, before a tap sees the packet: netdev egress chains, tc egress, the queueing
    discipline.
    """
    packet = _shaped(ground.namespace(name), Stage.EGRESS, packet)
    passed = _ruled(ground, name, "netdev", "egress", packet, _Doors(oif=link, device=link.name))
    judged = bpf.egress(name, link)
    stop = passed.stop or judged.stop or bpf.no_room(name, link, packet.flow.length)
    return replace(_judged(passed, judged), stop=stop)


def _judged(passed: Passage, judged: bpf.Judged) -> Passage:
    """A packet that has come to programs and queues."""
    return replace(passed, packet=passed.packet.suspecting(*judged.suspects), stop=judged.stop)


def on_xdp(name: str, link: Link, packet: Packet) -> Passage:
    """An XDP program sees the packet before any tap does."""
    return _judged(Passage(packet), bpf.xdp(name, link))


def on_ingress(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Ingress of a device, behind the taps: tc ingress, netdev ingress chains."""
    packet = _offloaded(ground, name, link, packet)
    shaped = _shaped(ground.namespace(name), Stage.INGRESS, packet)
    judged = _judged(Passage(shaped), bpf.ingress(name, link))
    if judged.stop is not None:
        return judged
    return _ruled(ground, name, "netdev", "ingress", judged.packet, _Doors(link, device=link.name))


def _offloaded(ground: Ground, name: str, link: Link, packet: Packet) -> Packet:
    """A flowtable sends what is of an older connection out again by itself, past routes and rules
    (net/netfilter/nf_flow_table_ip.c): a suspect, as it knows a way of its own.
    """
    ruleset = ground.namespace(name).ruleset
    if not packet.reused or ruleset is None:
        return packet
    tables = ruleset.flowtables_at(link.name)
    if not tables or not any("offload" in entry.status for entry in ground.connections(name, packet)):
        return packet
    text = (
        f"the flowtable {tables[0].name} of {name} has the connection, and sends it on past routes and rules"
    )
    return packet.suspecting(Stop("unknown", place_of(name, link, Stage.INGRESS), text))


def on_bridge(
    ground: Ground,
    name: str,
    bridge: Link,
    hook: str,
    packet: Packet,
    port_in: Link | None,
    port_out: Link | None,
    trail: Trail | None = None,
) -> Passage:
    """A bridge hook (ebtables, nft bridge), and the IP rules where br_netfilter hands them the bridged
    frame.
    """
    namespace = ground.namespace(name)
    passed = _ruled(ground, name, "bridge", hook, packet, _Doors(port_in, port_out, bridge))
    # what the host sends has been through these rules already (br_nf_post_routing)
    if passed.stop or port_in is None or hook not in _HANDED or not _calls_ip(namespace, bridge, packet):
        return passed
    came_in = bridge if hook != "postrouting" else None
    doors = _Doors(came_in, bridge if port_out else None, None, port_in, port_out)
    called = _ruled(ground, name, _family(packet.flow), hook, passed.packet, doors, trail)
    if hook == "prerouting":
        called = replace(called, packet=replace(called.packet, prerouted=name, port=(name, port_in)))
    return called


_HANDED = ("prerouting", "forward", "postrouting")


def redirected(name: str, packet: Packet) -> bool:
    """Whether IP rules on a bridge of namespace `name` have given the packet another destination."""
    connection = conntrack.connection(packet, name)
    if packet.prerouted != name or connection is None:
        return False
    asked, answering = connection.original, connection.reply
    back = packet.leg is Leg.REPLY
    return asked[int(not back)] != answering[int(back)]


def _calls_ip(namespace: Namespace, bridge: Link, packet: Packet) -> bool:
    """Whether br_netfilter lets iptables see this frame (bridge-nf-call-*; the bridge's own nf_call_* does as
    well); one with a tag only where that is asked for.
    """
    flow = packet.flow
    if flow.protocol.on_segment or not flow.dst:
        return False
    if packet.tags and not _handed_tagged(namespace, packet):
        return False
    own = bridge.bridge or Bridge()
    calls = {4: own.nf_call_iptables, 6: own.nf_call_ip6tables}[flow.version]
    tables = {4: "iptables", 6: "ip6tables"}[flow.version]
    return calls or namespace.sysctl(f"net.bridge.bridge-nf-call-{tables}", "0") == "1"


def _handed_tagged(namespace: Namespace, packet: Packet) -> bool:
    """Whether br_netfilter takes an IP packet out of its VLAN tag (IS_VLAN_IP); two tags are too many."""
    asked = namespace.sysctl("net.bridge.bridge-nf-filter-vlan-tagged", "0") == "1"
    return asked and len(packet.tags) == 1 and packet.tags[0].startswith("vlan ")


def on_arp(ground: Ground, name: str, hook: str, packet: Packet, link: Link) -> Passage:
    """The arp family's input or output hook."""
    return _ruled(ground, name, "arp", hook, packet, _Doors(link) if hook == "input" else _Doors(oif=link))


def on_ip(
    ground: Ground,
    name: str,
    hook: str,
    packet: Packet,
    iif: Link | None,
    oif: Link | None,
    trail: Trail | None = None,
) -> Passage:
    """An IP hook: prerouting, input, forward, output or postrouting of namespace `name`."""
    # br_netfilter has called these rules on the bridge already
    if hook == "prerouting" and packet.prerouted == name:
        return Passage(replace(packet, prerouted=None))
    return _ruled(ground, name, _family(packet.flow), hook, packet, _Doors(iif, oif), trail)


def _family(flow: Flow) -> str:
    return {4: "ip", 6: "ip6"}[flow.version]


def _ruled(
    ground: Ground,
    name: str,
    family: str,
    hook: str,
    packet: Packet,
    doors: _Doors,
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
        conntrack.subject(name, packet), flow=packet.flow, mark=packet.mark,
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
    answering = replace(subject, reply=subject.reply or packet.leg is Leg.REPLY)
    return replace(
        passed, stop=allow.narrowed(namespace.ruleset, passed.stop, ruling, answering, family, hook)
    )


def _need(name: str, query: SetQuery | ChainQuery) -> AskSet | ReadChain:
    return ReadChain(name, query) if isinstance(query, ChainQuery) else AskSet(name, query)


def _port_in(name: str, family: str, packet: Packet, doors: _Doors) -> Link | None:
    """The bridge port that the packet came by: of one that is routed on as well, as br_netfilter leaves its
    note at the packet (skb_ext_add of SKB_EXT_BRIDGE_NF).
    """
    if doors.in_port is not None or packet.port is None or family not in ("ip", "ip6"):
        return doors.in_port
    return packet.port[1] if packet.port[0] == name else None


def _kind(family: str, packet: Packet, doors: _Doors) -> str:
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
    tracks = (
        tuple(track for track in trail.tracks if track.namespace == namespace.name)
        if trail is not None
        else ()
    )
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


def _shaped(namespace: Namespace, stage: Stage, packet: Packet) -> Packet:
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
        found = fib.sought(namespace, RouteQuery(query.source, query.destination, mark=query.mark))
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
    doubts = [
        rule_ends.doubtful(d.decision.object if d.decision else None, place, d.text)
        for d in ruling.doubts
        if d.ignorance or ruling.verdict is HookVerdict.UNDETERMINED
    ]
    onward = onward.suspecting(*chances, *doubts, *conntrack.crowded(namespace, place, ruling))
    made = tuple(c for t in ruling.translations for c in changes(t.before.flow, t.after.flow, t.kind))
    thing = next((t.decision.object for t in ruling.translations if t.decision), None)
    if fields := _fields_set(name, packet, ruling):
        thing = ruling.passed[-1].object
        made = (*made, *fields)
    if ruling.verdict in (HookVerdict.DROP, HookVerdict.REJECT, HookVerdict.STOLEN):
        return Passage(onward, rule_ends.stop(rules, place, ruling), made, thing)
    return Passage(onward, None, made, thing, _note(ruling))


def _fields_set(name: str, packet: Packet, ruling: Ruling) -> tuple[Change, ...]:
    """What the last rule that the packet passed has set besides addresses: TTL, and whether it is tracked."""
    if not ruling.passed:
        return ()
    after, by = ruling.packet, ruling.passed[-1].object.id
    made = []
    if after.flow.ttl != packet.flow.ttl:
        made.append(Change("ttl", str(packet.flow.ttl), str(after.flow.ttl), by))
    if after.state == "untracked" and conntrack.subject(name, packet).state != "untracked":
        made.append(Change("ct", "tracked", "untracked", by))
    return tuple(made)


def _stage(hook: str, family: str) -> Stage:
    before = f"{family}-" if family in ("arp", "bridge") else ""
    return Stage(before + hook)


def _note(ruling: Ruling) -> str:
    """The rule that let the packet pass, when one did."""
    if ruling.translations or not ruling.passed:
        return ""
    return f"passed {ruling.passed[-1].object.id}"
