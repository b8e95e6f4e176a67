"""The report as a page: the answer and its cause, the way as swim lanes, the steps in time, then all of it in
tables.
"""

from __future__ import annotations

from functools import partial

from netprobe.model import Leg, Report
from netprobe.model.command import joined
from netprobe.render import words
from netprobe.render.blocks import (
    answers_said,
    disagreement,
    losses,
    notes,
    outlook,
    reply_heading,
    reply_line,
    since,
)
from netprobe.render.headline import ending, question
from netprobe.render.pen import Pen
from netprobe.render.terminal import Terminal

from .cards import MOST
from .causes import alternatives, blockers, cause_block, colour
from .elements import NOTHING, Markup, element
from .ladder_svg import ladders
from .lanes_svg import legend, pictures
from .page import at_each_width, heading, listed, page, paragraphs, section, typed
from .repeat import again, timings
from .tables import FRAMES, evidence, frames, hop_table, objects

LONG = 48  # hops: beyond that pictures are drawn once, in pieces


def html(report: Report) -> str:
    """The whole page."""
    pen = Pen(Terminal())
    return page(
        f"{question(report)}: {ending(report)}",
        heading(
            report.command, question(report), ending(report), colour(report), words.protocol(report.probe)
        ),
        paragraphs(disagreement(report, pen), "odd"),
        paragraphs([*answers_said(report, pen), *losses(report, pen), *notes(report, pen)]),
        cause_block(report),
        paragraphs([*since(report, pen), *outlook(report, pen)]),
        blockers(report),
        alternatives(report),
        *_pictures(report, pen),
        section("Hops of the request", hop_table(report, Leg.REQUEST)),
        section("Hops of the reply", hop_table(report, Leg.REPLY)),
        section("Evidence", evidence(report)),
        section("Not seen", listed(f"{spot.what}: {spot.why}" for spot in report.blind)),
        section("The configuration that decided", objects(report)),
        section(_frames_heading(report), frames(report)),
        _again(report),
    )


def _pictures(report: Report, pen: Pen) -> tuple[Markup, ...]:
    back = reply_heading(report)
    drawn = [way(report, Leg.REQUEST)]
    if back:
        drawn += [element("h3", back[:1].upper() + back[1:]), way(report, Leg.REPLY)]
    legs = tuple(Leg) if back else (Leg.REQUEST,)
    said = paragraphs([*_undrawn(report), *reply_line(report, pen)])
    return (
        section("The way", *drawn, legend(report, *legs), said),
        section("Step by step", _ladder(report)),
    )


def _undrawn(report: Report) -> list[str]:
    """What the pictures leave out."""
    longest = max(len(report.path.of(leg)) for leg in Leg)
    return [f"Drawn are {MOST} of {longest:,} hops; the table has all."] if longest > MOST else []


def way(report: Report, leg: Leg) -> Markup:
    """The swim lanes of one direction."""
    label = f"The way of the {leg}; the table of hops says the same"
    return at_each_width(partial(pictures, report, leg), label, len(report.path.of(leg)) > LONG)


def _ladder(report: Report) -> Markup:
    coarse = max(len(report.path.of(leg)) for leg in Leg) > LONG
    return at_each_width(partial(ladders, report, coarse), "The steps in time", coarse)


def _frames_heading(report: Report) -> str:
    count = len(report.sightings)
    return "Frames" if count <= FRAMES else f"Frames: the first {FRAMES} of {count}"


def _again(report: Report) -> Markup:
    """How to repeat the run, and to look at this one again."""
    kept = typed([joined(("netprobe", "show", report.capture))]) if report.capture else NOTHING
    return section(
        "To repeat it",
        typed([joined(again(report))]),
        element("p", "This run, with its frames:") if kept else NOTHING,
        kept,
        element("p", timings(report), class_="dim"),
    )
