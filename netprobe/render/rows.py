"""The rows of a path's table, the same for every renderer: mark, number, where, step, time, what happened."""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import Hop, Leg, Report, Verdict

from . import words
from .marks import Fate, hops, known_cause, marks, pointed
from .pen import CYAN, DIM, LEAF, RED, YELLOW

_COLOURS = {
    Fate.PASSED: LEAF, Fate.TRANSLATED: CYAN, Fate.LOST: RED, Fate.NOT_REACHED: DIM, Fate.UNKNOWN: YELLOW,
    Fate.EXPECTED: "",
}  # fmt: skip


class Row(Struct, frozen=True):
    """One hop as it is shown.

    Its texts are not escaped yet. `pointed`: the root cause stands here, the packet died elsewhere.
    """

    hop: Hop
    mark: Fate
    step: str
    what: str
    pointed: bool = False

    @property
    def where(self) -> str:
        """Namespace and interface."""
        return words.where(self.hop.namespace, self.hop.interface)

    @property
    def time(self) -> str:
        """µs since the send, empty when not known."""
        return words.micros(self.hop.time_ns)

    @property
    def sign_colour(self) -> str:
        """The colour of the sign."""
        return _COLOURS[self.mark]

    @property
    def colour(self) -> str:
        """The colour of the row: none where all is well."""
        if self.pointed:
            return YELLOW
        return "" if self.mark is Fate.PASSED else _COLOURS[self.mark]


def rows(report: Report, leg: Leg) -> list[Row]:
    """The rows of one direction."""
    path, place = hops(report, leg), pointed(report)
    steps = map(words.step, path, (None, *path), (*path[1:], None))
    given = enumerate(zip(path, marks(report, leg), steps, strict=True))
    return [_row(report, hop, mark, step, place, place == (leg, at)) for at, (hop, mark, step) in given]


def _row(report: Report, hop: Hop, mark: Fate, step: str, place: tuple[Leg, int] | None, here: bool) -> Row:
    pointer = f"[{report.causes[0].code}] " if here else ""
    return Row(hop, mark, step, pointer + _what(report, hop, mark, place), here)


def _what(report: Report, hop: Hop, mark: Fate, place: tuple[Leg, int] | None) -> str:
    if mark is Fate.NOT_REACHED:
        return "not reached"
    if mark is Fate.UNKNOWN:
        return _unless_missed(hop, f"not known; predicted: {words.happened(hop)}")
    if mark is Fate.LOST:
        return _loss(report, hop, place)
    said = words.happened(hop)
    return said if hop.predicted or "not predicted" in said else f"{said} (not predicted)"


def _loss(report: Report, hop: Hop, place: tuple[Leg, int] | None) -> str:
    if hop.ends:
        return hop.note
    cause = known_cause(report)
    if cause is None or place is not None:
        return _unless_missed(hop, words.happened(hop))
    if report.verdict is not Verdict.INTERMITTENT:
        return words.stopped(cause)
    some = f"{report.sent - report.received} of {report.sent}" if report.sent else "some"
    return f"{some}: {words.stopped(cause)}"


def _unless_missed(hop: Hop, said: str) -> str:
    return "not seen here" if hop.observed is False else said
