"""The swim lanes in a file of their own: `-o svg`."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Cause, Leg, Report
from netprobe.model.command import lines as command_lines
from netprobe.render import words
from netprobe.render.blocks import placed, reply_heading
from netprobe.render.escape import safe
from netprobe.render.headline import ending, question

from .causes import colour
from .elements import Markup, element, stacked
from .lanes import Lanes
from .lanes_svg import drawing, laid
from .page import WIDE
from .style import PICTURE
from .widths import bold, mono, shortened

_TITLE, _ENDING, _SAID, _TYPED = bold(16), bold(13), bold(11.5), mono(11)
_TOP, _LABEL, _LINE = 62, 62, 20
_FIXES = 4  # lines of a fix


def svg(report: Report) -> str:
    """The file: the question, how it ended, the lanes, the cause and its fix."""
    drawn, y = [], _TOP
    for heading, lanes in _ways(report):
        if heading:
            drawn.append(element("text", heading, class_="label", x=14, y=y + 14))
            y += 24
        drawn.append(element("g", drawing(lanes), transform=f"translate(0 {y})"))
        y += lanes.height + 14
    told = _told(report, y)
    y += _LINE * len(told) + 10
    about = (
        element("title", f"{question(report)}: {ending(report)}"),
        element("style", PICTURE),
        element("rect", class_="ground", width=WIDE, height=y),
    )
    whole = element(
        "svg", stacked(*about, *_head(report), *drawn, *told), Markup("\n"),
        xmlns="http://www.w3.org/2000/svg", width=WIDE, height=y, viewBox=f"0 0 {WIDE} {y}", role="img",
    )  # fmt: skip
    return f"{whole}\n"


def _ways(report: Report) -> Iterator[tuple[str, Lanes]]:
    """The request, and the reply where it goes another way or is lost; each with its heading."""
    back = reply_heading(report)
    for leg, heading in ((Leg.REQUEST, ""), (Leg.REPLY, back)):
        pictures = laid(report, leg, WIDE) if leg is Leg.REQUEST or heading else []
        for n, lanes in enumerate(pictures):
            yield heading if n == 0 else "", lanes


def _head(report: Report) -> list[Markup]:
    asked = f"{question(report)}, {words.protocol(report.probe)}"
    room = WIDE - 28
    ended = f"ending {colour(report)}"
    return [
        element("text", shortened(safe(asked), room, _TITLE), class_="title", x=14, y=26),
        element(
            "text",
            shortened(safe(ending(report)), room, _ENDING),
            class_=ended,
            x=14,
            y=48,
        ),
    ]


def _told(report: Report, y: int) -> list[Markup]:
    """The cause in a line, its object and its fix below."""
    if not report.causes:
        return []
    said = _lines(report.causes[0])
    return [_line(label, text, y + 18 + _LINE * at) for at, (label, text) in enumerate(said)]


def _lines(cause: Cause) -> list[tuple[str, str]]:
    shown = [("cause", f"[{cause.code}] {cause.summary}")]
    if cause.object is not None:
        shown.append(("what", words.thing(cause.object)))
    fixes = command_lines(placed(cause))[:_FIXES]
    return shown + [("" if at else "fix", str(line)) for at, line in enumerate(fixes)]


def _line(label: str, text: str, y: int) -> Markup:
    x = 14 + _LABEL
    return stacked(
        element("text", shortened(label, _LABEL, _SAID), class_="label", x=14, y=y),
        element("text", shortened(safe(text), WIDE - x - 14, _TYPED), class_="typed", x=x, y=y),
    )
