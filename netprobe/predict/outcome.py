"""One way of a frame: the hops it makes, the interfaces it crosses, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import FdbEntry, Hop, Link, Stage, Stop
from netprobe.model.lookup import but

from .trace import Gone, Trail
from .view import Packet


class Steering(Struct, frozen=True, gc=False):
    """The forwarding entry by which `bridge` of namespace `name` sent a frame out of port `out`."""

    name: str
    bridge: Link
    out: Link
    entry: FdbEntry


class _Way(Struct, frozen=True, gc=False, kw_only=True):
    """What each way of a frame has: the `hops` that it makes, whether it leads through a tunnel, and the last
    static FDB entry that it followed.

    `blamed` is what has to answer for it when nobody takes the frame up: an entry that gave it its MAC on the
    way.

    `order` sorts the ways of a frame as a walk would meet them that follows each to its end before it takes
    the next.
    """

    hops: tuple[Hop, ...] = ()
    tunnelled: bool = False
    steered: Steering | None = None
    order: tuple[int, ...] = ()
    blamed: Stop | None = None

    def behind(self, *hops: Hop) -> Self:
        """This way with `hops` put before it."""
        return replace(self, hops=(*hops, *self.hops))

    def answered_for_by(self, blamed: Stop | None) -> Self:
        """This way, for which `blamed` has to answer, unless something later has."""
        return replace(self, blamed=self.blamed or blamed)

    def steered_by(self, steering: Steering) -> Self:
        """This way behind a forwarding entry; a learned one was right a while ago, and is not remembered."""
        return replace(self, steered=steering) if steering.entry.static else self


class Branch(_Way, frozen=True, gc=False):
    """One way of a frame, with its end: at a stack (`at`), lost (`stop`), or out of sight behind a device
    (`exit`).

    `alone`: where it is lost, the bridge that had no other port for it. `below`: where it went out of sight
    in a tunnel, the tunnel's own packet. `answer`: the MAC that a bridge tells who asks, in nobody's name.
    """

    packet: Packet
    at: tuple[str, Link] | None = None
    stop: Stop | None = None
    exit: tuple[str, Link] | None = None
    alone: tuple[str, Link] | None = None
    below: Gone | None = None
    answer: str | None = None

    @property
    def gone(self) -> Gone:
        """Where it went out of sight; for a branch with an `exit` only."""
        assert self.exit is not None
        return Gone(*self.exit, self.packet, self.below)


class Crossing(_Way, frozen=True, gc=False):
    """A frame at an interface that it is about to cross: out of it, or `inward`."""

    name: str
    link: Link
    packet: Packet
    stage: Stage = Stage.TRANSMIT
    note: str = ""
    inward: bool = False

    @property
    def point(self) -> tuple[str, int, bool]:
        """The interface and the direction, of which a frame crosses each once."""
        return self.name, self.link.index, self.inward

    def onward(self, ways: Sequence[Branch | Crossing]) -> Iterator[Branch | Crossing]:
        """The `ways` that a frame takes behind this crossing, each with what the frame has met so far."""
        for n, way in enumerate(ways):
            yield replace(
                way,
                hops=(*self.hops, *way.hops),
                tunnelled=self.tunnelled or way.tunnelled,
                steered=way.steered or self.steered,
                blamed=way.blamed or self.blamed,
                order=(*self.order, n),
            )


# what comes of a frame at one device: it ends there, or crosses further interfaces
Ways = tuple[Branch | Crossing, ...]


class Readdressed(Struct, frozen=True, gc=False):
    """A frame that got another destination on a bridge; `stop`: it ends there; `blamed` as of a way."""

    packet: Packet
    note: str
    stop: Stop | None = None
    blamed: Stop | None = None


class Carry(Protocol):
    """Who carries frames over the wiring: `walk.Walker`, which everything above a segment gets handed.

    `trail` keeps the connections of namespaces that a frame only crosses on a bridge; without `barred` every
    bridge port is open.
    """

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
        ...

    def receive(
        self, name: str, link: Link, packet: Packet, *, trail: Trail | None = None, barred: bool = True
    ) -> tuple[Branch, ...]:
        """A frame arrives at `link` of namespace `name`; every branch it takes from there."""
        ...

    def returned(self, gone: Gone, answer: Packet, *, trail: Trail | None = None) -> tuple[Branch, ...]:
        """An answer comes in where `gone` went out of sight; every branch it takes from there."""
        ...


def first_arrived(branches: Sequence[Branch]) -> Branch:
    """The branch that a stack takes up, else the first."""
    return next(iter(but(branches, at=None)), branches[0])


def is_group(mac: str | None) -> bool:
    """Whether a MAC address is multicast or broadcast (the low bit of its first byte); not where there is
    none.
    """
    return bool(int(mac[:2], 16) & 1) if mac else False
