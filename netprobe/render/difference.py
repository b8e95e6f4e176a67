"""What two runs differ in, as text: the answer first, then the path, then the configuration by namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from msgspec.structs import replace

from netprobe.model import Comparison, Difference, Leg, Report

from . import words
from .headline import colour, ending, question
from .marks import hops as hops_of
from .pen import BOLD, GREEN, RED, YELLOW, Pen
from .terminal import Terminal

_LABEL = 8
_SIGNS = {"+": GREEN, "-": RED, "~": YELLOW}


def difference(before: Report, after: Report, found: Comparison, terminal: Terminal) -> str:
    """The whole comparison; lines end with a newline."""
    pen = Pen(terminal)
    lines = [*_run("before", before, pen), *_run("after", after, pen)]
    if found.same:
        lines += ["", *pen.flowed([("no difference", BOLD)])]
    answer = [each for each in found.answer if each.namespace is None]
    lines += [""] if answer else []
    lines += [line for each in answer for line in pen.indented(_values(each, pen), f"{each.kind:<10}")]
    for kind, hops in groupby(
        (each for each in found.answer if each.namespace is not None), key=lambda each: each.kind
    ):
        lines += _group(f"{kind}s", list(map(_in_our_words, hops)), pen, partial(_place, before, after))
    for namespace, things in groupby(found.configuration or (), key=lambda each: each.namespace):
        lines += _group(
            f"configuration of {namespace}",
            list(things),
            pen,
            lambda each: f"{words.kind(each.kind)} {each.name}".strip(),
        )
    return "\n".join([*lines, *_limits(found, pen)]) + "\n"


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
    beside = Pen(replace(pen.terminal, width=pen.width and max(16, pen.width - _LABEL)))
    shown = beside.flowed(
        [(question(report), ""), (words.protocol(report.probe), ""), (ending(report), colour(report))]
    )
    shown += [beside.plain(report.capture)] if report.capture else []
    return [
        (pen.paint(f"{label:<{_LABEL}}", BOLD) if at == 0 else " " * _LABEL) + line
        for at, line in enumerate(shown)
    ]


def _group(title: str, found: list[Difference], pen: Pen, show: Callable[[Difference], str]) -> list[str]:
    lines = ["", *pen.flowed([(title, BOLD)])]
    for each in found:
        gone = "-" if each.after is None else "~"
        sign = "+" if each.before is None else gone
        said = show(each) + (f": {_values(each, pen)}" if each.before or each.after else "")
        lines += list(_painted(pen.wrap(said, pen.width and max(16, pen.width - 4)), sign, pen))
    return lines


def _painted(rows: list[str], sign: str, pen: Pen) -> Iterator[str]:
    for at, row in enumerate(rows):
        yield (f"  {pen.paint(sign, _SIGNS[sign])} " if at == 0 else "    ") + row


def _values(each: Difference, pen: Pen) -> str:
    if each.namespace is not None and each.before is None:
        return each.after or ""
    if each.namespace is not None and each.after is None:
        return each.before or ""
    return f"{each.before or 'none'} {pen.glyph('→', '->')} {each.after or 'none'}"


def _limits(found: Comparison, pen: Pen) -> list[str]:
    """What could not be compared."""
    said = []
    if found.configuration is None:
        said.append("the configuration is not compared: a report alone holds none; compare two captures")
    if found.once:
        said.append(f"read in one of the two runs only, not compared: {', '.join(found.once)}")
    return ["", *(line for text in said for line in pen.indented(text, "note: "))] if said else []
