"""The rules that a packet has passed: what `--explain-all` shows below a report."""

from __future__ import annotations

from netprobe.model import Leg, Object, PassedRules, Report

from .pen import BOLD, DIM, Pen
from .terminal import Terminal
from .words import thing

_LEGS = {Leg.REQUEST: "on the way there", Leg.REPLY: "on the way back"}


def passed(report: Report, terminal: Terminal) -> str:
    """Each rule that matched, below the hook where it stands, in the order of the walk."""
    pen = Pen(terminal)
    if not report.rules:
        return "\n".join(pen.flowed([("no rule matches on the predicted way", "")])) + "\n"
    lines = pen.flowed([("rules that match on the predicted way", BOLD)])
    lines += [line for hook in report.rules for line in _hook(hook, pen)]
    return "\n".join(lines) + "\n"


def _hook(hook: PassedRules, pen: Pen) -> list[str]:
    head = pen.indented(f"{hook.namespace} {hook.stage}, {_LEGS[hook.leg]}", "  ")
    return [*head, *(line for each in hook.rules for line in _rule(each, pen))]


def _rule(each: Object, pen: Pen) -> list[str]:
    text = pen.indented(each.text, "      ", DIM) if each.text != each.id else []
    return [*pen.indented(thing(each), "    "), *text]
