"""The live table of a watch: a pure function of its state and of the room there is.

What it says by colour it says by a sign or a word as well. Heights: the head and the cause stay, then the
table, of which the place of the loss is always shown, then the last changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from netprobe.model import Leg, Report
from netprobe.model.live import (
    BeginEvent,
    ChangeEvent,
    EndEvent,
    Event,
    Latency,
    Live,
    LiveChange,
    LiveHop,
    RoundEvent,
    VerdictEvent,
)

from . import words
from .blocks import fix_lines
from .headline import colour as colour_of
from .headline import ending, question
from .marks import Fate
from .pen import BOLD, CYAN, DIM, RED, YELLOW, Pen, columns
from .rows import Row, rows
from .terminal import Terminal
from .text import grid

Clock = Callable[[int], str]
"""A moment, in ns since the epoch, as a clock shows it: 14:02:31.250."""

KEYS = "q quits"
_NUMBERS = ("SENT", "SEEN", "LOSS", "LAST", "AVG", "BEST", "WORST", "STDDEV")
_MOST_FIXES = 2  # lines
_LEAST_CHANGES = 4  # lines, with their heading, that the table does not take
_ROOM_FOR_MOMENT = 40  # columns
_LARGEST = 100_000_000  # ns: from here on a span is said in ms


def live(
    state: Live, clock: Clock, terminal: Terminal, height: int | None = None, keys: str = KEYS
) -> list[str]:
    """The lines of the live table, as many as `height` at most; None for all of them."""
    pen = Pen(terminal)
    if state.report is None:
        return [pen.plain("asking for the first time")]
    head = [*_head(state, state.report, clock, pen), *_cause(state, state.report, pen)]
    table = _table(state, state.report, pen)
    changes = _changes(state, clock, pen)
    foot = _unheard(state, pen)
    foot += pen.flowed([("; ".join(filter(None, ("times in µs since the probe was sent", keys))), "")])
    return _fitted(head, table, changes, [pen.paint(line, DIM) for line in foot], height)


def summary(state: Live, clock: Clock, terminal: Terminal) -> str:
    """The same at the end of a watch, for a page without an end."""
    return "\n".join(live(state, clock, terminal, keys="")) + "\n"


def kept(rounds: int, last: str | None, lost: str | None, terminal: Terminal) -> str:
    """What is saved of so many rounds; "" where that is nothing, or all."""
    if last is None or rounds < 2:
        return ""
    more = f", and the last one that was lost: {lost}" if lost is not None else ""
    lines = Pen(terminal).flowed([(f"kept of {rounds} rounds: the last one{more}", "")])
    return "\n" + "\n".join(lines) + "\n"


# ---- above the table


def _head(state: Live, report: Report, clock: Clock, pen: Pen) -> list[str]:
    """Who asks whom; how it stands, since when; how all rounds went."""
    pace = f"{words.protocol(report.probe)} every {words.duration(state.interval_ns)}"
    asked = pen.flowed([(question(report), BOLD), (pace, "")])
    said, colour = ending(report), colour_of(report)
    if state.trouble:
        said, colour = f"CANNOT LOOK: {state.trouble}", YELLOW
    since = f"since {clock(state.since_ns)[:8]}"
    return [*asked, *pen.flowed([(said, colour), (since, "")]), *pen.flowed(_counts(state))]


def _counts(state: Live) -> list[tuple[str, str]]:
    of = f" of {state.limit}" if state.limit else ""
    lost = words.share_lost(state.answered + state.lost, state.answered)
    counted = [(f"{state.rounds}{of} rounds", ""), (f"{state.answered} answered", "")]
    counted += [(f"{state.lost} lost ({lost} %)", RED if state.lost else "")]
    counted += [(f"{state.undetermined} undetermined", YELLOW)] if state.undetermined else []
    counted += [(f"{state.failed} not asked", YELLOW)] if state.failed else []
    return counted + ([(f"round trip {_trip(state.answer)}", "")] if state.answer.count else [])


def _trip(answer: Latency) -> str:
    spans = (answer.last_ns, answer.average_ns, answer.best_ns, answer.worst_ns, answer.deviation_ns)
    last, average, best, worst, deviation = map(_span, spans)
    return f"{last} µs, average {average}, best {best}, worst {worst}, stddev {deviation}"


def _cause(state: Live, report: Report, pen: Pen) -> list[str]:
    """The root cause of the last round, and the first line that mends it."""
    if not report.causes or state.trouble:
        return []
    cause = report.causes[0]
    said = pen.flowed([(f"error[{cause.code}]: {cause.summary}", RED)])
    plain = Pen(Terminal(None, ascii=pen.terminal.ascii))
    fixes = [_cut(line, pen) for line in fix_lines(cause, plain)[:_MOST_FIXES]]
    return ["", *said, *(pen.paint(line, CYAN) for line in fixes)]


def _cut(line: str, pen: Pen) -> str:
    """A line that is not wrapped, as far as there is room: the report at the end has all of it."""
    if pen.fits([line]):
        return line
    kept = line
    while columns(kept) > (pen.width or 0) - 3:
        kept = kept[:-1]
    return kept + "..."


# ---- the table


class _ShownHop(Struct, frozen=True):
    """One place: as it stands in the last round, and its statistics; either may be missing."""

    row: Row
    counted: LiveHop | None


def _table(state: Live, report: Report, pen: Pen) -> tuple[list[str], int]:
    """The lines of the table, and the number of the one that must be seen."""
    shown: list[str] = []
    focus = 0
    parts = {leg: list(_lines(state, report, leg)) for leg in Leg}
    every = [each for lines in parts.values() for each in lines]
    drawn = iter(_drawn(every, pen))
    shown += next(drawn, [])
    for leg, lines in parts.items():
        shown += [pen.paint(f"{leg}:", BOLD)] if lines and leg is Leg.REPLY else []
        for each in lines:
            focus = len(shown) if each.row.mark is Fate.LOST else focus
            shown += next(drawn)
    return shown, focus


def _lines(state: Live, report: Report, leg: Leg) -> Iterator[_ShownHop]:
    """The places of one direction that have a sensor, the one of the loss, and those that it keeps from being
    reached.
    """
    known = {_place(each): each for each in state.hops if each.leg is leg and each.away == 0}
    for row in rows(report, leg):
        hop = row.hop
        counted = known.pop((hop.namespace, hop.interface, str(hop.stage), hop.bound), None)
        if counted is not None or row.mark is Fate.LOST:
            yield _ShownHop(row, counted)
    for each in known.values():
        yield _ShownHop(Row(each.hop, Fate.NOT_REACHED, words.step(each.hop), ""), each)


def _place(each: LiveHop) -> tuple[str, str | None, str, str | None]:
    return each.hop.namespace, each.hop.interface, str(each.hop.stage), each.hop.bound


def _drawn(lines: Sequence[_ShownHop], pen: Pen) -> list[list[str]]:
    """The heading, then each place on a line; in two where there is no room."""
    cells = [_cells(each, pen) for each in lines]
    for step in (True, False):
        heads = ["", "#", "WHERE", *(["STEP"] if step else [""]), *_NUMBERS]
        found = grid(heads, [_row(each, step) for each in cells], _aligned())
        if pen.fits(found):
            return [
                found[:1],
                *([_painted(text, each.row, pen)] for text, each in zip(found[1:], lines, strict=True)),
            ]
    return [[], *(_stacked(each, line, pen) for each, line in zip(cells, lines, strict=True))]


def _painted(text: str, row: Row, pen: Pen) -> str:
    """A line of the table: the sign in its colour, the rest in that of the row."""
    sign = pen.glyph(*row.mark.value)
    return pen.paint(sign, row.sign_colour) + pen.paint(text[len(sign) :], row.colour)


def _aligned() -> tuple[str, ...]:
    return ("left", "right", "left", "left", *("right" for _ in _NUMBERS))


def _row(cells: Sequence[str], step: bool) -> list[str]:
    mark, n, where, named, bound, *numbers = cells
    return [mark, n, where, named if step else bound, *numbers]


def _cells(line: _ShownHop, pen: Pen) -> list[str]:
    """Mark, number, place, step, side of the interface, and the numbers."""
    row = line.row
    texts = (str(row.hop.n), row.where, row.step, row.hop.bound or "")
    return [pen.glyph(*row.mark.value), *map(pen.plain, texts), *_numbers(line.counted, pen)]


def _numbers(counted: LiveHop | None, pen: Pen) -> list[str]:
    if counted is None:
        return [""] * len(_NUMBERS)
    spans = counted.latency
    times = (spans.last_ns, spans.average_ns, spans.best_ns, spans.worst_ns, spans.deviation_ns)
    lost = f"{words.share_lost(counted.sent, counted.seen)}%"
    said = map(_span, times) if spans.count else [pen.glyph("–", "-")] * len(times)
    return [str(counted.sent), str(counted.seen), lost, *said]


def _span(ns: int) -> str:
    """A span in µs; a long one in ms, with its unit."""
    return words.micros(ns) if ns < _LARGEST else f"{ns // 1_000_000}ms"


def _stacked(cells: Sequence[str], line: _ShownHop, pen: Pen) -> list[str]:
    mark, n, where, step, _, *numbers = cells
    colour = line.row.colour
    first = pen.flowed([(f"{mark} {n} {where}", colour), (step, colour)], 2, "      ")
    if line.counted is None:
        return first
    sent, seen, lost, last, average, best, worst, deviation = numbers
    said = f"{seen} of {sent}, {lost} lost; last {last}, average {average}, best {best},"
    return [*first, *pen.indented(f"{said} worst {worst}, stddev {deviation}", "      ", colour)]


# ---- below the table


def _changes(state: Live, clock: Clock, pen: Pen) -> list[str]:
    """What became otherwise, the last one first."""
    if not state.changes:
        return []
    lines = [pen.paint(f"changed ({state.changed}):", BOLD)]
    for each in reversed(state.changes):
        lines += _change_line(f"{clock(each.at_ns)}  ", change(each), pen)
    return lines


def _change_line(moment: str, said: str, pen: Pen) -> list[str]:
    """A change behind its moment; where that leaves no room, below it."""
    if pen.width is not None and pen.width < _ROOM_FOR_MOMENT:
        return pen.flowed([(moment + said, YELLOW)], lead="  ")
    return pen.indented(said, moment, YELLOW)


def change(each: LiveChange | ChangeEvent) -> str:
    """One change, who made it, and whether the moment is the kernel's word."""
    what = each.what
    passing = f"{words.kind(what.kind)} {what.id} of {what.namespace}: {what.after}, and as before again"
    known = passing if each.passing else words.changed(what)
    by = f" (by {each.by})" if each.by else ""
    return known + by + ("" if each.heard else " (found by comparing)")


def _unheard(state: Live, pen: Pen) -> list[str]:
    """What the kernel could not be asked to tell: the first of it, and how much more there is."""
    if not state.unheard:
        return []
    more = f" (and {len(state.unheard) - 1} more)" if len(state.unheard) > 1 else ""
    return pen.flowed([(f"the kernel does not tell {state.unheard[0]}{more}", "")])


# ---- how it fits


def _fitted(
    head: list[str], table: tuple[list[str], int], changes: list[str], foot: list[str], height: int | None
) -> list[str]:
    """All parts with blank lines between them, in so many lines."""
    rows, focus = table
    if height is None:
        return _joined([head, rows, changes, foot])
    head = head[: max(1, height - len(foot) - 4)]
    left = height - len(head) - len(foot) - 3
    listed = changes[: max(min(len(changes), _LEAST_CHANGES), left - len(rows))]
    shown = _window(rows, focus, max(1, left - len(listed)))
    return _joined([head, shown, listed, foot])[:height]


def _window(rows: list[str], focus: int, room: int) -> list[str]:
    """So many of the rows, with their heading, around the one that must be seen."""
    if len(rows) <= room:
        return rows
    heading, body, room = rows[:1], rows[1:], max(1, room - 2)
    start = max(0, min(focus - 1 - room // 2, len(body) - room))
    return [*heading, *body[start : start + room], f"   {len(body) - room} more lines"][: room + 2]


def _joined(parts: Sequence[list[str]]) -> list[str]:
    lines: list[str] = []
    for part in filter(None, parts):
        lines += ["", *part] if lines else part
    return lines


# ---- line by line, where there is no screen


def told(event: Event, clock: Clock, terminal: Terminal) -> str:
    """An event in a line, for a stream of text; "" for one that says nothing here."""
    pen = Pen(terminal)
    match event:
        case RoundEvent():
            said = _round(event)
        case VerdictEvent():
            said = f"{event.before} -> {event.verdict}: {event.summary}" if event.before else event.summary
        case ChangeEvent():
            said = f"changed: {change(event)}"
        case BeginEvent() | EndEvent():
            return ""
    return pen.plain(f"{clock(event.at_ns)}  {said}") + "\n"


def _round(event: RoundEvent) -> str:
    if event.verdict is None:
        return f"round {event.round}  cannot look: {event.trouble}"
    trip = f" after {words.duration(event.rtt_ns)}" if event.rtt_ns is not None else ""
    code = f" [{event.code}]" if event.code else ""
    return f"round {event.round}  {event.verdict}{trip}{code}"
