"""The walk over a snapshot, and the only file that recurses.

A packet is walked from stack to stack: out of one (`ip.output`), over the wire (`ip.cross`, which asks who
has the next hop's address), into the next (`ip.receive`), until it ends. A frame is walked over a segment
(`link.Segment`). The one calls the other: a packet becomes a frame at each wire, and a frame becomes a
packet in each tunnel. Everything below gets this file handed as `Carry`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from netprobe.model import End, Link, Need

from . import br_netfilter, ip, vxlan
from .drop import Finish, Unread
from .link import Segment
from .outcome import Branch, Readdressed, Ways, first_arrived
from .trace import Gone, Trail
from .view import Ground, Lacking, Packet


class Waypoint:
    """How far the walk of a request has come, so that the next one, which knows more, need not begin anew.

    What lies before it was walked with less known. So it only tells what is lacking further on; the
    prediction is made from the start.
    """

    def __init__(self) -> None:
        self._trail: Trail | None = None
        self._at: tuple[str, ip.Departure] | None = None
        self._needs: tuple[Need, ...] = ()

    def reach(self, trail: Trail, name: str, leaving: ip.Departure) -> None:
        """The packet of `trail` is about to leave namespace `name`."""
        self._trail, self._at = trail.copied(trail.ground), (name, leaving)

    def lacking(self, ground: Ground) -> tuple[Need, ...]:
        """What the walk onward from here needs; nothing where none has begun, where it comes to its end, or
        where it needs once more what it was given.
        """
        if self._trail is None or self._at is None:
            return ()
        before, self._needs = self._needs, ()
        with suppress(Unread):
            try:
                Walker(ground, self).onward(self._trail.copied(ground), *self._at)
            except Lacking as lacking:
                self._needs = lacking.needs
        return self._needs if self._needs != before else ()


class Walker:
    """Walks packets and frames over the snapshot of `ground`; `waypoint` is told how far a packet has come.

    Raises Lacking for what the snapshot does not hold.
    """

    def __init__(self, ground: Ground, waypoint: Waypoint | None = None) -> None:
        self.ground = ground
        self._waypoint = waypoint

    def packet(self, trail: Trail, name: str, packet: Packet) -> Finish:
        """From a local socket of namespace `name` to the packet's end."""
        try:
            return self.onward(trail, name, ip.output(trail, name, packet))
        except Unread as unread:
            return unread.finish

    def arrived(self, trail: Trail, name: str, link: Link, packet: Packet) -> Finish:
        """From `link` of namespace `name`, whose stack takes it up, to the packet's end."""
        try:
            return self.onward(trail, name, ip.receive(trail, name, link, packet))
        except Unread as unread:
            return unread.finish

    def onward(self, trail: Trail, name: str, leaving: ip.Departure | Finish) -> Finish:
        """From where a packet is about to leave namespace `name` to its end."""
        while not isinstance(leaving, Finish):
            if self._waypoint is not None:
                self._waypoint.reach(trail, name, leaving)
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
        return self._segment(barred, trail).transmit(name, link, packet, note)

    def receive(
        self, name: str, link: Link, packet: Packet, *, trail: Trail | None = None, barred: bool = True
    ) -> tuple[Branch, ...]:
        """A frame arrives at `link` of namespace `name`; every branch it takes from there."""
        return self._segment(barred, trail).receive(name, link, packet)

    def returned(self, gone: Gone, answer: Packet, *, trail: Trail | None = None) -> tuple[Branch, ...]:
        """An answer comes in where `gone` went out of sight, out of a tunnel in that tunnel's own packet;
        every branch it takes from there.
        """
        if gone.below is None:
            return self.receive(gone.name, gone.link, answer, trail=trail)
        wrapped = vxlan.wrapped(gone.below, answer)
        arrived = first_arrived(self.returned(gone.below, wrapped))
        below = Trail(self.ground, answer.leg, hops=list(arrived.hops))
        finish = self.arrived(below, *arrived.at, arrived.packet) if arrived.at is not None else None
        hops = vxlan.inside(below.hops, answer, f"from {gone.below.packet.flow.dst}")
        if finish is None or finish.end is not End.DELIVER or below.arrived is None:
            stop = arrived.stop if finish is None else finish.stop
            away = below.left
            out = (away.name, away.link) if away is not None and stop is None else None
            return (Branch(answer, hops=hops, stop=stop, exit=out),)
        unpacked = vxlan.unpacked(answer, below.arrived[2], below.arrived[0] != gone.name)
        return tuple(b.behind(*hops) for b in self.receive(gone.name, gone.link, unpacked, trail=trail))

    def _segment(self, barred: bool, trail: Trail | None) -> Segment:
        return Segment(self.ground, self._through, partial(self._readdressed, trail), barred, trail)

    def _readdressed(self, trail: Trail | None, name: str, bridge: Link, packet: Packet) -> Readdressed:
        """A frame to which IP rules on a bridge gave another destination."""
        return br_netfilter.readdressed(self.ground, self, trail, name, bridge, packet)

    def _through(self, name: str, link: Link, packet: Packet) -> Ways:
        """The ways of a frame that is sent on a tunnel device."""
        walker = Walker(self.ground)
        return vxlan.through(self.ground, walker.packet, walker, name, link, packet)
