"""The page of a check: all expectations in a table, then what is behind each that does not hold."""

from __future__ import annotations

from netprobe.model import Leg, Report
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.render import words
from netprobe.render.check import SIGNS, total
from netprobe.render.escape import lines
from netprobe.render.marks import broken_leg
from netprobe.render.pen import Pen
from netprobe.render.terminal import Terminal

from .causes import cause_block
from .elements import NOTHING, Markup, element, stacked
from .lanes_svg import legend
from .page import heading, page, paragraphs, section, table
from .report import way

MOST = 40  # expectations that are told in full: the table has all
_LOOKS = {
    Status.HELD: "passed", Status.FAILED: "lost", Status.UNDETERMINED: "unknown", Status.ERROR: "lost",
}  # fmt: skip
_HEADS = ("", "#", "expectation", "what came of it", "it took", "declared")


def html(report: CheckReport) -> str:
    """The whole page."""
    said = total(report, Pen(Terminal()))
    failing = [each for each in report.results if each.status is not Status.HELD]
    rows = (_row(n, each) for n, each in enumerate(report.results, 1))
    return page(
        f"What is declared to hold: {said}",
        heading("check", "What is declared to hold", said, "good" if report.holds else "bad", _asked(report)),
        paragraphs((f"with: {each}" for each in report.changes), "mono"),
        section("Expectations", table(_HEADS, rows, "checks")),
        *(_told(each) for each in failing[:MOST]),
        _rest(len(failing) - MOST),
    )


def _asked(report: CheckReport) -> str:
    """Whom it was asked of, when not of the machine."""
    if report.recording:
        return f"asked of {report.recording}; nothing was sent"
    return "tried on the model; nothing was sent" if report.changes else ""


def _rest(count: int) -> Markup:
    return element("p", f"{count} more do not hold: the table has them.") if count > 0 else NOTHING


def _row(n: int, each: Checked) -> Markup:
    turned = f"the change {each.turned} it" if each.turned else ""
    cells = (
        element("td", SIGNS[each.status][0], class_="mark"),
        element("td", str(n), class_="n"),
        element("td", each.title, class_="place"),
        element("td", "; ".join(filter(None, (str(each.status), turned, each.reason))), class_="said"),
        element("td", words.duration(each.spent_ns) if each.spent_ns else "", class_="n"),
        element("td", f"{each.file}:{each.line}" if each.file else ""),
    )
    return element("tr", *cells, class_=_LOOKS[each.status])


def _told(each: Checked) -> Markup:
    """What is behind one that does not hold: the reason, the cause, and the way on which it was lost."""
    hints = [line for line in lines(each.hint) if line]
    return section(
        each.title,
        element("p", each.reason),
        paragraphs([*hints, *(f"note: {note}" for note in each.notes)]),
        _behind(each.report) if each.report is not None else NOTHING,
    )


def _behind(report: Report) -> Markup:
    leg = broken_leg(report) or Leg.REQUEST
    drawn = way(report, leg)
    return stacked(cause_block(report), drawn, legend(report, leg) if drawn else NOTHING)
