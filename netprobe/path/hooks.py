"""The hooks that a packet passes in one namespace - rules, XDP, tc - and what they do to it, as far as can be known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netprobe.model import Change, Flow, Leg, Link, Object, Stop

from . import programs
from .ground import Ground, Packet
from .trail import Trail, changes


@dataclass(frozen=True, slots=True)
class Passage:
    """A packet after a hook: as it goes on, what changed, what is worth a note; or `stop`, why it does not go on."""

    packet: Packet
    stop: Stop | None = None
    changes: tuple[Change, ...] = ()
    object: Object | None = None
    note: str = ""


def on_transmit(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Egress of a device, before a tap sees the packet: netdev egress chains, tc egress, the queueing discipline."""
    return Passage(packet.suspecting(*programs.egress(name, link)))


def on_xdp(ground: Ground, name: str, link: Link, packet: Packet) -> Packet:
    """An XDP program sees the packet before any tap does."""
    return packet.suspecting(*programs.xdp(name, link))


def on_ingress(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Ingress of a device, behind the taps: tc ingress, netdev ingress chains."""
    return Passage(packet.suspecting(*programs.ingress(name, link)))


def on_bridge(ground: Ground, name: str, bridge: Link, hook: str, packet: Packet, port_in: Link | None, port_out: Link | None) -> Passage:
    """A bridge hook (ebtables, nft bridge; and iptables where br_netfilter calls it)."""
    return Passage(packet)


def on_arp(ground: Ground, name: str, hook: str, packet: Packet, link: Link) -> Passage:
    """The arp family's input or output hook."""
    return Passage(packet)


def on_ip(ground: Ground, name: str, hook: str, packet: Packet, iif: Link | None, oif: Link | None, trail: Trail | None = None) -> Passage:
    """An IP hook: prerouting, input, forward, output or postrouting of namespace `name`."""
    if trail is not None and trail.leg is Leg.REPLY:
        return untranslate(trail, name, hook, packet)
    return Passage(packet)


def untranslate(trail: Trail, name: str, hook: str, packet: Packet) -> Passage:
    """Connection tracking undoes on the reply what it did to the request: destination on the way in, source on the way out.

    Kernel: net/netfilter/nf_nat_core.c (nf_nat_packet, nf_nat_manip_pkt): each hook rewrites its own side.
    """
    if hook in ("prerouting", "output"):
        trail.current.pop(name, None)
        track = trail.answered(name, packet.flow)
        if track is not None and track.translated:
            trail.current[name] = track
    track = trail.current.get(name)
    if track is None:
        return Passage(packet)
    if hook in ("prerouting", "output"):
        flow = replace(packet.flow, dst=track.before.src, dport=track.before.sport, icmp_id=track.before.icmp_id)
        return _undone(packet, flow, "SNAT")
    if hook in ("postrouting", "input"):
        flow = replace(packet.flow, src=track.before.dst, sport=track.before.dport)
        return _undone(packet, flow, "DNAT")
    return Passage(packet)


def _undone(packet: Packet, flow: Flow, what: str) -> Passage:
    if flow == packet.flow:
        return Passage(packet)
    return Passage(replace(packet, flow=flow), changes=changes(packet.flow, flow, f"{what} undone"))
