"""The cause with its proof and its fix, what else is in the way, and what would do as well."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model import Cause, Object, Report
from netprobe.model import command as commands
from netprobe.model.command import Line, joined
from netprobe.render import words
from netprobe.render.blocks import placed, proof_said, title, why_said, with_code
from netprobe.render.escape import lines
from netprobe.render.headline import colour as ending_colour
from netprobe.render.marks import broken_leg
from netprobe.render.pen import GREEN, RED

from .elements import NOTHING, Markup, element, stacked, together
from .page import defined, paragraphs, typed

_COLOURS = {GREEN: "good", RED: "bad"}


def colour(report: Report) -> str:
    """The class of the ending's colour: green only when nothing is odd."""
    return _COLOURS.get(ending_colour(report), "odd")


def cause_block(report: Report) -> Markup:
    """The root cause in full; where there is none, what is known."""
    if report.causes:
        return _root(report)
    if broken_leg(report) is None:
        return NOTHING
    return element(
        "section", element("h2", title(report)), element("p", report.summary), class_=_block(report)
    )


def _block(report: Report) -> str:
    return f"block {colour(report)}"


def _root(report: Report) -> Markup:
    root, *symptoms = report.causes
    elsewhere = {symptom.summary for symptom in symptoms}
    place = root.place
    said = (
        ("what", thing(root.object, root.summary) if root.object is not None else NOTHING),
        ("where", f"{words.where(place.namespace, place.interface)}, {place.stage}"),
        ("why", paragraphs(why_said(root, elsewhere))),
        ("proof", paragraphs(proof_said(root, report.agreement))),
        ("fix", fix(root)),
        ("changes", paragraphs(map(words.changed, root.changes))),
        ("symptom", paragraphs(map(with_code, symptoms))),
        ("more", element("code", joined(("netprobe", "explain", root.code)))),
    )
    heading = element("h2", f"{title(report)}[{root.code}]: {root.summary}")
    return element("section", heading, defined(said), class_=_block(report))


def thing(object_: Object, said: str = "") -> Markup:
    """An object of the configuration, and what its tool prints where that is more."""
    text = object_.text
    repeated = text == object_.id or text in said
    printed = lines(text) if not repeated else []
    return together(words.thing(object_), _printed(printed))


def _printed(printed: list[str]) -> Markup:
    return element("pre", stacked(*(element("code", line) for line in printed))) if printed else NOTHING


def fix(cause: Cause) -> Markup:
    """The commands, a block each; what is not to be run as it stands is a comment to the shell."""
    shown = commands.lines(placed(cause))
    advice = [element("p", cause.advice)] if cause.advice else []
    return stacked(*map(_typed, shown), *advice) or typed(cause.fix)


def _typed(line: Line) -> Markup:
    remark = together("   ", element("b", f"# {line.remark}")) if line.remark else NOTHING
    return element("pre", element("code", line.typed), remark, class_="typed")


def blockers(report: Report) -> Markup:
    """What else would stop the probe once the first cause is mended."""
    return _further("Also in the way, once that is mended (predicted)", report.blockers)


def alternatives(report: Report) -> Markup:
    """What else would do, and why it comes second."""
    return _further("Or else, each alone (predicted)", report.alternatives)


def _further(heading: str, causes: Iterable[Cause]) -> Markup:
    told = [
        element(
            "div",
            element("p", element("b", f"[{cause.code}]"), f" {cause.summary}"),
            element("p", f"second because {cause.reason}", class_="dim") if cause.reason else NOTHING,
            fix(cause),
            class_="aside",
        )
        for cause in causes
    ]
    return element("section", element("h2", heading), *told) if told else NOTHING
