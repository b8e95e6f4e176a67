"""The sequence ladder drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netprobe.model import Report
from netprobe.render.escape import safe
from netprobe.render.marks import Fate

from .cards import look
from .elements import NOTHING, Markup, element, stacked
from .ladder import Rung, Section, Spot, rungs, sections
from .lanes import SIDE
from .widths import abridged, bold, mono, shortened

_TIMES, _MARGIN = 58, 6  # the column of times; beside the picture
_NARROWEST, _WIDEST = 88, 190  # of a column
_ROW, _HEADS = 30, 56
_NAMES, _PLACES, _SAID = bold(12), mono(10.5), bold(11)


class _Grid(Struct, frozen=True):
    """Where a section stands: its height, the middle of each column, how wide one is."""

    height: int
    middles: dict[Spot, int]
    column: int
    width: int


def ladders(report: Report, coarse: bool, width: int) -> list[Markup]:
    """The ladder in pictures so many pixels wide; none where nothing was sent."""
    parts = sections(rungs(report, coarse), max(2, (width - _TIMES - _MARGIN) // _least(width)))
    return [_drawn(part, _grid(part, width)) for part in parts]


def _drawn(part: Section, grid: _Grid) -> Markup:
    height = grid.height + 4
    return element(
        "svg", _section(part, grid), width=grid.width, height=height, viewBox=f"0 0 {grid.width} {height}"
    )


def _least(width: int) -> int:
    return _NARROWEST if width < SIDE else _NARROWEST + 30


def _grid(part: Section, width: int) -> _Grid:
    column = min(_WIDEST, (width - _TIMES - _MARGIN) // len(part.places))
    middles = {place: _TIMES + column * at + column // 2 for at, place in enumerate(part.places)}
    return _Grid(_HEADS + _ROW * len(part.rungs) + 12, middles, column, width)


def _section(part: Section, grid: _Grid) -> Markup:
    lines = "".join(f"M{x} 46V{grid.height}" for x in grid.middles.values())
    drawn = [_rung(rung, _HEADS + _ROW * at, grid) for at, rung in enumerate(part.rungs)]
    return stacked(
        element("path", class_="life", d=lines), *(_head(place, grid) for place in part.places), *drawn
    )


def _head(place: Spot, grid: _Grid) -> Markup:
    """The name of a column: the namespace, below it the interface."""
    x, room = grid.middles[place], grid.column - 8
    above, below = map(safe, place)
    over, under = abridged(above, room - 6, _NAMES), abridged(below, room - 6, _PLACES)
    whole = (over, under) == (above, below)
    return element(
        "g",
        NOTHING if whole else element("title", "/".join(filter(None, place))),
        element("rect", x=x - room // 2, y=2, width=room, height=44, rx=6),
        element("text", over, class_="head", x=x, y=20 if under else 28),
        element("text", under, class_="detail", x=x, y=36) if under else NOTHING,
        class_="place",
    )


def _rung(rung: Rung, y: int, grid: _Grid) -> Markup:
    drawn = _note(rung, y, grid) if rung.is_note else _arrow(rung, y, grid)
    time = element("text", rung.time, class_="time", x=2, y=y + 20) if rung.time else NOTHING
    return stacked(time, *drawn)


def _arrow(rung: Rung, y: int, grid: _Grid) -> Iterator[Markup]:
    start, end = grid.middles[rung.start], grid.middles[rung.end]
    to = 1 if end > start else -1
    class_ = look(rung.fate)
    if rung.inside:
        yield element("path", class_="tunnel", d=f"M{start + 6 * to} {y + 20}H{end - 12 * to}")
    yield element("path", class_=f"way {class_}", d=f"M{start} {y + 20}H{end - 7 * to}")
    yield element("path", class_=f"head {class_}", d=f"M{end - to} {y + 20}l{-8 * to}-4v8z")
    yield _text(rung.said, (start + end) // 2, y + 15, grid, "said")


def _note(rung: Rung, y: int, grid: _Grid) -> Iterator[Markup]:
    """A box at the column, or beside it where the picture ends."""
    sign = "" if rung.fate is Fate.PASSED and not rung.full else f"{rung.fate.value[0]} "
    said = shortened(sign + safe(rung.said), grid.width - _TIMES - _MARGIN - 16, _SAID)
    wide = round(_SAID(said)) + 16
    middle = _within(grid.middles[rung.start], wide, grid)
    yield element(
        "g",
        element("title", rung.said) if said.endswith("…") else NOTHING,
        element("rect", x=middle - wide // 2, y=y + 4, width=wide, height=22, rx=6),
        element("text", said, class_="said", x=middle, y=y + 19),
        class_=f"told {look(rung.fate)}",
    )


def _text(said: str, middle: int, y: int, grid: _Grid, class_: str) -> Markup:
    shown = shortened(safe(said), grid.width - _TIMES - _MARGIN, _SAID)
    middle = _within(middle, round(_SAID(shown)), grid)
    return element("text", shown, class_=class_, x=middle, y=y)


def _within(middle: int, wide: int, grid: _Grid) -> int:
    """The middle of something so wide, moved so that all of it is in the picture."""
    least, most = _TIMES + wide // 2, grid.width - 2 - (wide + 1) // 2
    return max(least, min(middle, most))
