"""The network between the hosts, which nobody sees: at which hosts a frame goes on that leaves one of them.

Of it is known who is there (`Ground.at_the_network`) and no more: a frame comes to whom its MAC address
names, and a packet that is handed to a router nobody sees comes to the host that has its destination.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Leg, Link, Object, Stage, Stop
from netprobe.model.lookup import find, where
from netprobe.model.uplinks import CABLES

from .device import too_long
from .drop import link_down, lost
from .fixes import forget_neighbour
from .outcome import Branch, Crossing, Ways, is_group
from .view import Ground, Packet

OVER = "over the network between the hosts"
ROUTED = f"{OVER}, through routers that nobody sees"
_Place = tuple[str, Link]


def onward(ground: Ground, name: str, link: Link, packet: Packet) -> Ways:
    """Where a frame goes on that leaves namespace `name` by `link`, whose other end is not visible: at other
    hosts, or nowhere that can be seen.
    """
    beyond: Ways = ()
    if ground.snapshot.homes and link.kind in (*CABLES, "veth"):
        beyond = _at_others(ground, (name, link), packet.scrubbed(leaves=True))
        if not beyond and _is_to_arrive(packet):
            text = f"no host has {packet.flow.dst}: what answers for it behind {link.name} is not visible"
            beyond = (Branch(packet, stop=lost("unknown", name, link, Stage.EXIT, text)),)
    return beyond or (Branch(packet, exit=(name, link)),)


def _is_to_arrive(packet: Packet) -> bool:
    """Whether a packet is for one of the hosts: an answer, or what a tunnel sends to its other end."""
    return not packet.flow.protocol.on_segment and (packet.leg is Leg.REPLY or bool(packet.inside))


def _at_others(ground: Ground, out: _Place, packet: Packet) -> Ways:
    """At which other hosts it arrives; at none that is known where nobody there has what it is for."""
    flow = packet.flow
    to_all = is_group(flow.dst_mac or "")
    named = _others(ground, out, flow.dst if to_all else flow.dst_mac)
    if to_all and not flow.protocol.on_segment:
        named = ground.heard_at_the_network(out[0])
    if named or to_all or flow.protocol.on_segment:
        return tuple(_arriving(end, packet, OVER) for end in named)
    return _for_the_next_hop(ground, out, packet) or _routed(ground, out, packet)


def _others(ground: Ground, out: _Place, sought: str | None) -> tuple[_Place, ...]:
    """The interfaces at which others than the sender take up what is for an address or a MAC."""
    found = ground.at_the_network(sought) if sought else ()
    return tuple(end for end in found if (end[0], end[1].index) != (out[0], out[1].index))


def _arriving(end: _Place, packet: Packet, note: str) -> Branch | Crossing:
    """The frame at the other host. What its interface does with one that is too long for it depends on the
    hardware; a veth takes none.
    """
    name, link = end
    if not link.up:
        return Branch(packet, stop=link_down(name, link, Stage.RECEIVE))
    long = too_long(name, link, packet)
    if long is not None and link.kind == "veth":
        return Branch(packet, stop=long)
    return Crossing(name, link, packet.suspecting(*filter(None, [long])), note=note, inward=True)


def _for_the_next_hop(ground: Ground, out: _Place, packet: Packet) -> Ways:
    """A frame to the next hop with a MAC that no host has: the entry is wrong, or the network between the
    hosts answers for them by a MAC of its own, as clouds do. Who writes an entry by hand means a host.
    """
    ends = _others(ground, out, packet.via)
    known = where(ground.namespace(out[0]).neighbours, address=packet.via, mac=packet.flow.dst_mac)
    wrong = [_wrong(out, packet, ends) for _ in known[:1]]
    if ends and find(known, state="permanent") is not None:
        return (Branch(packet, stop=wrong[0]),)
    return tuple(_sent_on(ground, end, packet.suspecting(*wrong), packet.via, OVER) for end in ends)


def _wrong(out: _Place, packet: Packet, ends: tuple[_Place, ...]) -> Stop:
    """The neighbour entry with a MAC that no host has, though one has its address."""
    name, link = out
    via, mac = packet.via or "", packet.flow.dst_mac
    whose = ", ".join(f"{there}/{end.name}" for there, end in ends)
    entry = f"{via} dev {link.name} lladdr {mac}"
    text = f"no host has the MAC {mac} of the entry for {via}, which is on {whose}"
    thing, fix = Object("neighbour", entry, entry), (forget_neighbour(via, link),)
    return lost("neigh-wrong-entry", name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)


def _routed(ground: Ground, out: _Place, packet: Packet) -> Ways:
    """A packet handed to a router that nobody sees, where a host has its destination: how many routers there
    are, and with that its TTL, is not known.
    """
    target = packet.flow.dst
    handed = replace(packet, flow=replace(packet.flow, ttl=None))
    return tuple(_sent_on(ground, end, handed, target, ROUTED) for end in _others(ground, out, target))


def _sent_on(
    ground: Ground, end: _Place, packet: Packet, address: str | None, note: str
) -> Branch | Crossing:
    """The frame as the last router, or a switch that answers for others, sends it to who has an address."""
    owner = ground.namespace(end[0]).owner_of(address or "") or end[1]
    flow = replace(packet.flow, src_mac=None, dst_mac=owner.mac or end[1].mac or None)
    return _arriving(end, replace(packet, flow=flow), note)
