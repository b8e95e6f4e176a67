"""Stations behind the ports of a large bridge that have nothing to do with a frame: their namespaces are not
read, so that a flood costs little a port. Pure.

A look behind the port tells it (`SeenBehind`): a plain station takes up what is for its MAC address, answers
for its own addresses (net/ipv4/arp.c, arp_process), and passes nothing on.
"""

from __future__ import annotations

from itertools import chain

from netprobe.model import Link
from netprobe.model.behind import PlainStations, plain_stations
from netprobe.model.lookup import indexed

from . import prefix
from .outcome import is_group
from .view import Ground, Packet

FEW = 16  # ports of a bridge whose namespaces are all read
SHOWN = 6  # stations of a larger one that are read to see what they agree on


def bystanders(ground: Ground, name: str, ports: tuple[Link, ...], packet: Packet) -> frozenset[int]:
    """Those of a bridge's ports, by ifindex, behind which nobody has to do with a frame that all of them get.

    Of a broadcast, which is for everybody, a few stations are shown, and the others left out.
    """
    if len(ports) <= FEW:
        return frozenset()
    ground.seen_behind(name, ports)
    plain = indexed(plain_stations, ports, ground.snapshot.peers, ground.snapshot.behind, of=name)
    if _is_for_everybody(packet):
        return plain.ports.difference(port.index for port in ports[:SHOWN])
    return plain.ports.difference(_concerned(plain, packet))


def _is_for_everybody(packet: Packet) -> bool:
    asks = packet.flow.protocol.on_segment
    return not asks and is_group(packet.station)


def _concerned(plain: PlainStations, packet: Packet) -> tuple[int, ...]:
    """The ports behind which a plain station takes a frame up, or is asked for by it."""
    mac, asked = packet.station, packet.flow.dst
    if not is_group(mac):
        return plain.of_mac.get(mac, ())
    networks = (network for network in plain.prefixes if prefix.contains(network, asked))
    owners = (plain.of_address.get(own, ()) for own in (asked, *networks))
    return tuple(chain.from_iterable(owners))
