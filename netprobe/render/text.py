"""The report for a terminal: headline, table of hops, the reply's way, and when broken a block that names cause, proof and fix."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Answer, Hop, Leg, Report, Verdict

from . import words
from .blocks import blind, blockers, capture, causes, disagreement, headline, icmp_errors, losses, notes, reply_heading, reply_line
from .headline import colour as colour_of
from .headline import ending, question
from .marks import Mark, broken_leg, hops, marks
from .pen import BOLD, CYAN, DIM, LEAF, RED, YELLOW, Pen, columns
from .terminal import Terminal

SMALLEST_LAST_COLUMN = 26
NARROW = 70

PAINT = {Mark.PASSED: LEAF, Mark.TRANSLATED: CYAN, Mark.LOST: RED, Mark.NOT_REACHED: DIM, Mark.UNKNOWN: YELLOW, Mark.EXPECTED: ""}


def text(report: Report, width: int | None = None, colour: bool = False, ascii: bool = False) -> str:
    """The whole report. `width` in columns, None for no wrapping (piped); lines end with a newline."""
    pen = Pen(Terminal(width, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        losses(report, pen) + icmp_errors(report, pen) + notes(report, pen),
        causes(report, pen),
        blockers(report, pen),
        blind(report, pen),
        capture(report, pen),
    ]
    return joined(parts)


def ping(report: Report, colour: bool = False, ascii: bool = False) -> str:
    """One line at any width: yes or no, and the cause."""
    pen = Pen(Terminal(None, colour, ascii))
    line = f"{pen.plain(question(report))}  {pen.paint(pen.plain(ending(report)), colour_of(report))}"
    if report.causes:
        line += "  " + pen.plain(f"[{report.causes[0].code}] {report.causes[0].summary}")
    elif broken_leg(report):
        line += "  " + pen.plain(report.summary)
    return line + "\n"


def arping(report: Report, width: int | None = None, colour: bool = False, ascii: bool = False) -> str:
    """Who answered, with which MAC, how fast; then the frame's way, and the cause where nobody did."""
    pen = Pen(Terminal(width, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        answers(report, pen),
        losses(report, pen) + icmp_errors(report, pen) + notes(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        causes(report, pen),
        blockers(report, pen),
        blind(report, pen),
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
    rows = [_answer(answer, pen) for answer in report.answers]
    heads = ["#", "ADDRESS", "MAC", pen.glyph("µS", "US"), "SENT"]
    drawn = grid(heads, rows, ("right", "left", "left", "right", "left"))
    narrow = pen.width is not None and max(columns(line) for line in drawn) > pen.width
    shown = [] if narrow else drawn[:1]
    for answer, row, line in zip(report.answers, rows, drawn[1:], strict=True):
        shown += pen.flowed([(cell, "") for cell in row], 2, "   ") if narrow else [line]
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
    fates = marks(report, leg)
    rows = [_row(report, leg, at, fate, pen) for at, fate in enumerate(fates)]
    if not rows:
        return []
    room = None
    if pen.width:
        room = pen.width - sum(2 + max(columns(row[at]) for row in [*rows, _heads(pen)]) for at in range(5))
        if pen.width < NARROW or room < SMALLEST_LAST_COLUMN:
            return _stacked(rows, fates, pen)
    return _table(rows, fates, room, pen)


def _heads(pen: Pen) -> tuple[str, ...]:
    return ("", "#", "WHERE", "STEP", pen.glyph("µS", "US"), "WHAT HAPPENED")


def _row(report: Report, leg: Leg, at: int, fate: Mark, pen: Pen) -> tuple[str, ...]:
    """The six cells of a hop, safe and without colour."""
    path = hops(report, leg)
    hop = path[at]
    step = words.step(hop, path[at - 1] if at else None, path[at + 1] if at + 1 < len(path) else None)
    cells = (str(hop.n), words.where(hop.namespace, hop.interface), step, words.micros(hop.time_ns), fate_of(report, hop, fate))
    return (pen.glyph(*fate.value), *(pen.plain(cell) for cell in cells))


def fate_of(report: Report, hop: Hop, fate: Mark) -> str:
    """The last column: what happened to the packet at this hop."""
    if fate is Mark.NOT_REACHED:
        return "not reached"
    if fate is Mark.UNKNOWN:
        return "not seen here" if hop.observed is False else f"not known; predicted: {words.happened(hop)}"
    if fate is Mark.LOST:
        return _loss(report, hop)
    said = words.happened(hop)
    return said if hop.predicted or "not predicted" in said else f"{said} (not predicted)"


def _loss(report: Report, hop: Hop) -> str:
    if not report.causes:
        return "not seen here" if hop.observed is False else words.happened(hop)
    some = f"{report.sent - report.received} of {report.sent}: " if report.verdict is Verdict.INTERMITTENT else ""
    return some + words.stopped(report.causes[0])


def _table(rows: list[tuple[str, ...]], fates: Sequence[Mark], room: int | None, pen: Pen) -> list[str]:
    cells: list[list[str]] = []
    for (sign, n, where, step, time, what), fate in zip(rows, fates, strict=True):
        colour = "" if fate is Mark.PASSED else PAINT[fate]
        first, *more = pen.wrap(what, room)
        cells.append([pen.paint(sign, PAINT[fate]), n, pen.paint(where, colour), pen.paint(step, colour), time, pen.paint(first, colour)])
        cells += [["", "", "", "", "", pen.paint(line, colour)] for line in more]
    return grid(_heads(pen), cells, ("left", "right", "left", "left", "right", "left"))


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str]) -> list[str]:
    """A table without lines, as docker and kubectl draw them. Cells are taken as text: the container id 1e5 is no number."""
    import tabulate  # 110 ms

    before, tabulate.MIN_PADDING = tabulate.MIN_PADDING, 0  # it pads headers by two; give back what others set
    try:
        drawn = tabulate.tabulate(rows, heads, tablefmt="plain", disable_numparse=True, colalign=align)
    finally:
        tabulate.MIN_PADDING = before
    return [line.rstrip() for line in drawn.splitlines()]


def _stacked(rows: list[tuple[str, ...]], fates: Sequence[Mark], pen: Pen) -> list[str]:
    shown = []
    for (sign, n, where, step, time, what), fate in zip(rows, fates, strict=True):
        colour = "" if fate is Mark.PASSED else PAINT[fate]
        took = f"{time} {pen.glyph('µs', 'us')}" if time else ""
        parts = [(f"{n} {where}", colour), (step, colour), (took, DIM)]
        first, *more = pen.flowed([part for part in parts if part[0]], 2, " " * 6)
        shown += [f"{pen.paint(sign, PAINT[fate])} {first}", *more]
        shown += pen.indented(what, "      ", colour) if what else []
    return shown
