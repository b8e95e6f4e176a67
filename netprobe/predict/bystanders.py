"""Stations behind the ports of a large bridge that have nothing to do with a frame: their namespaces are not
read, so that a flood costs little a port. Pure.

A look behind the port tells it (`SeenBehind`): a plain station takes up what is for its MAC address, answers
for its own addresses (net/ipv4/arp.c, arp_process), and passes nothing on.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from netprobe.model import FoundPeer, Link, Protocol, SeenBehind
from netprobe.model.lookup import grouped, indexed

from . import prefix
from .outcome import BROADCAST, is_group
from .view import Ground, Packet, seen_behind

FEW = 16  # ports of a bridge whose namespaces are all read


def bystanders(ground: Ground, name: str, ports: tuple[Link, ...], packet: Packet) -> frozenset[int]:
    """Those of a bridge's ports, by ifindex, behind which nobody has to do with a frame that all of them get.

    Of a broadcast, which is for everybody, a few stations are shown, and the others left out.
    """
    if len(ports) <= FEW:
        return frozenset()
    ground.seen_behind(name, ports)
    plain = indexed(_plain, ports, ground.snapshot.peers, ground.snapshot.behind, of=name)
    if _is_for_everybody(packet):
        return plain.ports.difference(port.index for port in ports[:FEW])
    return plain.ports.difference(_concerned(plain, packet))


class _Plain(Struct, frozen=True):
    """The ports with a plain station behind them; who of those has a MAC address, an address, a prefix."""

    ports: frozenset[int]
    of_mac: Mapping[str, tuple[int, ...]]
    of_address: Mapping[str, tuple[int, ...]]
    prefixes: tuple[tuple[str, int], ...]


def _plain(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...], behind: tuple[SeenBehind, ...]
) -> _Plain:
    seen, _ = seen_behind(name, ports, peers, behind)
    plain = [(index, station) for index, station in seen.items() if station.plain]
    own = [(address, index) for index, station in plain for address in station.own]
    macs = grouped(((station.mac, index) for index, station in plain), lambda each: each[0])
    hosts = grouped((each for each in own if "/" not in each[0]), lambda each: each[0])
    return _Plain(
        frozenset(index for index, _ in plain),
        {mac: tuple(index for _, index in found) for mac, found in macs.items()},
        {address: tuple(index for _, index in found) for address, found in hosts.items()},
        tuple(each for each in own if "/" in each[0]),
    )


def _is_for_everybody(packet: Packet) -> bool:
    asks = packet.flow.protocol in (Protocol.ARP, Protocol.ND)
    return not asks and is_group(packet.flow.dst_mac or BROADCAST)


def _concerned(plain: _Plain, packet: Packet) -> tuple[int, ...]:
    """The ports behind which a plain station takes a frame up, or is asked for by it."""
    mac, asked = packet.flow.dst_mac or BROADCAST, packet.flow.dst
    if not is_group(mac):
        return plain.of_mac.get(mac, ())
    of_prefix = (index for own, index in plain.prefixes if prefix.contains(own, asked))
    return (*plain.of_address.get(asked, ()), *of_prefix)
