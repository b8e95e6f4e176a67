"""The network between the hosts, which nobody sees: at which hosts a frame goes on that leaves one of them.

Of it is known who is there (`hosts`) and no more: a frame comes to whom its MAC address names, and a packet
that is handed to a router nobody sees comes to the host that has its destination.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Leg, Link, Neighbour, Object, Stage, Stop
from netprobe.model.lookup import has, where
from netprobe.model.uplinks import CABLES

from .device import too_long
from .drop import link_down, lost
from .fixes import forget_neighbour
from .hosts import Place, behind, having, hearing
from .outcome import Branch, Crossing, Ways, is_group
from .view import Ground, Packet

OVER = "over the network between the hosts"
ROUTED = f"{OVER}, through routers that nobody sees"
_LEADING = (*CABLES, "veth")


def onward(ground: Ground, name: str, link: Link, packet: Packet) -> Ways:
    """Where a frame goes on that leaves namespace `name` by `link`, whose other end is not visible: at other
    hosts, or nowhere that can be seen.
    """
    out = Branch(packet, exit=(name, link))
    if not ground.snapshot.homes or link.kind not in _LEADING:
        return (out,)
    found = _Leaving(ground, (name, link), packet.scrubbed(leaves=True)).ways()
    if not found and _is_to_arrive(packet):
        text = f"no host has {packet.flow.dst}: what answers for it behind {link.name} is not visible"
        out = Branch(packet, stop=lost("unknown", name, link, Stage.EXIT, text))
    return found or (out,)


def _is_to_arrive(packet: Packet) -> bool:
    """Whether a packet is for one of the hosts: an answer, or what a tunnel sends to its other end."""
    inside = packet.leg is Leg.REPLY or bool(packet.inside)
    return inside and not packet.flow.protocol.on_segment


class _Leaving(Struct, frozen=True):
    """A frame that leaves a host, and where."""

    ground: Ground
    out: Place
    packet: Packet

    def ways(self) -> Ways:
        """At which other hosts it arrives; at none where nobody that is known has what it is for."""
        flow, mac = self.packet.flow, self.packet.flow.dst_mac or ""
        if is_group(mac):
            return self._heard_by(
                self._asked() if flow.protocol.on_segment else hearing(self.ground, *self.out)
            )
        found = self._heard_by(self._others(mac))
        if flow.protocol.on_segment:
            return found
        return found or self._for_the_next_hop() or self._routed()

    def _asked(self) -> tuple[Place, ...]:
        """Who hears a question; nobody where it is known that none comes to who has the address."""
        address = self.packet.flow.dst
        return () if self.ground.is_silent(address) else self._others(address)

    def _others(self, sought: str | None) -> tuple[Place, ...]:
        """The interfaces at which others than the sender take up what is for an address or a MAC."""
        if not sought:
            return ()
        found = having(self.ground, sought) or behind(self.ground, self.out[0], sought)
        own = self.out[0], self.out[1].index
        return tuple(end for end in found if (end[0], end[1].index) != own)

    def _heard_by(self, ends: tuple[Place, ...]) -> Ways:
        return tuple(_arriving(end, self.packet, OVER) for end in ends)

    def _for_the_next_hop(self) -> Ways:
        """A frame to the next hop with a MAC that no host has: the entry is wrong, or the network between the
        hosts answers for them by a MAC of its own, as clouds do. Who writes an entry by hand means a host.
        """
        via, flow = self.packet.via, self.packet.flow
        ends = self._others(via)
        entries = self.ground.namespace(self.out[0]).neighbours if ends else ()
        known = where(entries, address=via, mac=flow.dst_mac)
        wrong = [_wrong(self.out, each, ends) for each in known[:1]]
        if has(known, state="permanent"):
            return (Branch(self.packet, stop=wrong[0]),)
        packet = self.packet.suspecting(*wrong)
        return tuple(_arriving(end, _sent_on(self.ground, end, packet, via), OVER) for end in ends)

    def _routed(self) -> Ways:
        """A packet handed to a router that nobody sees, where a host has its destination: how many routers
        there are, and with that its TTL, is not known.
        """
        flow = self.packet.flow
        handed = replace(self.packet, flow=replace(flow, ttl=None))
        ends = self._others(flow.dst)
        return tuple(_arriving(end, _sent_on(self.ground, end, handed, flow.dst), ROUTED) for end in ends)


def _arriving(end: Place, packet: Packet, note: str) -> Branch | Crossing:
    """The frame at the other host."""
    name, link = end
    long = _too_long(end, packet, note)
    down = None if link.up else link_down(name, link, Stage.RECEIVE)
    stops = (down, long if link.kind == "veth" else None)
    for stop in filter(None, stops):
        return Branch(packet, stop=stop)
    return Crossing(name, link, packet.suspecting(*filter(None, [long])), note=note, inward=True)


def _too_long(end: Place, packet: Packet, note: str) -> Stop | None:
    """Why an interface may not take a frame up: a veth does not, of hardware nobody can tell. A router may
    have cut the packet before.
    """
    return None if note is ROUTED else too_long(*end, packet)


def _wrong(out: Place, entry: Neighbour, ends: tuple[Place, ...]) -> Stop:
    """The neighbour entry with a MAC that no host has, though one has its address."""
    name, link = out
    whose = ", ".join(f"{there}/{end.name}" for there, end in ends)
    named = f"{entry.address} dev {link.name} lladdr {entry.mac}"
    text = f"no host has the MAC {entry.mac} of the entry for {entry.address}, which is on {whose}"
    thing, fix = Object("neighbour", named, named), (forget_neighbour(entry.address, link),)
    return lost("neigh-wrong-entry", name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)


def _sent_on(ground: Ground, end: Place, packet: Packet, address: str | None) -> Packet:
    """The frame as the last router, or a switch that answers for others, sends it to who has an address."""
    owner = ground.namespace(end[0]).owner_of(address or "") or end[1]
    mac = owner.mac or end[1].mac or None
    return replace(packet, flow=replace(packet.flow, src_mac=None, dst_mac=mac))
