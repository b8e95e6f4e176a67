"""The heat map of a matrix: a sign for each pair, or where members are many for each block of pairs.

A sign says all; colours only help to find it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from netprobe.model.matrix import Matrix
from netprobe.model.report import Verdict

from .pen import DIM, GREEN, RED, YELLOW, Pen, clipped, columns

LABEL = 18  # columns of a row's name at most
WIDEST = 96  # columns where nothing says how many there are

SIGNS = {
    Verdict.REACHABLE: ("·", "."), Verdict.UNREACHABLE: ("X", "X"), Verdict.INTERMITTENT: ("~", "~"),
    Verdict.UNDETERMINED: ("?", "?"), None: (" ", " "),
}  # fmt: skip
COLOURS = {
    Verdict.REACHABLE: GREEN, Verdict.UNREACHABLE: RED, Verdict.INTERMITTENT: YELLOW,
    Verdict.UNDETERMINED: YELLOW, None: DIM,
}  # fmt: skip


class MapRow(Struct, frozen=True):
    """Members that stand in one row: how they are called together, and their places."""

    label: str
    members: tuple[int, ...]


def heat(matrix: Matrix, pen: Pen) -> list[str]:
    """The rows of the map, with a head that numbers the columns, and what the signs mean."""
    lines = lines_of(matrix, max(4, (pen.width or WIDEST) - LABEL - 5))
    labels = [clipped(pen.plain(line.label), LABEL) for line in lines]
    wide, digits = max(map(columns, labels)), len(str(len(lines)))
    rows = [pen.paint(" " * (digits + wide + 2) + numbers, DIM) for numbers in _numbers(len(lines))]
    for n, (line, label) in enumerate(zip(lines, labels, strict=True), 1):
        cells = "".join(_cell(matrix, line, other, pen) for other in lines)
        rows.append(f"{n:>{digits}} {label}{' ' * (wide - columns(label))} {cells}")
    return [*rows, *_legend(matrix, lines, pen)]


def _numbers(count: int) -> list[str]:
    """The numbers of the columns, read downwards."""
    written = [str(n).rjust(len(str(count))) for n in range(1, count + 1)]
    return ["".join(place) for place in zip(*written, strict=True)]


def lines_of(matrix: Matrix, room: int) -> list[MapRow]:
    """One member a row where there is room for all; else as many as it takes, those of one group together."""
    found, size = list(_divided(matrix, 1)), 1
    while len(found) > room and size < len(matrix.members):
        size += 1
        found = list(_divided(matrix, size))
    return found


def _divided(matrix: Matrix, size: int) -> Iterator[MapRow]:
    for name, places in groupby(range(len(matrix.members)), lambda n: matrix.members[n].group):
        members = tuple(places)
        for start in range(0, len(members), size):
            some = members[start : start + size]
            whole = name and 1 < len(members) <= size
            ends = (matrix.members[some[0]].endpoint, matrix.members[some[-1]].endpoint)
            yield MapRow(name if whole else "…".join(dict.fromkeys(ends)), some)


def _cell(matrix: Matrix, row: MapRow, column: MapRow, pen: Pen) -> str:
    """How the pairs of two rows do: all alike a sign, else how many tenths of them fail."""
    if is_oneself(row, column):
        return pen.paint("\\", DIM)
    worst, tenths = judged(matrix, row, column)
    return pen.paint(str(tenths) if tenths else pen.glyph(*SIGNS[worst]), COLOURS[worst])


def is_oneself(row: MapRow, column: MapRow) -> bool:
    """Whether it is one member and itself, which is never asked."""
    return row.members == column.members and len(row.members) == 1


def judged(matrix: Matrix, row: MapRow, column: MapRow) -> tuple[Verdict | None, int]:
    """The worst that is known of the pairs of two rows, and how many tenths of them fail: 0 where all are
    alike.
    """
    found = Counter(matrix.verdict(i, j) for i in row.members for j in column.members)
    del found[None]
    ranked = found.most_common()
    failing = [each for each in ranked if each[0] is not Verdict.REACHABLE]
    worst = next(iter([*failing, *ranked, (None, 0)]))[0]
    tenths = 10 * sum(count for _, count in failing) // max(1, found.total())
    is_mixed = found[Verdict.REACHABLE] > 0 and bool(failing)
    return worst, min(9, max(1, tenths)) if is_mixed else 0


def _legend(matrix: Matrix, lines: Sequence[MapRow], pen: Pen) -> list[str]:
    said = [f"{pen.glyph(*SIGNS[verdict])} {verdict}" for verdict in seen(matrix)]
    if has_blocks(lines):
        said.append(TENTHS)
    return pen.wrap("rows ask columns: " + "   ".join(said), pen.width)


TENTHS = "1-9 tenths of the pairs fail"


def seen(matrix: Matrix) -> list[Verdict]:
    """The verdicts that pairs have."""
    return [verdict for verdict in Verdict if matrix.count(verdict)]


def has_blocks(lines: Sequence[MapRow]) -> bool:
    """Whether several members stand in one row."""
    return any(len(line.members) > 1 for line in lines)
