"""The report in full width for people who want everything:

TTL, addresses, MACs, the id of the object at each hop, nothing wrapped.
"""

from __future__ import annotations

from netprobe.model import Flow, Leg, Report

from . import words
from .blocks import capture, conclusions, disagreement, figures, headline
from .pen import BOLD, DIM, Pen
from .rows import Row, rows
from .terminal import Terminal
from .text import answers, grid, joined

_HEADS = ("", "#", "WHERE", "SIDE", "STEP", "µS", "TTL", "FLOW", "MACS", "OBJECT", "WHAT HAPPENED")
_ALIGN = ("left", "right", "left", "left", "left", "right", "right", "left", "left", "left", "left")


def wide(report: Report, colour: bool = False, ascii: bool = False) -> str:
    """The whole report without wrapping, both directions hop by hop, and how long each part of the run
    took.
    """
    pen = Pen(Terminal(None, colour, ascii))
    parts = [
        disagreement(report, pen),
        headline(report, pen),
        answers(report, pen),
        *(_path(report, leg, pen) for leg in Leg),
        figures(report, pen),
        *conclusions(report, pen),
        [*capture(report, pen), pen.paint(pen.plain(_timings(report)), DIM)],
    ]
    return joined(parts)


def _path(report: Report, leg: Leg, pen: Pen) -> list[str]:
    cells = [_cells(row, pen) for row in rows(report, leg)]
    if not cells:
        return []
    return [pen.paint(f"the {leg}:", BOLD), *grid(list(map(pen.plain, _HEADS)), cells, _ALIGN)]


def _cells(row: Row, pen: Pen) -> list[str]:
    hop = row.hop
    ttl = "" if hop.flow.ttl is None else str(hop.flow.ttl)
    thing = words.thing(hop.object) if hop.object else ""
    cells = (
        str(hop.n),
        row.where,
        hop.bound or "",
        row.step,
        row.time,
        ttl,
        words.flow(hop.flow),
        _macs(hop.flow),
        thing,
        row.what,
    )
    return [
        pen.paint(pen.glyph(*row.mark.value), row.sign_colour),
        *(pen.paint(pen.plain(cell), row.colour) for cell in cells),
    ]


def _macs(flow: Flow) -> str:
    source, destination = (mac or "?" for mac in (flow.src_mac, flow.dst_mac))
    return "" if source == destination == "?" else f"{source} → {destination}"


def _timings(report: Report) -> str:
    took = report.timings
    parts = (
        ("snapshot", took.snapshot_ns),
        ("predict", took.predict_ns),
        ("observe", took.observe_ns),
        ("diagnose", took.diagnose_ns),
        ("search", took.search_ns),
    )
    return "took: " + ", ".join(f"{name} {words.duration(ns)}" for name, ns in parts)
