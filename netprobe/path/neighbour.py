"""Who has this address on the segment? The neighbour cache, else an ARP or ND exchange walked through the wiring.

Kernel: net/ipv4/arp.c (arp_process, arp_ignore, arp_filter), net/ipv6/ndisc.c, net/core/neighbour.c; RFC 826, RFC 4861.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    ARP_REPLY,
    ARP_REQUEST,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    Flow,
    Link,
    Namespace,
    Neighbour,
    Protocol,
    Stage,
    Stop,
)

from . import fib, hooks, prefix
from .branch import BROADCAST
from .claims import Station, claims, noarp
from .ground import Ground, Packet
from .segment import NO_OTHER_PORT, Segment
from .silence import ANSWERED, TUNNELLED, nobody
from .stop import lost, not_in_bridge

_USABLE = {"permanent", "reachable", "stale", "delay", "probe", "noarp"}


class Resolution(Struct, frozen=True):
    """The next hop's MAC, None for a device that needs none; or why there is none. `rivals` answer for it as well.

    `suspects` lie on the way of the request or of its answer.
    """

    mac: str | None = None
    note: str = ""
    stop: Stop | None = None
    entry: Neighbour | None = None
    rivals: tuple[Station, ...] = ()
    suspects: tuple[Stop, ...] = ()


def resolve(ground: Ground, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Find the MAC of `address` on `link` for this packet, as the kernel's neighbour code would."""
    if not needs_mac(link):
        return Resolution(note="no neighbour needed")
    if prefix.is_multicast(address) or address == "255.255.255.255":
        return Resolution(BROADCAST)
    entry = cached(ground.namespace(name), link, address)
    if not link.arp and (entry is None or entry.state != "permanent"):  # entries made by hand count all the same
        text = f"{link.name} has ARP switched off (NOARP): it sends to its own MAC instead of asking who has {address}"
        return Resolution(stop=noarp(name, link, text))
    if entry is not None and entry.mac and entry.state in _USABLE:
        return Resolution(entry.mac, f"neighbour {entry.mac} ({entry.state})", entry=entry)
    return ask(ground, name, link, address, packet)


def needs_mac(link: Link) -> bool:
    """Whether frames on this device carry Ethernet addresses."""
    return bool(link.mac) and link.kind not in ("loopback", "tun", "ipip", "sit", "gre", "wireguard", "ppp")


def cached(namespace: Namespace, link: Link, address: str) -> Neighbour | None:
    """The neighbour entry for an address on a link."""
    return next((n for n in namespace.neighbours if n.index == link.index and n.address == address and not n.proxy), None)


def ask(ground: Ground, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Walk the request to every stack of the segment, and each answer back."""
    if dead := Segment(ground).not_running(name, link, Stage.TRANSMIT):
        return Resolution(stop=dead)
    asked = request(ground.namespace(name), link, address, packet)
    if dropped := _outgoing(ground, name, link, asked):
        return Resolution(stop=dropped)
    segment = Segment(ground)
    stations: list[Station] = []
    refusals: list[Stop] = []
    unseen = False
    heard = []
    for branch in segment.transmit(name, link, asked):
        if branch.exit:
            unseen = True
        elif branch.stop is not None and (bridge := lonely(ground, branch.stop)) is not None:
            heard.append(bridge)
        elif branch.stop is not None:
            refusals.append(replace(branch.stop, proof=(*branch.stop.proof, TUNNELLED)) if branch.tunnelled else branch.stop)
        elif branch.at is not None and branch.at != (name, link):
            heard.append(branch.at)
            refusals += _loose_tunnel(ground, *branch.at)
            answer(ground, (name, link), branch.at, branch.packet, stations, refusals)
    if stations:
        best = min(stations, key=lambda station: station.proxy)
        whose = f" of {best.namespace}/{best.link.name}" if best.namespace and best.link else ""
        return Resolution(
            best.mac, f"neighbour {best.mac}{whose}", rivals=tuple(s for s in stations if s.mac != best.mac), suspects=best.suspects
        )
    if unseen:
        return Resolution(None, f"asks the segment beyond {link.name} who has {address}")
    for there, lower in ((name, link), *heard):
        ground.all_macvlans_on(there, lower)  # where one that nobody has met yet may be the owner
    return Resolution(stop=nobody(ground, (name, link), asked, refusals, heard))


def lonely(ground: Ground, stop: Stop) -> tuple[str, Link] | None:
    """The bridge that had nobody to flood a question to; None for any other end. Nobody was refused there."""
    namespace = ground.namespace(stop.place.namespace) if stop.place.namespace else None
    link = namespace.link_named(stop.place.interface or "") if namespace is not None else None
    return (namespace.name, link) if namespace is not None and link is not None and stop.code == NO_OTHER_PORT else None


def _loose_tunnel(ground: Ground, name: str, link: Link) -> tuple[Stop, ...]:
    """A tunnel's end that should be a port of a bridge and is none."""
    namespace = ground.namespace(name)
    own = [a for a in namespace.addresses_of(link) if a.scope == "global"]
    if link.kind != "vxlan" or own or not any(other.kind == "bridge" for other in namespace.links):
        return ()
    text = f"{link.name} in {name} is a port of no bridge: what comes out of the tunnel ends there"
    return (replace(not_in_bridge(name, link, text), proof=(TUNNELLED,)),)


def request(namespace: Namespace, link: Link, address: str, packet: Packet) -> Packet:
    """The ARP request or neighbour solicitation the kernel sends for this packet (arp_solicit, ndisc_solicit)."""
    own = packet.flow.src if namespace.owner_of(packet.flow.src) else fib.select_address(namespace, link.index, address)
    if prefix.version(address) == 4:
        flow = Flow(own or "0.0.0.0", address, Protocol.ARP, icmp_type=ARP_REQUEST, length=28, src_mac=link.mac, dst_mac=BROADCAST)
    else:
        low = f"{prefix.number(address) & 0xFFFFFF:06x}"
        group = f"33:33:ff:{low[:2]}:{low[2:4]}:{low[4:]}"
        flow = Flow(
            own or "::", address, Protocol.ND, icmp_type=NEIGHBOUR_SOLICITATION, ttl=255, length=72, src_mac=link.mac, dst_mac=group
        )
    return Packet(flow, packet.leg)


def _outgoing(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way out of a stack."""
    if packet.flow.protocol is Protocol.ARP:
        return hooks.on_arp(ground, name, "output", packet, link).stop
    return _nd(hooks.on_ip(ground, name, "output", packet, None, link).stop)


def _incoming(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way into a stack."""
    if packet.flow.protocol is Protocol.ARP:
        return hooks.on_arp(ground, name, "input", packet, link).stop
    passed = hooks.on_ip(ground, name, "prerouting", packet, link, None)
    return _nd(passed.stop or hooks.on_ip(ground, name, "input", passed.packet, link, None).stop)


def _nd(stop: Stop | None) -> Stop | None:
    return (
        replace(stop, code="nd-filtered")
        if stop is not None and stop.code in ("filtered-by-rule", "policy-drop", "rejected-by-rule")
        else stop
    )


def answer(
    ground: Ground, asker: tuple[str, Link], at: tuple[str, Link], request: Packet, stations: list[Station], refusals: list[Stop]
) -> None:
    """One stack's reaction to a request: a station that answers, a refusal worth telling, or nothing (not its address)."""
    name, link = at
    concerned = claims(ground, name, link, request)
    if concerned is None:
        return
    dropped = _incoming(ground, name, link, request)
    if dropped is not None:
        refusals.insert(0, dropped)
        return
    if isinstance(concerned, Stop):
        refusals.insert(0, concerned)
        return
    stop, suspects = _answer_arrives(ground, at, asker, request)
    if stop is not None:
        refusals.insert(0, replace(stop, proof=(*stop.proof, ANSWERED)))
        return
    stations.append(replace(concerned, suspects=(*request.suspects, *suspects)))


def _answer_arrives(ground: Ground, at: tuple[str, Link], asker: tuple[str, Link], request: Packet) -> tuple[Stop | None, tuple[Stop, ...]]:
    """Why the unicast answer does not get back to who asked, and what it passes that may stop it."""
    name, link = at
    reply = replace(answer_to(request, link), suspects=())
    if dropped := _outgoing(ground, name, link, reply):
        return dropped, ()
    stops = []
    for branch in Segment(ground).transmit(name, link, reply):
        if branch.exit:
            return None, branch.packet.suspects
        if branch.at == (asker[0], asker[1]):
            return _incoming(ground, asker[0], asker[1], branch.packet), branch.packet.suspects
        if branch.stop is not None:
            stops.append(branch.stop)
        elif branch.at is not None:
            text = f"the answer to {request.flow.src} reaches {branch.at[0]}/{branch.at[1].name} instead of {asker[0]}/{asker[1].name}"
            stops.append(_not_a_port(ground, asker, text))
    return (stops[0] if stops else None), ()


def answer_to(request: Packet, link: Link) -> Packet:
    """The unicast answer that `link` gives to a request."""
    flow = request.flow
    kind = ARP_REPLY if flow.protocol is Protocol.ARP else NEIGHBOUR_ADVERTISEMENT
    return replace(request, flow=replace(flow, src=flow.dst, dst=flow.src, icmp_type=kind, src_mac=link.mac, dst_mac=flow.src_mac))


def _not_a_port(ground: Ground, asker: tuple[str, Link], text: str) -> Stop:
    """An answer that stays in the router: the veth towards the asker is no port of the bridge that has the address."""
    far = ground.beyond(asker[0], asker[1].link) if asker[1].kind == "veth" else None
    if far is not None and far[1].master is None:
        return not_in_bridge(far[0], far[1], text)
    return lost("neigh-no-answer", asker[0], asker[1], Stage.ARP, text)
