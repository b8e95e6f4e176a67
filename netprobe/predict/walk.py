"""The walk over a snapshot, and the only file that recurses.

A packet is walked from stack to stack: out of one (`stack.output`), over the wire (`stack.cross`, which asks
who has the next hop's address), into the next (`stack.receive`), until it ends. A frame is walked over a
segment (`segment`). The one calls the other: a packet becomes a frame at each wire, and a frame becomes a
packet in each tunnel. Everything below gets this file handed as `Carry`.
"""

from __future__ import annotations

from netprobe.model import Link

from . import ip, vxlan
from .drop import Finish, Unread
from .link import Segment
from .outcome import Branch, Ways
from .trace import Trail
from .view import Ground, Packet


class Walker:
    """Walks packets and frames over the snapshot of `ground`.

    Raises Lacking for what the snapshot does not hold.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def packet(self, trail: Trail, name: str, packet: Packet) -> Finish:
        """From a local socket of namespace `name` to the packet's end."""
        try:
            return self._onward(trail, name, ip.output(trail, name, packet))
        except Unread as unread:
            return unread.finish

    def arrived(self, trail: Trail, name: str, link: Link, packet: Packet) -> Finish:
        """From `link` of namespace `name`, whose stack takes it up, to the packet's end."""
        try:
            return self._onward(trail, name, ip.receive(trail, name, link, packet))
        except Unread as unread:
            return unread.finish

    def _onward(self, trail: Trail, name: str, leaving: ip.Departure | Finish) -> Finish:
        while not isinstance(leaving, Finish):
            there = ip.cross(trail, self, name, leaving)
            if isinstance(there, Finish):
                return there
            name, leaving = there.name, ip.receive(trail, there.name, there.link, there.packet)
        return leaving

    def transmit(
        self,
        name: str,
        link: Link,
        packet: Packet,
        note: str = "",
        *,
        trail: Trail | None = None,
        barred: bool = True,
    ) -> tuple[Branch, ...]:
        """Put the frame on `link` of namespace `name`; every branch it takes."""
        return Segment(self.ground, self._through, barred, trail).transmit(name, link, packet, note)

    def receive(
        self, name: str, link: Link, packet: Packet, *, trail: Trail | None = None, barred: bool = True
    ) -> tuple[Branch, ...]:
        """A frame arrives at `link` of namespace `name`; every branch it takes from there."""
        return Segment(self.ground, self._through, barred, trail).receive(name, link, packet)

    def _through(self, name: str, link: Link, packet: Packet) -> Ways:
        """The ways of a frame that is sent on a tunnel device."""
        return vxlan.through(self.ground, self.packet, name, link, packet)
