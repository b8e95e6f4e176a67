"""What became of expectations, for people: a line each, and what is behind those that do not hold."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model.check import Checked, CheckReport, Status

from .markdown import code
from .pen import BOLD, DIM, GREEN, LEAF, RED, YELLOW, Pen
from .terminal import Terminal

SIGNS = {Status.HELD: ("✓", "ok"), Status.FAILED: ("✗", "FAIL"), Status.UNDETERMINED: ("?", "?"),
          Status.ERROR: ("!", "ERROR")}  # fmt: skip
_COLOURS = {Status.HELD: LEAF, Status.FAILED: RED, Status.UNDETERMINED: YELLOW, Status.ERROR: RED}
_WORDS = {Status.HELD: "hold", Status.FAILED: "fail", Status.UNDETERMINED: "are undetermined",
          Status.ERROR: "could not be asked"}  # fmt: skip


def check(report: CheckReport, terminal: Terminal, quiet: bool = False) -> str:
    """All expectations, and the count at the end; `quiet` is the last line alone."""
    pen = Pen(terminal)
    told = [] if quiet else [line for each in report.results for line in _lines(each, pen)]
    changes = [] if quiet else [pen.paint(pen.plain(f"with: {each}"), BOLD) for each in report.changes]
    blank = [""] if told else []
    return "\n".join((*changes, *told, *blank, total(report, pen))) + "\n"


def _lines(each: Checked, pen: Pen) -> Iterator[str]:
    sign = pen.glyph(*SIGNS[each.status])
    yield from pen.indented(each.title, f"{sign} ", _COLOURS[each.status])
    if each.turned:
        yield from pen.indented(f"the change {each.turned} it", "    ", BOLD)
    if each.status is Status.HELD and not each.notes and each.wanted != "blocked":
        return
    yield from pen.indented(each.reason, "    ")
    yield from pen.listed(each.notes, "    note: ")
    if each.status is Status.HELD:
        return
    yield from pen.listed(each.hint.splitlines(), "    ")
    yield from _behind(each, pen)
    yield pen.paint(pen.plain(f"    {each.file}:{each.line}"), DIM)


def _behind(each: Checked, pen: Pen) -> Iterator[str]:
    """The cause of what does not hold, and its fix."""
    cause = each.cause
    if cause is None:
        return
    said = dict(blame(each))
    yield from pen.indented(": ".join(filter(None, (said["cause"], said["object"]))), "    cause: ")
    for line in cause.fix:  # whole: it is there to be copied
        yield pen.paint("    fix: ", BOLD) + pen.plain(line)


def blame(each: Checked) -> tuple[tuple[str, str], ...]:
    """The cause behind it, its object and its fix, as programs read them; nothing where there is none."""
    cause = each.cause
    if cause is None:
        return ()
    thing = cause.object.id if cause.object is not None else ""
    return ("cause", cause.code), ("object", thing), ("fix", "; ".join(cause.fix))


def total(report: CheckReport, pen: Pen) -> str:
    """How many hold: the last line."""
    counts = [(status, report.count(status)) for status in Status]
    said = ", ".join(f"{number} {_WORDS[status]}" for status, number in counts if number)
    turned = [each.turned for each in report.results]
    changes = [f"the changes break {turned.count('breaks')} and mend {turned.count('mends')}"]
    cut = [f"INTERRUPTED: {len(report.results)} of {report.expected} were asked"]
    parts = [
        said or "nothing was asked",
        *(changes if report.changes else []),
        *([] if report.complete else cut),
    ]
    colour = GREEN if report.holds else RED
    return "\n".join(pen.flowed([("; ".join(parts), colour)]))


def markdown(report: CheckReport) -> str:
    """A table for the summary page of a run in CI, those that do not hold first."""
    rows = sorted(report.results, key=lambda each: each.status is Status.HELD)
    table = [f"| {each.status} | {_cell(each.title)} | {_cell(_why(each))} |" for each in rows]
    changes = [f"With {code(each)}." for each in report.changes]
    head = (f"### {total(report, Pen(Terminal()))}", "", *changes, *([""] if changes else []))
    return "\n".join((*head, "| | expectation | why |", "|---|---|---|", *table)) + "\n"


def _why(each: Checked) -> str:
    """The reason and the first line of what mends it."""
    fix = dict(blame(each)).get("fix", "") if each.status is Status.FAILED else ""
    turned = f"the change {each.turned} it" if each.turned else ""
    return "; ".join(filter(None, (turned, each.reason, *each.notes, fix)))


def _cell(text: str) -> str:
    """A code span in a table: a bar would end the cell even there."""
    return code(text).replace("|", r"\|")
