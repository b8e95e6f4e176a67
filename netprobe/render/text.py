"""The report for a terminal: headline, table of hops, the reply's way, and when broken a block that names
cause, proof and fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from netprobe.model import Answer, Leg, Report

from . import words
from .blocks import capture, conclusions, disagreement, figures, headline, reply_heading, reply_line
from .headline import colour as colour_of
from .headline import ending, question
from .lazy_tabulate import load as load_tabulate
from .marks import broken_leg
from .pen import BOLD, DIM, YELLOW, Pen, columns, is_narrow
from .rows import Row, rows
from .terminal import Terminal

SMALLEST_LAST_COLUMN = 26
NARROW = 70


def text(report: Report, width: int | None = None, colour: bool = False, ascii: bool = False) -> str:
    """The whole report. `width` in columns, None for no wrapping (piped); lines end with a newline."""
    pen = Pen(Terminal(width, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        figures(report, pen),
        *conclusions(report, pen),
        capture(report, pen),
    ]
    return joined(parts)


def ping(report: Report, colour: bool = False, ascii: bool = False) -> str:
    """One line at any width: yes or no, and the cause."""
    pen = Pen(Terminal(None, colour, ascii))
    line = f"{pen.plain(question(report))}  {pen.paint(pen.plain(ending(report)), colour_of(report))}"
    if len(report.rtt_ns) > 1:
        line += "  " + pen.plain(words.round_trip(report.rtt_ns))
    if report.causes:
        line += "  " + pen.plain(f"[{report.causes[0].code}] {report.causes[0].summary}")
    elif broken_leg(report):
        line += "  " + pen.plain(report.summary)
    if report.since is not None:
        line += "; " + pen.plain(f"it worked at {report.since.at}")
    return line + "\n"


def arping(report: Report, width: int | None = None, colour: bool = False, ascii: bool = False) -> str:
    """Who answered, with which MAC, how fast; then the frame's way, and the cause where nobody did."""
    pen = Pen(Terminal(width, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        answers(report, pen),
        figures(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        *conclusions(report, pen),
        capture(report, pen),
    ]
    return joined(parts)


def joined(parts: Sequence[list[str]]) -> str:
    """The parts that have lines, one blank line between them."""
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def answers(report: Report, pen: Pen) -> list[str]:
    """Each answer on a line, its note under it."""
    if not report.answers:
        return []
    cells = [_answer(answer, pen) for answer in report.answers]
    heads = ["#", "ADDRESS", "MAC", pen.glyph("µS", "US"), "SENT"]
    drawn = grid(heads, cells, ("right", "left", "left", "right", "left"))
    wide = pen.fits(drawn)
    shown = drawn[:1] if wide else []
    for answer, row, line in zip(report.answers, cells, drawn[1:], strict=True):
        shown += [line] if wide else pen.flowed([(cell, "") for cell in row], 2, "   ")
        shown += pen.indented(answer.note, "   ", YELLOW) if answer.note else []
    return shown


def _answer(answer: Answer, pen: Pen) -> list[str]:
    how = "broadcast" if answer.broadcast else "unicast"
    cells = (str(answer.sequence + 1), answer.address, answer.mac, words.micros(answer.time_ns), how)
    return [pen.plain(cell) for cell in cells]


def _reply(report: Report, pen: Pen) -> list[list[str]]:
    if line := reply_line(report, pen):
        return [line]
    heading = reply_heading(report)
    return [[pen.paint(heading + ":", BOLD), "", *_path(report, Leg.REPLY, pen)]] if heading else []


def _path(report: Report, leg: Leg, pen: Pen) -> list[str]:
    """The hops of one direction: a table, or stacked where its last column would be too narrow to read."""
    found = rows(report, leg)
    if not found:
        return []
    cells = [_cells(row, pen) for row in found]
    if pen.width is None:
        return _table(found, cells, None, pen)
    *beside, _ = zip(_heads(pen), *cells, strict=True)
    room = pen.width - sum(2 + max(map(columns, column)) for column in beside)
    narrow = pen.width < NARROW or room < SMALLEST_LAST_COLUMN
    return _stacked(found, cells, pen) if narrow else _table(found, cells, room, pen)


def _heads(pen: Pen) -> list[str]:
    return ["", "#", "WHERE", "STEP", pen.glyph("µS", "US"), "WHAT HAPPENED"]


def _cells(row: Row, pen: Pen) -> list[str]:
    """The six cells of a hop, safe and without colour."""
    return [
        pen.glyph(*row.mark.value),
        *(pen.plain(cell) for cell in (str(row.hop.n), row.where, row.step, row.time, row.what)),
    ]


def _table(found: Sequence[Row], cells: Sequence[list[str]], room: int | None, pen: Pen) -> list[str]:
    lines: list[list[str]] = []
    for row, (sign, n, where, step, time, what) in zip(found, cells, strict=True):
        first, *more = (pen.paint(line, row.colour) for line in pen.wrap(what, room))
        lines.append(
            [
                pen.paint(sign, row.sign_colour),
                n,
                pen.paint(where, row.colour),
                pen.paint(step, row.colour),
                time,
                first,
            ]
        )
        lines += [["", "", "", "", "", line] for line in more]
    return grid(_heads(pen), lines, ("left", "right", "left", "left", "right", "left"))


def _stacked(found: Sequence[Row], cells: Sequence[list[str]], pen: Pen) -> list[str]:
    shown = []
    for row, (sign, n, where, step, time, what) in zip(found, cells, strict=True):
        took = [(f"{time} {pen.glyph('µs', 'us')}", DIM)] if time else []
        beside = pen.narrower(columns(sign) + 1)
        first, *more = beside.flowed([(f"{n} {where}", row.colour), (step, row.colour), *took], 2, " " * 6)
        shown += [f"{pen.paint(sign, row.sign_colour)} {first}", *more]
        shown += pen.indented(what, "      ", row.colour) if what else []
    return shown


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str]) -> list[str]:
    """A table without lines, as docker and kubectl draw them.

    Cells are taken as text: the container id 1e5 is no number.
    """
    tabulate = load_tabulate()
    wide = not is_narrow("".join(chain(heads, *rows)))
    # it pads headers by two; give back what others set
    before = tabulate.MIN_PADDING, tabulate.WIDE_CHARS_MODE
    tabulate.MIN_PADDING, tabulate.WIDE_CHARS_MODE = 0, wide and before[1]
    try:
        drawn = tabulate.tabulate(rows, heads, tablefmt="plain", disable_numparse=True, colalign=align)
    finally:
        tabulate.MIN_PADDING, tabulate.WIDE_CHARS_MODE = before
    return [line.rstrip() for line in drawn.splitlines()]
