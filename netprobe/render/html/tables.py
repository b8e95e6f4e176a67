"""The tables of a report: hops, evidence, objects of the configuration, frames."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Cause, Confidence, Evidence, Flow, Leg, Object, Report, Sighting
from netprobe.render import words
from netprobe.render.rows import Row, rows

from .cards import look
from .causes import thing
from .elements import NOTHING, Markup, element
from .page import table

SHORT = 28  # characters of a name that stays on one line
FRAMES = 60  # rows: the capture and the JSON have all frames
_HOPS = ("", "#", "where", "step", "µs", "what happened")


def hop_table(report: Report, leg: Leg) -> Markup:
    """The hops of a direction; below what happened what the packet is like, where that is otherwise than
    before.
    """
    shown, before, said = rows(report, leg), None, []
    for row in shown:
        said.append(_hop(row, before))
        before = row.hop.flow
    return table(_HOPS, said, "hops")


def _hop(row: Row, before: Flow | None) -> Markup:
    packet = "; ".join(each for each in _packet(row.hop.flow, before) if each not in row.what)
    cells = (
        element("td", row.mark.value[0], class_="mark"),
        element("td", str(row.hop.n), class_="n"),
        _place(row.where),
        element("td", row.step, class_="step"),
        element("td", row.time, class_="n time" if row.time else "n"),
        element(
            "td", row.what, element("span", packet, class_="packet") if packet else NOTHING, class_="said"
        ),
    )
    return element("tr", *cells, class_=look(row.mark) + (" pointed" if row.pointed else ""))


def _place(name: str) -> Markup:
    """The cell of a name, which is broken only where it is long."""
    return element("td", name, class_="place short" if len(name) <= SHORT else "place")


def _packet(flow: Flow, before: Flow | None) -> Iterator[str]:
    """What is otherwise in a packet than in the one before; all of it in the first."""
    if before is None or words.flow(flow) != words.flow(before):
        yield words.flow(flow)
    if flow.ttl is not None and (before is None or flow.ttl != before.ttl):
        yield f"ttl {flow.ttl}"
    macs = (flow.src_mac, flow.dst_mac)
    if all(macs) and (before is None or macs != (before.src_mac, before.dst_mac)):
        yield f"{flow.src_mac} → {flow.dst_mac}"


_SURE = {
    Confidence.OBSERVED: "seen", Confidence.CORROBORATED: "seen from two sides",
    Confidence.INFERRED: "concluded", Confidence.UNKNOWN: "not known",
}  # fmt: skip


def evidence(report: Report) -> Markup:
    """What was read and seen, cause by cause."""
    said = [_proof(cause, proof) for cause in report.causes for proof in cause.evidence]
    said += [_cells("", "ICMP", words.icmp_error(error), "seen") for error in dict.fromkeys(report.errors)]
    return table(("for", "source", "what it says", "how sure"), said, "evidence")


def _proof(cause: Cause, proof: Evidence) -> Markup:
    return _cells(cause.code, words.evidence_source(proof.source), proof.text, _SURE[proof.confidence])


def _cells(for_: str, source: str, said: str, sure: str) -> Markup:
    told = (element("td", source, class_="step"), element("td", said, class_="said"))
    return element("tr", _place(for_), *told, element("td", sure, class_="step"))


def objects(report: Report) -> Markup:
    """The objects of the configuration that decided, with the hops at which they did."""
    found: dict[tuple[str, str, str], tuple[Object, list[str]]] = {}
    for where, object_, at in _consulted(report):
        _, places = found.setdefault((where, object_.kind, object_.id), (object_, []))
        places.append(at)
    said = [
        element(
            "tr",
            _place(where),
            element("td", thing(object_), class_="said"),
            element("td", ", ".join(dict.fromkeys(places))),
        )
        for (where, _, _), (object_, places) in found.items()
    ]
    return table(("namespace", "object", "decided at"), said, "objects")


def _consulted(report: Report) -> Iterator[tuple[str, Object, str]]:
    for leg in Leg:
        for hop in report.path.of(leg):
            if hop.object is not None:
                yield hop.namespace, hop.object, f"{leg} hop {hop.n}"
    for what, causes in (("cause", report.causes), ("blocker", report.blockers)):
        for cause in causes:
            if cause.object is not None:
                yield cause.place.namespace or "", cause.object, f"{what} {cause.code}"


def frames(report: Report) -> Markup:
    """The first of the frames that were captured."""
    return table(
        ("#", "µs", "where", "frame"), map(_frame, enumerate(report.sightings[:FRAMES], 1)), "frames"
    )


def _frame(numbered: tuple[int, Sighting]) -> Markup:
    n, seen = numbered
    return element(
        "tr",
        element("td", str(n), class_="n"),
        element("td", words.micros(seen.time_ns), class_="n time"),
        _place(f"{words.where(seen.namespace, seen.interface)} {seen.bound}"),
        element("td", ", ".join(_of_a_frame(seen)), class_="said"),
    )


def _of_a_frame(seen: Sighting) -> Iterator[str]:
    if seen.flow is not None:
        yield f"{seen.flow.protocol.upper()} {words.flow(seen.flow)}"
    if seen.text:
        yield seen.text
    if seen.hop is not None:
        yield f"{seen.leg} hop {seen.hop}" if seen.leg else f"hop {seen.hop}"
