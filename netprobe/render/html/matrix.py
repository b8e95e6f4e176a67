"""The page of a matrix: the figures, the map of all pairs, and those that fail in one block a cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from netprobe.model import Leg, Report
from netprobe.model.matrix import Matrix, PairGroup
from netprobe.model.report import Verdict
from netprobe.render import words
from netprobe.render.escape import safe
from netprobe.render.headline import question
from netprobe.render.heat import SIGNS, TENTHS, MapRow, has_blocks, is_oneself, judged, lines_of, seen
from netprobe.render.marks import broken_leg
from netprobe.render.matrix import figures, listed, remarks, title
from netprobe.render.pen import Pen
from netprobe.render.terminal import Terminal

from .causes import fix
from .elements import NOTHING, Markup, element, stacked, together
from .lanes import SIDE
from .lanes_svg import legend
from .page import NARROW, at_each_width, heading, page, paragraphs, section, typed
from .repeat import all_pairs
from .report import way
from .widths import abridged, mono

_LABELS = mono(12)
_LARGEST = 32  # pixels of a cell
DRAWN = 12  # groups with a picture of their own
MOST = 60  # members that the command line which asks again has room for
_COLOURS = {Verdict.REACHABLE: "good", Verdict.UNREACHABLE: "bad"}


def html(matrix: Matrix) -> str:
    """The whole page."""
    first, *others = figures(matrix)
    return page(
        f"Who reaches whom: {first}",
        heading("matrix", "Who reaches whom", first, _COLOURS.get(matrix.overall, "odd"), "; ".join(others)),
        section("All pairs", at_each_width(partial(_map, matrix), "Which pairs answer"), _legend(matrix)),
        *(_group(matrix, group, n < DRAWN) for n, group in enumerate(matrix.groups)),
        section("To know", paragraphs(remarks(matrix, Pen(Terminal())))),
        section("To repeat it", typed(_again(matrix)), element("p", _took(matrix), class_="dim")),
    )


def _again(matrix: Matrix) -> list[str]:
    return [all_pairs(matrix)] if len(matrix.members) <= MOST else []


def _took(matrix: Matrix) -> str:
    return f"It took {words.duration(matrix.took_ns)}." if matrix.took_ns else ""


def _group(matrix: Matrix, group: PairGroup, is_drawn: bool) -> Markup:
    """One cause: how many pairs, which they are, what mends it, and the way of one of them."""
    cause = group.cause
    known = NOTHING if cause is None else stacked(_thing(group), fix(cause))
    colour = _COLOURS.get(group.verdict, "odd")
    told = element("p", listed(matrix, group.pairs))
    block = element("section", element("h2", title(group)), told, known, class_=f"block {colour}")
    return stacked(block, _way(group.report) if group.report is not None and is_drawn else NOTHING)


def _way(report: Report) -> Markup:
    """Where one pair of a group is lost."""
    leg = broken_leg(report) or Leg.REQUEST
    drawn = way(report, leg)
    if not drawn:
        return NOTHING
    said = f"One of them: the {leg} of {question(report)}"
    return stacked(element("p", said, class_="dim"), drawn, legend(report, leg))


def _thing(group: PairGroup) -> Markup:
    object_ = group.cause.object if group.cause is not None else None
    return element("p", words.thing(object_), class_="dim") if object_ is not None else NOTHING


def _map(matrix: Matrix, width: int) -> list[Markup]:
    """A row and a column for each member, or for several where they are many."""
    least, most = (20, 180) if width >= SIDE else (17, 108)
    lines = lines_of(matrix, (width - most) // least)
    names = [f"{n} {line.label}" for n, line in enumerate(lines, 1)]
    label = min(most, round(max(map(_LABELS, map(safe, names)))) + 12)
    side = min(_LARGEST, max(least, (width - label) // len(lines)))
    height = side * (len(lines) + 1)
    across = label + side * len(lines)
    rows = [_row(matrix, lines, n, side, label) for n in range(len(lines))]
    drawn = stacked(_axis(lines, side, label), *rows)
    size = f"0 0 {across} {height}"
    return [element("svg", drawn, class_="map", width=across, height=height, viewBox=size)]


def _axis(lines: Sequence[MapRow], side: int, label: int) -> Markup:
    """The numbers of the columns."""
    numbers = (
        element("text", str(n + 1), class_="axis sign", x=label + side * n + side // 2, y=side // 2 + 4)
        for n in range(0, len(lines), 1 if len(lines) < 100 else 2)
    )
    return stacked(*numbers)


def _row(matrix: Matrix, lines: Sequence[MapRow], n: int, side: int, label: int) -> Markup:
    row, y = lines[n], side * (n + 1)
    name = safe(f"{n + 1} {row.label}")
    shown = abridged(name, label - 8, _LABELS)
    full = element("title", name) if shown != name else NOTHING
    return stacked(
        element("text", full, shown, class_="row", x=2, y=y + side // 2 + 4),
        *_cells(matrix, lines, n, side, label),
    )


def _cells(matrix: Matrix, lines: Sequence[MapRow], n: int, side: int, label: int) -> list[Markup]:
    """The cells of one row; those of one verdict are one shape and one text."""
    alike: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for at, column in enumerate(lines):
        verdict, sign = _sign(matrix, lines[n], column)
        alike[verdict].append((label + side * at, sign))
    y = side * (n + 1)
    drawn = []
    for verdict, cells in alike.items():
        squares = "".join(f"M{x} {y}h{side}v{side}h-{side}z" for x, _ in cells)
        places = " ".join(str(x + side // 2) for x, _ in cells)
        signs = "".join(sign for _, sign in cells)
        drawn.append(element("path", class_=verdict, d=squares))
        drawn.append(element("text", signs, class_=f"sign {verdict}", x=places, y=y + side // 2 + 4))
    return drawn


def _sign(matrix: Matrix, row: MapRow, column: MapRow) -> tuple[str, str]:
    """The class of a cell and its sign."""
    if is_oneself(row, column):
        return "none", "\\"
    verdict, tenths = judged(matrix, row, column)
    sign = str(tenths) if tenths else SIGNS[verdict][0]
    return str(verdict or "none"), "–" if sign == " " else sign


def _legend(matrix: Matrix) -> Markup:
    """What the signs mean."""
    said = [_key(str(verdict), SIGNS[verdict][0], str(verdict)) for verdict in seen(matrix)]
    if has_blocks(lines_of(matrix, NARROW // 20)):
        said.append(_key("unreachable", "1-9", TENTHS.removeprefix("1-9 ")))
    if matrix.count(None) > len(matrix.members):
        said.append(_key("plain", "–", "not asked"))
    return element("p", "Rows ask columns. ", *said, class_="legend")


def _key(class_: str, sign: str, meaning: str) -> Markup:
    return together(element("span", element("b", sign), " ", meaning, class_=f"key {class_}"), " ")
