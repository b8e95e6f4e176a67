"""How each hop of a path fared: passed, translated, lost there, not reached, not known. The reading that all renderers share."""

from __future__ import annotations

from enum import Enum

from netprobe.model import Agreement, Hop, Leg, Place, Report, Stage, Verdict

from .words import translations


class Mark(Enum):
    """A hop's fate; the value is the sign and its ASCII stand-in."""

    PASSED = ("✓", "ok")
    TRANSLATED = ("⇄", "~")
    LOST = ("✗", "X")
    NOT_REACHED = ("·", ".")
    UNKNOWN = ("?", "?")
    EXPECTED = ("→", ">")


def hops(report: Report, leg: Leg) -> tuple[Hop, ...]:
    """The hops of one direction."""
    return report.path.request if leg is Leg.REQUEST else report.path.reply


def broken_leg(report: Report) -> Leg | None:
    """The direction in which the probe dies; the request's when nobody knows better; None when it does not die."""
    if report.verdict is Verdict.REACHABLE:
        return None
    return report.direction or Leg.REQUEST


def last_seen(path: tuple[Hop, ...]) -> int:
    """The index of the last hop at which a sensor saw the packet, -1 for none."""
    return max((at for at, hop in enumerate(path) if hop.observed), default=-1)


def lost_at(report: Report, leg: Leg) -> int | None:
    """The index of the hop at which the probe dies in this direction; None when it does not, or when no hop can be named.

    The hop is the one of the root cause, if that lies between the last place seen and the first place where a sensor waited in
    vain (that one included); otherwise the one after the last place seen. A prediction alone ends with the hop that stops it.
    """
    path = hops(report, leg)
    if leg is not broken_leg(report) or not path or report.verdict is Verdict.UNDETERMINED:
        return None
    if report.verdict is Verdict.INTERMITTENT:
        return _place_of_cause(report, path, 0, len(path) - 1)
    last = last_seen(path)
    missed = next((at for at in range(last + 1, len(path)) if path[at].observed is False), len(path) - 1)
    named = _place_of_cause(report, path, max(last, 0), missed)
    if named is not None:
        return named
    if report.agreement is Agreement.PREDICTED_ONLY:
        return len(path) - 1
    return last + 1 if last + 1 < len(path) else None


def _place_of_cause(report: Report, path: tuple[Hop, ...], first: int, last: int) -> int | None:
    if not report.causes:
        return None
    place = report.causes[0].place
    fits = [(score, -at) for at in range(first, last + 1) if (score := _likeness(path[at].place, place))]
    return -max(fits)[1] if fits else None


def _likeness(hop: Place, cause: Place) -> int:
    """How well a hop's place fits a cause's: 3 wholly, 2 by interface, 1 by stage, 0 not at all."""
    if hop.namespace != cause.namespace:
        return 0
    if hop == cause:
        return 3
    if cause.interface is not None and hop.interface == cause.interface:
        return 2
    return int(hop.stage is cause.stage)


def marks(report: Report, leg: Leg) -> tuple[Mark, ...]:
    """The fate of each hop of one direction."""
    path, lost = hops(report, leg), lost_at(report, leg)
    return tuple(_mark(report, leg, path, at, lost) for at in range(len(path)))


def _mark(report: Report, leg: Leg, path: tuple[Hop, ...], at: int, lost: int | None) -> Mark:
    hop = path[at]
    if at == lost:
        return Mark.LOST
    if report.agreement is Agreement.PREDICTED_ONLY:
        return Mark.NOT_REACHED if lost is not None and at > lost else _passed(hop, Mark.EXPECTED)
    if not hop.observed:
        if report.verdict is Verdict.UNREACHABLE and lost is not None and at > lost:
            return Mark.NOT_REACHED
        if hop.observed is False or (_died(report, leg) and at > last_seen(path) and (lost is None or at > lost)):
            return Mark.UNKNOWN
    return _passed(hop, Mark.PASSED)


def _died(report: Report, leg: Leg) -> bool:
    return leg is broken_leg(report) and report.verdict is not Verdict.INTERMITTENT


def _passed(hop: Hop, otherwise: Mark) -> Mark:
    return Mark.TRANSLATED if translations(hop) else otherwise


def mirrors(report: Report) -> bool:
    """Does the reply take the request's way back? Interfaces are compared, in reverse; places without one depend on direction."""
    there, back = _interfaces(report.path.request), _interfaces(report.path.reply)
    return bool(there) and there == back[::-1]


def _interfaces(path: tuple[Hop, ...]) -> list[tuple[str, str]]:
    passed = [(hop.namespace, hop.interface) for hop in path if hop.interface and hop.stage is not Stage.EXIT]
    return [at for n, at in enumerate(passed) if n == 0 or passed[n - 1] != at]


def surprises(report: Report) -> tuple[tuple[Leg, Hop], ...]:
    """The hops at which prediction and observation differ: expected and not seen, or seen and not expected."""
    if report.agreement is not Agreement.DISAGREE:
        return ()
    found = [
        (leg, hop) for leg in Leg for hop in hops(report, leg) if (hop.observed is False) == hop.predicted and hop.observed is not None
    ]
    return tuple(found)
