"""A walk while it is being made: the hops so far, and the translations that connection tracking remembers."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    Change,
    ConntrackEntry,
    Flow,
    Hop,
    Leg,
    Link,
    Neighbour,
    Object,
    RouteQuery,
    Stage,
    Stop,
    Walk,
)

from .drop import Finish, end_of
from .fib import FibResult
from .view import Ground, Packet


class Track(Struct, frozen=True, gc=False):
    """The connection that the request left in one namespace."""

    namespace: str
    connection: ConntrackEntry | None


class Routed(Struct, frozen=True, gc=False):
    """One routing decision of a walk: where, for a packet from `src` to `dst`, marked with `mark`, that came
    in on `iif` (None: made here).
    """

    namespace: str
    leg: Leg
    decision: FibResult
    src: str
    dst: str
    iif: Link | None = None
    mark: int = 0

    @property
    def via(self) -> str:
        """The address of the neighbour that the packet goes to: the next hop's, or its own destination."""
        leg = self.decision.leg
        return self.dst if leg is None or leg.via is None else leg.via

    @property
    def query(self) -> RouteQuery:
        """What is asked of routes for its packet, wherever that came in."""
        return RouteQuery(self.src or None, self.dst)

    @property
    def turns_back(self) -> bool:
        """Whether the packet leaves by the interface that it came in on."""
        return self.iif is not None and self.iif.index == self.decision.index

    @property
    def gateway(self) -> str | None:
        """The address of the next hop; None where it leads straight to its destination, or nowhere."""
        return getattr(self.decision.leg, "via", None)


class Resolved(Struct, frozen=True, gc=False):
    """A next hop whose MAC came from the neighbour table of `namespace`."""

    namespace: str
    leg: Leg
    link: Link
    entry: Neighbour


class Gone(Struct, frozen=True, gc=False):
    """A packet that went out of sight behind a device of namespace `name`; out of a tunnel `below` is the
    tunnel's own packet, where that went.
    """

    name: str
    link: Link
    packet: Packet
    below: Gone | None = None


class Trail(Struct):
    """The growing path of one leg. `tracks` is shared by the request and its reply.

    `arrived` is where the request ended, `left` the device behind which it went out of sight.
    """

    ground: Ground
    leg: Leg
    tracks: list[Track] = []
    hops: list[Hop] = []
    routed: list[Routed] = []
    resolved: list[Resolved] = []
    visits: dict[tuple[str, int, str, str], int] = {}
    arrived: tuple[str, Link | None, Packet] | None = None
    left: Gone | None = None

    def add(
        self,
        name: str,
        link: Link | None,
        stage: Stage,
        packet: Packet,
        note: str = "",
        *,
        bound: str | None = None,
        changes: tuple[Change, ...] = (),
        object: Object | None = None,
    ) -> None:
        """Append one hop."""
        here = hop(name, link, stage, packet, note, bound)
        self.hops.append(replace(here, changes=changes, object=object))

    def decided(self, name: str, decision: FibResult, packet: Packet, iif: Link | None = None) -> None:
        """Remember a routing decision."""
        flow = packet.flow
        self.routed.append(Routed(name, self.leg, decision, flow.src, flow.dst, iif, packet.mark))

    def copied(self, ground: Ground) -> Trail:
        """A trail that has come as far, on `ground`; nobody knows there yet where it ends."""
        return Trail(
            ground, self.leg, [*self.tracks], [*self.hops], [*self.routed], [*self.resolved], {**self.visits}
        )

    def drop(self, stop: Stop) -> Finish:
        """The end of this walk at `stop`: a drop, or undetermined where it is not known what happens
        there.
        """
        return Finish(end_of(stop), stop)

    def walked(self, finish: Finish) -> Walk:
        """The finished path, numbered from 1."""
        return Walk(numbered(self.hops), finish.end, finish.stop)

    def again(self, name: str, link: Link, packet: Packet) -> int:
        """How often this packet has come in here by now."""
        key = (name, link.index, packet.flow.src, packet.flow.dst)
        self.visits[key] = self.visits.get(key, 0) + 1
        return self.visits[key]

    def track(self, name: str, connection: ConntrackEntry | None) -> None:
        """Remember what a namespace made of the request."""
        self.tracks.append(Track(name, connection))


def hop(
    namespace: str, link: Link | None, stage: Stage, packet: Packet, note: str = "", bound: str | None = None
) -> Hop:
    """A hop of this packet; it is numbered when the path is complete."""
    interface = link.name if link else None
    return Hop(0, namespace, interface, stage, packet.flow, note=note, bound=bound, suspects=packet.suspects)


def numbered(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """The hops numbered from 1, each with the suspects between its predecessor and itself instead of all so
    far.
    """
    known = [0, *(len(hop.suspects) for hop in hops)]
    return tuple(replace(hop, n=n, suspects=hop.suspects[known[n - 1] :]) for n, hop in enumerate(hops, 1))


def changes(before: Flow, after: Flow, by: str) -> tuple[Change, ...]:
    """What differs between two flows, field by field."""
    names = ("src", "dst", "sport", "dport", "icmp_id")
    return tuple(
        Change(name, str(getattr(before, name)), str(getattr(after, name)), by)
        for name in names if getattr(before, name) != getattr(after, name)
    )  # fmt: skip


__all__ = ["Finish", "Gone", "Resolved", "Routed", "Track", "Trail", "changes", "hop", "numbered"]
