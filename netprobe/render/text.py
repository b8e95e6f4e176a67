"""The report for a terminal: headline, table of hops, the reply's way, and when broken a block that names cause, proof and fix."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Answer, Hop, Leg, Report

from . import words
from .blocks import blind, blockers, capture, causes, disagreement, headline, icmp_errors, losses, notes, reply_line
from .headline import COLOURS, ending, question
from .marks import Mark, broken_leg, hops, marks, mirrors
from .pen import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Pen, columns
from .terminal import Terminal

SMALLEST_LAST_COLUMN = 26
NARROW = 70

_PAINT = {Mark.PASSED: GREEN[2:], Mark.TRANSLATED: CYAN, Mark.LOST: RED, Mark.NOT_REACHED: DIM, Mark.UNKNOWN: YELLOW, Mark.EXPECTED: ""}


def text(report: Report, width: int | None = None, colour: bool = False, ascii: bool = False) -> str:
    """The whole report. `width` in columns, None for no wrapping (piped); lines end with a newline."""
    pen = Pen(Terminal(width, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        losses(report, pen) + icmp_errors(report, pen) + notes(report, pen),
        *causes(report, pen),
        blockers(report, pen),
        blind(report, pen),
        capture(report, pen),
    ]
    return joined(parts)


def ping(report: Report, colour: bool = False, ascii: bool = False) -> str:
    """One line at any width: yes or no, and the cause."""
    pen = Pen(Terminal(None, colour, ascii))
    line = f"{pen.plain(question(report))}  {pen.paint(pen.plain(ending(report)), COLOURS[report.verdict])}"
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
        [line for answer in report.answers for line in _answer(answer, pen)],
        losses(report, pen) + icmp_errors(report, pen) + notes(report, pen),
        _path(report, Leg.REQUEST, pen),
        *_reply(report, pen),
        *causes(report, pen),
        blockers(report, pen),
        blind(report, pen),
        capture(report, pen),
    ]
    return joined(parts)


def joined(parts: Sequence[list[str]]) -> str:
    """The parts that have lines, one blank line between them."""
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _answer(answer: Answer, pen: Pen) -> list[str]:
    how = "broadcast" if answer.broadcast else "unicast"
    line = f"{answer.address} is at {answer.mac}   {words.duration(answer.time_ns)}   {how}   #{answer.sequence + 1}"
    shown = [pen.plain(line)]
    return shown + (pen.indented(answer.note, "    ", YELLOW) if answer.note else [])


def _reply(report: Report, pen: Pen) -> list[list[str]]:
    if line := reply_line(report, pen):
        return [line]
    path = _path(report, Leg.REPLY, pen)
    if not path:
        return []
    heading = "the reply" if mirrors(report) or broken_leg(report) is Leg.REPLY else "the reply takes another way"
    return [[pen.paint(heading + ":", BOLD)], path]


def _path(report: Report, leg: Leg, pen: Pen) -> list[str]:
    path, fates = hops(report, leg), marks(report, leg)
    if not path:
        return []
    rows = [_row(path, at, fates[at], pen) for at in range(len(path))]
    fixed = 2 + 2 + sum(2 + max(columns(row[at]) for row in rows) for at in (1, 2, 3, 4))
    room = pen.width - max(fixed, 2 + 2 + 3 + 7 + 6 + 4) if pen.width else None
    if pen.width and room is not None and (pen.width < NARROW or room < SMALLEST_LAST_COLUMN):
        return _stacked(rows, fates, pen)
    return _table(rows, fates, room, pen)


def _row(path: tuple[Hop, ...], at: int, fate: Mark, pen: Pen) -> tuple[str, ...]:
    hop = path[at]
    step = words.step(hop, path[at - 1] if at else None, path[at + 1] if at + 1 < len(path) else None)
    what = "not reached" if fate is Mark.NOT_REACHED else words.happened(hop)
    if fate is Mark.UNKNOWN:
        what = f"not seen here; {what}" if hop.observed is False else f"not known; {what}"
    if not hop.predicted:
        what += " (not predicted)"
    cells = (str(hop.n), words.where(hop.namespace, hop.interface), step, words.micros(hop.time_ns), what)
    return (pen.glyph(*fate.value), *(pen.plain(cell) for cell in cells))


def _table(rows: list[tuple[str, ...]], fates: Sequence[Mark], room: int | None, pen: Pen) -> list[str]:
    import tabulate  # 110 ms

    cells: list[list[str]] = []
    for (sign, n, where, step, time, what), fate in zip(rows, fates, strict=True):
        colour = "" if fate is Mark.PASSED else _PAINT[fate]
        first, *more = pen.wrap(what, room)
        cells.append(
            [pen.paint(sign, _PAINT[fate]), n, *(pen.paint(cell, colour) for cell in (where, step)), time, pen.paint(first, colour)]
        )
        cells += [["", "", "", "", "", pen.paint(line, colour)] for line in more]
    heads = ["", "#", "WHERE", "STEP", pen.glyph("µS", "US"), "WHAT HAPPENED"]
    before, tabulate.MIN_PADDING = tabulate.MIN_PADDING, 0  # it pads headers by two; give back what others set
    try:
        drawn = tabulate.tabulate(
            cells, heads, tablefmt="plain", disable_numparse=True, colalign=("left", "right", "left", "left", "right", "left")
        )
    finally:
        tabulate.MIN_PADDING = before
    return [line.rstrip() for line in drawn.splitlines()]


def _stacked(rows: list[tuple[str, ...]], fates: Sequence[Mark], pen: Pen) -> list[str]:
    shown = []
    for (sign, n, where, step, time, what), fate in zip(rows, fates, strict=True):
        colour = "" if fate is Mark.PASSED else _PAINT[fate]
        took = pen.paint(f"  {time} {pen.glyph('µs', 'us')}", DIM) if time else ""
        shown.append(f"{pen.paint(sign, _PAINT[fate])} {n} {pen.paint(f'{where}  {step}', colour)}{took}")
        shown += pen.indented(what, "      ", colour) if what else []
    return shown
