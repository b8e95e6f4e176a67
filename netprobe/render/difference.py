"""What two runs differ in, as text: the answer first, then the path, then the configuration by namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby

from msgspec.structs import replace

from netprobe.model import Comparison, Difference, Leg, Report

from . import words
from .headline import colour, ending, question
from .marks import hops as hops_of
from .pen import BOLD, GREEN, RED, YELLOW, Pen, behind
from .terminal import Terminal

_LABEL = 8
_SIGNS = {"+": GREEN, "-": RED, "~": YELLOW}


def difference(before: Report, after: Report, found: Comparison, terminal: Terminal) -> str:
    """The whole comparison; lines end with a newline."""
    pen = Pen(terminal)
    lines = [*_run("before", before, pen), *_run("after", after, pen)]
    if found.same:
        lines += ["", *pen.flowed([("no difference", BOLD)])]
    lines += _verdict([each for each in found.answer if each.namespace is None], pen)
    at_hops = (each for each in found.answer if each.namespace is not None)
    for kind, hops in groupby(at_hops, key=lambda each: each.kind):
        lines += _group(f"{kind}s", map(_in_our_words, hops), pen, partial(_place, before, after))
    for namespace, things in groupby(found.configuration or (), key=lambda each: each.namespace):
        lines += _group(f"configuration of {namespace}", things, pen, _thing)
    return "\n".join([*lines, *_limits(found, pen)]) + "\n"


def _verdict(answer: list[Difference], pen: Pen) -> list[str]:
    lines = [""] if answer else []
    for each in answer:
        lines += pen.indented(_values(each, pen), f"{each.kind:<10}")
    return lines


def _thing(each: Difference) -> str:
    return f"{words.kind(each.kind)} {each.name}".strip()


def _place(before: Report, after: Report, each: Difference) -> str:
    """Where the hop is and what is done there, as `trace` says it."""
    report = before if each.after is None else after
    leg = Leg.REPLY if each.kind.startswith(Leg.REPLY) else Leg.REQUEST
    return words.step_called(f"{each.namespace} {each.name}", hops_of(report, leg))


def _in_our_words(each: Difference) -> Difference:
    old, new = (None if value is None else words.spelt(value) for value in (each.before, each.after))
    return replace(each, before=old, after=new)


def _run(label: str, report: Report, pen: Pen) -> list[str]:
    """Which run it is: its headline, and the file its capture was written to."""
    beside = Pen(replace(pen.terminal, width=pen.room(_LABEL)))
    shown = beside.flowed(
        [(question(report), ""), (words.protocol(report.probe), ""), (ending(report), colour(report))]
    )
    shown += [beside.plain(report.capture)] if report.capture else []
    return behind(pen.paint(f"{label:<{_LABEL}}", BOLD), " " * _LABEL, shown)


def _group(title: str, found: Iterable[Difference], pen: Pen, show: Callable[[Difference], str]) -> list[str]:
    lines = ["", *pen.flowed([(title, BOLD)])]
    for each in found:
        sign = _sign(each)
        values = [_values(each, pen)] if each.before or each.after else []
        said = ": ".join((show(each), *values))
        lines += behind(f"  {pen.paint(sign, _SIGNS[sign])} ", " " * 4, pen.wrap(said, pen.room(4)))
    return lines


def _sign(each: Difference) -> str:
    if each.before is None:
        return "+"
    return "-" if each.after is None else "~"


def _values(each: Difference, pen: Pen) -> str:
    values = (each.before, each.after)
    if each.namespace is not None and None in values:  # it is new, or gone
        return "".join(filter(None, values))
    before, after = (value or "none" for value in values)
    return f"{before} {pen.glyph('→', '->')} {after}"


def _limits(found: Comparison, pen: Pen) -> list[str]:
    """What could not be compared."""
    said = []
    if found.configuration is None:
        said.append("the configuration is not compared: a report alone holds none; compare two captures")
    if found.once:
        said.append(f"read in one of the two runs only, not compared: {', '.join(found.once)}")
    return ["", *pen.listed(said, "note: ")] if said else []
