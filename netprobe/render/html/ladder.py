"""The sequence ladder: a column for each place, a row for each step from one to the next, with its time.

Where places are more than there is room for, the ladder goes on in further columns below. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from netprobe.model import Hop, Leg, Report, Stage, Verdict
from netprobe.render import words
from netprobe.render.headline import ending
from netprobe.render.marks import Fate
from netprobe.render.rows import Row, rows

from .cards import MOST, comes_from_outside, is_outside

_TOLD = (Fate.TRANSLATED, Fate.LOST, Fate.UNKNOWN)
_FATES = {
    Verdict.REACHABLE: Fate.PASSED, Verdict.UNREACHABLE: Fate.LOST, Verdict.INTERMITTENT: Fate.UNKNOWN,
    Verdict.UNDETERMINED: Fate.UNKNOWN,
}  # fmt: skip
_TUNNEL = (Stage.ENCAPSULATE, Stage.DECAPSULATE)


Spot = tuple[str, str]
"""A namespace and an interface: a column."""


class Rung(Struct, frozen=True):
    """One row: an arrow from one place to another, or a note at a place, where both are the same."""

    time: str
    start: Spot
    end: Spot
    said: str
    fate: Fate
    inside: bool = False
    full: str = ""

    @property
    def is_note(self) -> bool:
        """Whether nothing goes anywhere."""
        return self.start == self.end


class Section(Struct, frozen=True):
    """Rows that share their columns, which are places."""

    places: tuple[Spot, ...]
    rungs: tuple[Rung, ...]


def rungs(report: Report, coarse: bool = False) -> list[Rung]:
    """What happened, step by step; nothing where nothing was sent. `coarse`: from namespace to namespace,
    whatever the interface.
    """
    hops = (*report.path.request, *report.path.reply)
    if all(hop.time_ns is None for hop in hops):
        return []
    found = [rung for leg in Leg for rung in _Climb(report, leg, coarse).climbed()][:MOST]
    if found and found[-1].fate is not Fate.LOST:
        found.append(Rung("", found[-1].end, found[-1].end, ending(report), _FATES[report.verdict]))
    return found


class _Climb:
    """One direction, row by row."""

    def __init__(self, report: Report, leg: Leg, coarse: bool) -> None:
        self._report, self._leg, self._coarse = report, leg, coarse
        self._at: Row | None = None
        self._steps: list[str] = []
        self._ttl: int | None = None

    def climbed(self) -> Iterator[Rung]:
        """The rungs of the direction, up to where the packet was lost."""
        shown = [row for row in rows(self._report, self._leg) if row.mark is not Fate.NOT_REACHED]
        for row in shown:
            yield from self._row(row)
        if shown and self._leg is Leg.REQUEST and self._left(shown[-1]):
            yield self._arrow(
                self._place(shown[-1].hop), self._far_end(), shown[-1].time, Fate.PASSED, shown[-1]
            )

    def _left(self, last: Row) -> bool:
        gone = is_outside(last.hop, self._report.probe.destination)
        return gone and last.mark in (Fate.PASSED, Fate.TRANSLATED)

    def _far_end(self) -> Spot:
        end = self._report.probe.destination
        return "outside", end.host_name or end.endpoint

    def _row(self, row: Row) -> Iterator[Rung]:
        stays = self._at is not None and not self._moves(row.hop)
        if stays and not _is_told(row):
            self._steps.append(row.step)
            return
        if stays or not row.hop.interface:
            yield self._note(row)
            return
        if self._at is None:
            yield from self._first(row)
        else:
            yield self._arrow(
                self._place(self._at.hop), self._place(row.hop), self._at.time, row.mark, self._at
            )
        if row.mark is Fate.LOST:
            yield self._note(row)
        self._at, self._steps = row, [row.step]

    def _moves(self, hop: Hop) -> bool:
        """Whether the packet is at another place than before."""
        assert self._at is not None
        return hop.interface is not None and self._place(hop) != self._place(self._at.hop)

    def _place(self, hop: Hop) -> Spot:
        return hop.namespace, "" if self._coarse else hop.interface or ""

    def _first(self, row: Row) -> Iterator[Rung]:
        """A reply that comes from outside has come a way before."""
        outside = comes_from_outside(row.hop, self._report.probe.destination)
        if self._leg is Leg.REPLY and outside:
            yield self._arrow(self._far_end(), self._place(row.hop), row.time, row.mark, row)

    def _arrow(self, start: Spot, end: Spot, time: str, fate: Fate, left: Row) -> Rung:
        inside = left.hop.flow.outer is not None
        return Rung(_timed(time), start, end, self._said(left), fate, inside)

    def _said(self, left: Row) -> str:
        """What is done on the way: the question at its start, then the last decisions."""
        first = self._ttl is None
        steps = [_question(self._report, self._leg)] if first else self._steps[1:] or self._steps[:1]
        ttl = left.hop.flow.ttl
        if ttl is not None and ttl != self._ttl:
            steps = [*steps, f"ttl {ttl}"]
        self._ttl = ttl if ttl is not None else 0
        return ", ".join(steps)

    def _note(self, row: Row) -> Rung:
        at = self._place((self._at or row).hop)
        said = f"{row.step}: {row.what}" if row.what else row.step
        return Rung(_timed(row.time), at, at, said, row.mark, full=said)


def _is_told(row: Row) -> bool:
    """Whether a hop that leads nowhere else is worth a row."""
    return row.mark in _TOLD or row.pointed or row.hop.stage in _TUNNEL


def _timed(time: str) -> str:
    return f"{time} µs" if time else ""


def _question(report: Report, leg: Leg) -> str:
    what = words.protocol(report.probe)
    return what if leg is Leg.REQUEST else "the reply"


def sections(found: Sequence[Rung], most: int) -> list[Section]:
    """The rows in groups with so many places at most, each at least a row long."""
    made: list[Section] = []
    places: list[Spot] = []
    mine: list[Rung] = []
    for rung in found:
        more = [place for place in dict.fromkeys((rung.start, rung.end)) if place not in places]
        if mine and len(places) + len(more) > most:
            made.append(Section((*places,), (*mine,)))
            places, mine, more = [], [], list(dict.fromkeys((rung.start, rung.end)))
        places += more
        mine.append(rung)
    return [*made, Section((*places,), (*mine,))] if mine else made
