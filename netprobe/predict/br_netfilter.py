"""Bridged packets to which IP rules gave another destination: the kernel routes them while they are still on
the bridge.

Kernel: net/bridge/br_netfilter_hooks.c (br_nf_pre_routing_finish), br_netfilter_ipv6.c.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Link

from . import neighbour, routing
from .arp_reply import forwards
from .outcome import Carry, Readdressed
from .trace import Resolved, Trail
from .view import Ground, Packet

_LOCAL = ("local", "broadcast", "multicast")  # their device is lo, never the bridge


def readdressed(
    ground: Ground, carry: Carry, trail: Trail | None, name: str, bridge: Link, packet: Packet
) -> Readdressed:
    """The frame as it goes on: with the MAC of its next hop where that is on the same bridge, else with that
    of the bridge, whose host routes it, or says why it does not.

    The first spends no TTL. IPv4 does neither without forwarding: the route to it leads to an error, and so
    to the host (ip_route_input_slow); IPv6 asks for that later (ip6_forward).
    """
    decision = routing.decide(ground, name, routing.query(packet, bridge))
    if trail is not None:
        trail.decided(name, decision, packet, bridge)
    refused = routing.refuse_input(ground, name, bridge, packet, decision)
    routed = refused is None and decision.error is None and decision.type not in _LOCAL
    goes_on = packet.flow.version == 6 or forwards(ground.namespace(name), bridge, 4)
    if not (routed and goes_on and decision.index == bridge.index):
        to = f"the host takes it up, to route it to {packet.flow.dst}"
        return Readdressed(_to(packet, bridge.mac), to)
    nexthop = decision.via or packet.flow.dst
    found = neighbour.resolve(ground, carry, name, bridge, nexthop, packet)
    if found.stop is not None:
        return Readdressed(packet, f"to {nexthop}: no station answers", found.stop)
    if found.entry is not None and trail is not None:
        trail.resolved.append(Resolved(name, packet.leg, bridge, found.entry))
    note = f"to {nexthop} on the same bridge, {found.note}"
    blamed = neighbour.nobody_has(name, bridge, nexthop, found.mac)
    return Readdressed(_to(packet.suspecting(*found.suspects), found.mac), note, blamed=blamed)


def _to(packet: Packet, mac: str | None) -> Packet:
    return replace(packet, flow=replace(packet.flow, dst_mac=mac))
