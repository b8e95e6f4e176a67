"""The report in full width for people who want everything: TTL, addresses, MACs, the id of the object at each hop, nothing wrapped."""

from __future__ import annotations

from netprobe.model import Flow, Leg, Report

from . import words
from .blocks import blind, blockers, capture, causes, disagreement, headline, icmp_errors, losses, notes
from .marks import Mark, hops, marks
from .pen import BOLD, DIM, Pen
from .terminal import Terminal
from .text import PAINT, answers, fate_of, grid, joined

_HEADS = ("", "#", "WHERE", "SIDE", "STEP", "µS", "TTL", "FLOW", "MACS", "OBJECT", "WHAT HAPPENED")
_ALIGN = ("left", "right", "left", "left", "left", "right", "right", "left", "left", "left", "left")


def wide(report: Report, colour: bool = False, ascii: bool = False) -> str:
    """The whole report without wrapping, both directions hop by hop, and how long each part of the run took."""
    pen = Pen(Terminal(None, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        answers(report, pen),
        *(_path(report, leg, pen) for leg in Leg),
        losses(report, pen) + icmp_errors(report, pen) + notes(report, pen),
        causes(report, pen),
        blockers(report, pen),
        blind(report, pen),
        [*capture(report, pen), pen.paint(pen.plain(_timings(report)), DIM)],
    ]
    return joined(parts)


def _path(report: Report, leg: Leg, pen: Pen) -> list[str]:
    fates = marks(report, leg)
    rows = [_row(report, leg, at, fate, pen) for at, fate in enumerate(fates)]
    return [pen.paint(f"the {leg}:", BOLD), *grid([pen.plain(head) for head in _HEADS], rows, _ALIGN)] if rows else []


def _row(report: Report, leg: Leg, at: int, fate: Mark, pen: Pen) -> list[str]:
    path = hops(report, leg)
    hop = path[at]
    cells = (
        str(hop.n), words.where(hop.namespace, hop.interface), hop.bound or "",
        words.step(hop, path[at - 1] if at else None, path[at + 1] if at + 1 < len(path) else None),
        words.micros(hop.time_ns), "" if hop.flow.ttl is None else str(hop.flow.ttl), words.flow(hop.flow), _macs(hop.flow),
        words.thing(hop.object) if hop.object else "", fate_of(report, hop, fate),
    )  # fmt: skip
    colour = "" if fate is Mark.PASSED else PAINT[fate]
    return [pen.paint(pen.glyph(*fate.value), PAINT[fate]), *(pen.paint(pen.plain(cell), colour) for cell in cells)]


def _macs(flow: Flow) -> str:
    return f"{flow.src_mac or '?'} → {flow.dst_mac or '?'}" if flow.src_mac or flow.dst_mac else ""


def _timings(report: Report) -> str:
    took = report.timings
    parts = (("snapshot", took.snapshot_ns), ("predict", took.predict_ns), ("observe", took.observe_ns), ("diagnose", took.diagnose_ns))
    return "took: " + ", ".join(f"{name} {words.duration(ns)}" for name, ns in parts)
