"""The first line: who asked whom, by what, and how it ended."""

from __future__ import annotations

from netprobe.model import Agreement, Leg, Report, Verdict

from . import words
from .marks import broken_leg, hops, last_seen, lost_at
from .pen import GREEN, RED, YELLOW

REFUSALS = {
    "port-closed": "REFUSED: port closed",
    "listener-wrong-address": "REFUSED: port closed on this address",
}

_BACK: dict[Leg | None, str] = {Leg.REPLY: "reply "}
_LOST = {"rejected-by-rule": "REJECTED"}

_COLOURS = {
    Verdict.REACHABLE: GREEN,
    Verdict.UNREACHABLE: RED,
    Verdict.INTERMITTENT: YELLOW,
    Verdict.UNDETERMINED: YELLOW,
}


def colour(report: Report) -> str:
    """The ending's colour: green only when nothing is odd."""
    odd = report.causes or report.agreement is Agreement.DISAGREE or _stations(report) > 1
    return YELLOW if odd and report.verdict is Verdict.REACHABLE else _COLOURS[report.verdict]


def _stations(report: Report) -> int:
    """How many stations have answered."""
    return len({answer.mac for answer in report.answers})


def question(report: Report) -> str:
    """Who asks whom: "red (10.0.0.2) → 8.8.8.8"."""
    return f"{words.endpoint(report.probe.source)} → {words.endpoint(report.probe.destination)}"


def ending(report: Report) -> str:
    """How it ended, in a few words; capitals where it is not well."""
    return _ending(report) + _interrupted(report)


def _interrupted(report: Report) -> str:
    if report.complete:
        return ""
    if report.sent < report.probe.count:
        return f", interrupted after {report.sent} of {report.probe.count}"
    return ", interrupted before the cause was found"


def _ending(report: Report) -> str:
    if _stations(report) > 1:
        return f"ANSWERED BY {_stations(report)} STATIONS"
    if report.verdict is Verdict.REACHABLE:
        return _answered(report)
    if report.verdict is Verdict.INTERMITTENT:
        return _of_some(report)
    if report.verdict is Verdict.UNDETERMINED:
        return "UNDETERMINED" + _seen_up_to(report)
    return _lost(report)


def _of_some(report: Report) -> str:
    if report.agreement is Agreement.PREDICTED_ONLY:
        return "some would be lost (predicted, nothing sent)"
    return f"INTERMITTENT: {report.received} of {report.sent} answered"


def _answered(report: Report) -> str:
    if report.agreement is Agreement.PREDICTED_ONLY:
        return "should work (predicted, nothing sent)"
    what = report.probe.protocol.answered
    if report.sent > 1:
        return f"{report.received} of {report.sent} answered"
    return f"{what} after {words.duration(report.rtt_ns[0])}" if report.rtt_ns else f"{what} came"


def _seen_up_to(report: Report) -> str:
    leg = broken_leg(report) or Leg.REQUEST
    path = hops(report, leg)
    last = last_seen(path)
    if last < 0:
        return ""
    return f": {_BACK.get(leg, '')}seen up to hop {path[last].n} of {len(path)}"


def _lost(report: Report) -> str:
    if report.agreement is Agreement.PREDICTED_ONLY:
        return f"{_would_be_lost(report)} (predicted, nothing sent)"
    if _never_left(report):
        return f"NEVER LEFT {report.probe.source.endpoint}"
    code = report.causes[0].code if report.causes else ""
    lost = _BACK.get(report.direction, "").upper() + "LOST"
    return REFUSALS.get(code) or f"{_LOST.get(code, lost)}{_at(report)}"


def _would_be_lost(report: Report) -> str:
    if _never_left(report):
        way = "would never leave" if report.command == "why" else "NEVER LEFT"
        return f"{way} {report.probe.source.endpoint}"
    return f"{_BACK.get(report.direction, '')}would be lost{_at(report)}"


def _never_left(report: Report) -> bool:
    """Nothing was seen anywhere, and the hop that stops it lies in the sender's own namespace, before or at
    its first interface.
    """
    if broken_leg(report) is not Leg.REQUEST:
        return False
    path, lost = hops(report, Leg.REQUEST), lost_at(report, Leg.REQUEST)
    own = report.probe.source.namespace
    return lost is not None and last_seen(path) < 0 and all(hop.namespace == own for hop in path[: lost + 1])


def _at(report: Report) -> str:
    leg = broken_leg(report) or Leg.REQUEST
    path, lost = hops(report, leg), lost_at(report, leg)
    where, at = ("after", last_seen(path)) if lost is None else ("at", lost)
    if at < 0:
        return ""
    return f" {where} hop {path[at].n}" + (f" of {len(path)}" if at + 1 < len(path) else "")
