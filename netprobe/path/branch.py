"""One way of a frame: the hops it makes, and how it ends."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Hop, Link, Stage, Stop

from .ground import Packet

BROADCAST = "ff:ff:ff:ff:ff:ff"


class Branch(Struct, frozen=True):
    """One way of a frame. It ends at a stack (`at`), lost (`stop`), or out of sight (`exit`); `tunnelled`: inside a tunnel.

    `alone`: where it is lost, the bridge that had no other port for it.
    """

    hops: tuple[Hop, ...]
    packet: Packet
    at: tuple[str, Link] | None = None
    stop: Stop | None = None
    exit: bool = False
    tunnelled: bool = False
    alone: tuple[str, Link] | None = None

    def behind(self, *hops: Hop) -> Branch:
        """This branch with `hops` put before it."""
        return replace(self, hops=(*hops, *self.hops))


def hop(namespace: str, link: Link | None, stage: Stage, packet: Packet, note: str = "", bound: str | None = None) -> Hop:
    """A hop of this packet; it is numbered when the path is complete."""
    return Hop(0, namespace, link.name if link else None, stage, packet.flow, note=note, bound=bound, suspects=packet.suspects)


def is_group(mac: str) -> bool:
    """Whether a MAC address is multicast or broadcast (the low bit of its first byte)."""
    return bool(int(mac[:2], 16) & 1) if mac else False
