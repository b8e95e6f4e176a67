"""Through a VXLAN: which remote the frame goes to, the outer packet's own way, and the device that unpacks it
there.

Kernel: drivers/net/vxlan/vxlan_core.c (vxlan_xmit, vxlan_xmit_one, vxlan_rcv); RFC 7348.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from netprobe.model import (
    Blank,
    Command,
    End,
    FdbEntry,
    Flow,
    Hop,
    Leg,
    Link,
    Namespace,
    Object,
    Protocol,
    RouteQuery,
    Stage,
    Stop,
    Vxlan,
)
from netprobe.model.lookup import among, but, column, grouped, has, where

from . import fib, prefix
from .bridge_answers import told_wrongly
from .drop import Finish, link_down, lost
from .fixes import REMOTE, link_set
from .hosts import having
from .outcome import Branch, Carry, Crossing, Ways, is_group
from .trace import Gone, Trail
from .ttl import ORDINARY, life
from .view import BROADCAST, Ground, Packet

OVERHEAD = {4: 50, 6: 70}  # bytes: inner Ethernet 14, VXLAN 8, UDP 8, and the outer IP header
Send = Callable[[Trail, str, Packet], Finish]
MOST = 2048  # packets of tunnels that one prediction walks: tunnels in tunnels that flood multiply them
_ANY = "00:00:00:00:00:00"
_THEIRS_TOO = Command.advice("and the MTU of the containers, to the same value")


def through(ground: Ground, send: Send, carry: Carry, name: str, link: Link, packet: Packet) -> Ways:
    """The ways of a frame that is sent on the tunnel device `link`: its end, or the device that unpacks it.

    `send` walks the tunnel's own packet, which is routed: the layer above; `carry` takes one for a group to
    whoever hears it.
    """
    if link.vxlan is None or link.vxlan.collect_metadata:  # its end is told by who sends (vxlan_xmit)
        return (Branch(packet, exit=(name, link)),)
    if (name, link.index) in packet.inside:  # the kernel gives up at the eighth (dev_xmit_recursion)
        text = f"the packets in which {link.name} sends frames are routed into {link.name} itself"
        return (Branch(packet, stop=lost("route-loop", name, link, Stage.ENCAPSULATE, text)),)
    entries = remotes(ground, name, link, link.vxlan, packet.station)
    asked = _asked(ground.namespace(name), link, packet, entries) if packet.flow.protocol.on_segment else None
    if asked is not None:
        return (asked,)
    if not entries:
        text = f"{link.name} knows no tunnel end for {packet.flow.dst_mac}"
        object = Object("fdb-entry", f"{packet.flow.dst_mac} dev {link.name}", text)
        stop = lost("vxlan-fdb-missing", name, link, Stage.ENCAPSULATE, text, object=object,
                    fix=(_tunnel_end("append", packet.station, link),))  # fmt: skip
        return (Branch(packet, stop=stop),)
    sender = (name, link, link.vxlan)
    found: list[Branch | Crossing] = []
    for entry in entries:
        members: tuple[FdbEntry, ...] = (entry,)
        if entry.remote is not None and prefix.is_multicast(entry.remote):
            members, others = _members(ground, carry, sender, packet, entry)
            found += others
        found += chain.from_iterable(_carry(ground, send, sender, packet, each) for each in members)
    return tuple(found)


def _members(
    ground: Ground, carry: Carry, sender: tuple[str, Link, Vxlan], packet: Packet, entry: FdbEntry
) -> tuple[tuple[FdbEntry, ...], list[Branch]]:
    """A group as the ends that are of it (vxlan_multicast_join), each by its own address; and what becomes of
    the frame elsewhere: where others of the same network hear it, who are not of the group, or out of sight.
    """
    name, link, vxlan = sender
    home, group = ground.underlay(name, link), entry.remote or ""
    lower = ground.namespace(home).link(vxlan.lower or entry.via) if home is not None else None
    if home is None or lower is None:
        return (), [Branch(packet, exit=(name, link))]
    frame = Packet(Flow("", group, Protocol.UDP, src_mac=lower.mac, dst_mac=BROADCAST), Leg.REQUEST)
    copies = [*carry.transmit(home, lower, frame)]
    members, others = [], [Branch(packet, exit=(name, link)) for each in copies if each.exit]
    for there, heard in filter(None, column(copies, "at")):
        own = where(ground.namespace(there).addresses_of(heard, prefix.version(group)), scope="global")
        for _, device in ground.tunnels_in(there) if own and there != home else ():
            theirs = device.tunnel
            if theirs.network != vxlan.network:
                continue
            if theirs.remote == group:
                members.append(replace(entry, remote=own[0].address))
            elif group_of(theirs) is not None:
                others.append(Branch(packet, stop=_of_another_group(sender, there, device, theirs)))
    if not members and not others:
        id = f"{_ANY} dev {link.name} dst {group}"
        text = f"{link.name} sends to the group {group}, to which no other device of its network listens"
        thing = Object("fdb-entry", id, id)
        stop = lost("vxlan-remote-wrong", name, link, Stage.ENCAPSULATE, text, object=thing)
        others.append(Branch(packet, stop=stop))
    return tuple(members), others


def group_of(vxlan: Vxlan) -> str | None:
    """The multicast group to which a device sends what is for all; None where it has none."""
    if vxlan.remote is not None and prefix.is_multicast(vxlan.remote):
        return vxlan.remote
    return None


def _of_another_group(sender: tuple[str, Link, Vxlan], there: str, device: Link, theirs: Vxlan) -> Stop:
    name, link, vxlan = sender
    text = (
        f"{link.name} of {name} sends to the group {vxlan.remote} what is for all; {device.name} of {there},"
        f" of the same network, is of the group {theirs.remote}"
    )
    thing = Object("tunnel", link.name, f"{link.name} vxlan id {vxlan.vni} group {vxlan.remote}")
    return lost("vxlan-remote-wrong", name, link, Stage.ENCAPSULATE, text, object=thing)


def _asked(here: Namespace, link: Link, packet: Packet, entries: tuple[FdbEntry, ...]) -> Branch | None:
    """What becomes of a question for an address where no station behind the tunnel hears it: it has no end,
    or answers itself, and drops what it does not know (arp_reduce, neigh_reduce).
    """
    asked = packet.flow.dst
    if "proxy" in link.tunnel.flags and is_group(packet.station):
        known = among(where(here.neighbours, index=link.index, address=asked), state=_CONNECTED)
        for each in known[:1]:
            return Branch(packet, stop=told_wrongly(here.name, link, each), answer=each.mac)
        return Branch(packet, stop=_unanswered(here.name, link, asked, f"{link.name} answers itself (proxy)"))
    if entries:
        return None
    why = f"{link.name} has no tunnel end to flood to"
    return Branch(packet, stop=_unanswered(here.name, link, asked, why))


_CONNECTED = {"permanent", "noarp", "reachable"}


def _unanswered(name: str, link: Link, asked: str, why: str) -> Stop:
    text = f"{why}, so no station hears who asks for {asked}: enter its neighbours by hand"
    entry = f"{asked} dev {link.name}"
    thing = Object("neighbour", entry, f"no entry for {entry}")
    fix = (_neighbour_by_hand(asked, link),)
    return lost("neigh-no-answer", name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)


def _neighbour_by_hand(address: str, link: Link) -> Command:
    return Command.of(
        "ip", "neigh", "add", address, "lladdr", Blank("MAC"), "dev", link.name, "nud", "permanent"
    )


def _tunnel_end(how: str, mac: str, link: Link) -> Command:
    return Command.of("bridge", "fdb", how, mac, "dev", link.name, "dst", REMOTE)


def remotes(ground: Ground, name: str, link: Link, vxlan: Vxlan, mac: str) -> tuple[FdbEntry, ...]:
    """The tunnel ends a frame for `mac` goes to: its own entry, else the default ones (all-zeros MAC). A
    device's own end is such an entry, and somebody may have taken it away (vxlan_xmit); where not all entries
    were read it stands for them. A learned one moves to the end that the MAC was heard from on this walk
    (vxlan_snoop).
    """
    here = ground.namespace(name)
    ends = grouped(but(where(here.fdb, index=link.index), remote=None), attrgetter("mac"))
    heard = ground.heard_from.get((name, link.index, mac))
    if heard is not None and not has(ends.get(mac, ()), static=True):
        return (FdbEntry(link.index, mac, remote=heard),)
    own = FdbEntry(link.index, _ANY, remote=vxlan.remote, via=vxlan.lower or None)
    default = (own,) if vxlan.remote and here.forwarded is not None else ()
    return ends.get(_ANY if is_group(mac) else mac) or ends.get(_ANY, default)


def _carry(
    ground: Ground, send: Send, sender: tuple[str, Link, Vxlan], packet: Packet, entry: FdbEntry
) -> Ways:
    """The outer packet to one remote, and the frame again where it is unpacked."""
    assert entry.remote is not None
    name, link, own = sender
    vxlan = own.by(entry.vni, entry.port)
    ground.tunnelled += 1
    if ground.tunnelled > MOST:
        text = f"more than {MOST} packets in tunnels: netprobe follows no further"
        return (Branch(packet, stop=lost("unknown", name, link, Stage.ENCAPSULATE, text)),)
    home = ground.underlay(name, link)
    if home is None:
        return (Branch(packet, exit=(name, link)),)
    if (no_source := without_source(ground.namespace(home), name, link)) is not None:
        return (Branch(packet, stop=no_source),)
    trail = Trail(ground, packet.leg)
    wrapped = packet.scrubbed(home != name)  # iptunnel_xmit
    outer = _outer(ground, home, vxlan, wrapped, entry)
    if (too_long := _does_not_fit(ground, home, link, wrapped, outer, entry.via)) is not None:
        return (Branch(packet, stop=replace(too_long, place=replace(too_long.place, namespace=name))),)
    tunnels = (*packet.inside, (name, link.index))
    tos = None if packet.tos else 0  # the tunnel's own, or the inner one, or its congestion bits alone
    below = Packet(
        outer, packet.leg, mark=wrapped.mark, suspects=packet.suspects, inside=tunnels, tos=tos,
        bound=entry.via,
    )  # fmt: skip
    finish = send(trail, home, below)
    hops = inside(trail.hops, packet, f"to {entry.remote}")
    if finish.end is End.DELIVER and trail.arrived is not None:
        return tuple(b.behind(*hops) for b in _unpack(ground, (name, link, vxlan), packet, trail, entry))
    if finish.end is End.EXIT:
        return (Branch(packet, exit=(name, link), hops=hops, below=trail.left),)
    return (Branch(packet, hops=hops, stop=finish.stop and _blame(ground, name, link, entry, finish.stop)),)


def without_source(home: Namespace, name: str, link: Link) -> Stop | None:
    """A tunnel that is to send from an IPv4 address that nothing there has: the kernel finds it no route
    (net/ipv4/route.c, ip_route_output_key_hash_rcu). IPv6 does not look.
    """
    own = link.tunnel.local
    if own is None or ":" in own or fib.has_source(home, own):
        return None
    text = f"{link.name} of {name} sends from {own}, an address that {home.name} does not have"
    thing = Object("tunnel", link.name, f"{link.name} local {own}")
    return lost("addr-missing", name, link, Stage.ENCAPSULATE, text, object=thing)


def _outer(ground: Ground, name: str, vxlan: Vxlan, packet: Packet, entry: FdbEntry) -> Flow:
    remote = entry.remote or ""
    query = RouteQuery(vxlan.local, remote, mark=packet.mark, oif=entry.via)
    decision = fib.sought(ground.namespace(name), query)
    source = vxlan.local or fib.source_for(ground.namespace(name), decision, remote) or "0.0.0.0"
    version = prefix.version(remote)
    length = packet.length + OVERHEAD[version]
    ttl = vxlan.ttl or life(ground.namespace(name), version, decision).ttl
    return Flow(source, remote, Protocol.UDP, dport=vxlan.port, ttl=ttl, length=length)


def _does_not_fit(
    ground: Ground, name: str, link: Link, packet: Packet, outer: Flow, via: int | None
) -> Stop | None:
    """An inner packet with DF that the underlay's MTU cannot carry is refused at a tunnel that is a port of a
    bridge; what comes to any other is told to others alone, and cut outside (skb_tunnel_check_pmtu). So is
    what nobody could be told to send, for no sender takes so little (iptunnel_pmtud_check_icmp).
    """
    query = RouteQuery(outer.src, outer.dst, mark=packet.mark, oif=via)
    decision = fib.sought(ground.namespace(name), query)
    out = ground.namespace(name).link(decision.index)
    if out is None or not packet.df or link.port is None or (outer.length or 0) <= out.mtu:
        return None
    room = out.mtu - OVERHEAD[outer.version]
    if room < _LEAST[packet.flow.version]:
        return None
    text = (
        f"a packet of {packet.flow.length} bytes does not fit {link.name}: {out.name} has MTU {out.mtu},"
        f" which leaves {room} bytes"
    )
    return lost("mtu-exceeded", name, link, Stage.ENCAPSULATE, text,
        object=Object("link", link.name, f"{link.name} mtu {link.mtu}"),
                fix=(link_set(link, "mtu", str(room)), _THEIRS_TOO))  # fmt: skip


_LEAST = {4: 576, 6: 1280}  # bytes, of which a tunnel tells


def wrapped(below: Gone, answer: Packet) -> Packet:
    """The packet in which the far end of a tunnel sends `answer`; `below` is the one that went there.

    Its source port is another one, and so it is new to connection tracking (udp_flow_src_port).
    """
    sent = below.packet.flow
    length = answer.length + OVERHEAD[sent.version]
    flow = Flow(sent.dst, sent.src, Protocol.UDP, dport=sent.dport, ttl=64, length=length)
    flow = replace(flow, dst_mac=sent.src_mac or below.link.mac or None)
    return Packet(flow, answer.leg, tags=below.packet.tags)


def unpacked(packet: Packet, arrived: Packet, moved: bool) -> Packet:
    """The packet as the tunnel device hands it on, which has taken it out of the one that `arrived`."""
    return replace(packet, mark=arrived.mark, uid=None, suspects=arrived.suspects).scrubbed(moved)


def inside(hops: Sequence[Hop], packet: Packet, where: str) -> tuple[Hop, ...]:
    """The outer packet's hops as hops of the inner packet: its flow, with the outer one around it."""
    first = {0: f"in a VXLAN packet {where}"}
    return tuple(
        replace(
            h,
            flow=replace(packet.flow, outer=h.flow),
            note="; ".join(filter(None, (first.get(i), h.note))),
        )
        for i, h in enumerate(hops)
    )


def _unpack(
    ground: Ground, sender: tuple[str, Link, Vxlan], packet: Packet, trail: Trail, entry: FdbEntry
) -> Ways:
    """At the remote: the VXLAN device of this port and VNI takes the frame out of the packet."""
    assert trail.arrived is not None
    there, arrived = trail.arrived[0], trail.arrived[2]
    ours = sender[2]
    # where one end has moved from where it was made, so may the other have
    known = ground.tunnels_beyond if ground.underlay(*sender[:2]) != sender[0] else ground.tunnels_in
    same_port = [(n, d) for n, d in known(there) if d.up and d.tunnel.port == ours.port]
    fitting = [(n, d) for n, d in same_port if d.tunnel.vni == ours.vni]
    if fitting:
        name, device = fitting[0]
        if unsure := _without_checksum(sender, fitting[0], arrived):
            return (Branch(packet, stop=unsure),)
        if device.tunnel.learning:
            if astray := _entered_elsewhere(ground, fitting[0], packet.flow.src_mac, arrived.flow.src):
                return (Branch(packet, stop=astray),)
            ground.heard_from[name, device.index, packet.flow.src_mac] = arrived.flow.src
        return (Crossing(name, device, unpacked(packet, arrived, name != there), inward=True),)
    if ground.underlay(*sender[:2]) != sender[0]:
        text = (
            f"{there} has no device for tunnel {ours.vni}; it may have moved to a namespace that netprobe has"
            " not read"
        )
        return (Branch(packet, stop=lost("unknown", *sender[:2], Stage.DECAPSULATE, text)),)
    stop = _mismatch(ground, sender, there, bool(same_port))
    return (Branch(packet, stop=replace(stop, object=_named(sender, entry) or stop.object)),)


def _entered_elsewhere(
    ground: Ground, receiver: tuple[str, Link], mac: str | None, source: str
) -> Stop | None:
    """A device that learns takes no frame from another end than the one where it has its station by hand
    (vxlan_snoop).
    """
    name, device = receiver
    entry = next(iter(but(where(ground.namespace(name).fdb, index=device.index, mac=mac), remote=None)), None)
    if entry is None or not entry.static or entry.remote == source:
        return None
    id = f"{mac} dev {device.name} dst {entry.remote}"
    text = f"{device.name} of {name} has {mac} at {entry.remote} by hand, and drops its frames from {source}"
    thing, fix = (
        Object("fdb-entry", id, id),
        Command.of("bridge", "fdb", "replace", entry.mac, "dev", device.name, "dst", source),
    )
    return lost("vxlan-remote-wrong", name, device, Stage.DECAPSULATE, text, object=thing, fix=(fix,))


NO_CHECKSUM, TAKES_NONE = "udp6zerocsumtx", "udp6zerocsumrx"


def _without_checksum(
    sender: tuple[str, Link, Vxlan], receiver: tuple[str, Link], arrived: Packet
) -> Stop | None:
    """A tunnel's packet of IPv6 without a checksum, which its other end does not take (udp6_csum_init)."""
    (name, link, ours), (there, device) = sender, receiver
    if arrived.flow.version == 4 or NO_CHECKSUM not in ours.flags or TAKES_NONE in device.tunnel.flags:
        return None
    text = (
        f"{link.name} of {name} sends UDP of IPv6 without checksums ({NO_CHECKSUM}), which {device.name} of"
        f" {there} does not take ({TAKES_NONE} is off)"
    )
    thing = Object("tunnel", link.name, f"{link.name} vxlan id {ours.vni} {NO_CHECKSUM}")
    return lost("vxlan-port-mismatch", name, link, Stage.ENCAPSULATE, text, object=thing)


def _mismatch(ground: Ground, sender: tuple[str, Link, Vxlan], there: str, port_fits: bool) -> Stop:
    """No device at the remote fits: the VNI differs, the port differs, or the device is down or missing."""
    name, link, ours = sender
    known = ground.namespace(there).vxlans
    for device, theirs in known:
        if theirs.network == ours.network and not device.up:
            return link_down(there, device, Stage.DECAPSULATE)
    if not known:
        text = f"{there} has no VXLAN device: nothing there takes packets of tunnel {ours.vni}"
        gone = Object("link", f"vxlan id {ours.vni}", text)
        return lost("link-missing", there, None, Stage.DECAPSULATE, text, object=gone)
    code = "vxlan-vni-mismatch" if port_fits else "vxlan-port-mismatch"
    device, theirs = known[0]
    what, own, other = ("VNI", ours.vni, theirs.vni) if port_fits else ("UDP port", ours.port, theirs.port)
    text = f"{link.name} in {name} sends with {what} {own}, {there} {device.name} has {other}"
    return lost(
        code,
        name,
        link,
        Stage.ENCAPSULATE,
        text,
        object=Object("tunnel", link.name, f"{link.name} vxlan id {ours.vni} dstport {ours.port}"),
    )


def _named(sender: tuple[str, Link, Vxlan], entry: FdbEntry) -> Object | None:
    """The entry that sends by a number or a port that is not its device's, as bridge(8) prints it."""
    _, link, vxlan = sender
    if entry.vni is None and entry.port is None:
        return None
    id = f"{entry.mac} dev {link.name} dst {entry.remote}"
    return Object("fdb-entry", id, f"{id} port {vxlan.port} vni {vxlan.vni}")


def _blame(ground: Ground, name: str, link: Link, entry: FdbEntry, stop: Stop) -> Stop:
    """An outer packet whose remote nobody answers for is the tunnel's wrong remote, not the neighbour's
    fault.
    """
    if stop.code == "ttl-expired" and link.tunnel.ttl:
        return _short_lived(name, link, link.tunnel, stop)
    if stop.code not in ("neigh-no-answer", "no-route", "route-wrong-nexthop"):
        return stop
    other = stop.code == "neigh-no-answer" and not stop.thing.id.startswith(f"{entry.remote} ")
    lacks = stop.code == "no-route" and stop.place.namespace != name and _is_somebody(ground, entry.remote)
    if other or lacks or _is_of_a_host(ground, entry.remote):  # a router on the way to it
        return stop
    how = "append" if entry.mac == _ANY else "replace"
    id = f"{entry.mac} dev {link.name} dst {entry.remote}"
    text = f"{link.name} sends to the tunnel end {entry.remote}, which is not there: {stop.text}"
    return lost("vxlan-remote-wrong", name, link, Stage.ENCAPSULATE, text,
                object=Object("fdb-entry", id, id),
                fix=(_tunnel_end(how, entry.mac, link),))  # fmt: skip


def _is_somebody(ground: Ground, remote: str | None) -> bool:
    """Whether a namespace that was read has the address of a tunnel end."""
    return any(each.address(remote) is not None for each in ground.snapshot.namespaces.values())


def _is_of_a_host(ground: Ground, remote: str | None) -> bool:
    """Whether one of the hosts has the address of a tunnel end."""
    return remote is not None and bool(ground.snapshot.homes and having(ground, remote))


def _short_lived(name: str, link: Link, vxlan: Vxlan, stop: Stop) -> Stop:
    """The TTL that the device gives its packets is used up on their way."""
    thing = Object("tunnel", link.name, f"{link.name} vxlan id {vxlan.vni} ttl {vxlan.ttl}")
    text = f"{link.name} sends its packets with TTL {vxlan.ttl}, which is used up at {stop.place.namespace}"
    fix = link_set(link, "type", "vxlan", "ttl", str(ORDINARY))
    return lost("ttl-expired", name, link, Stage.ENCAPSULATE, text, object=thing, fix=(fix,))
