"""How each hop of a path fared: passed, translated, lost there, not reached, not known.

The reading that all renderers share.
"""

from __future__ import annotations

from enum import Enum

from msgspec.structs import replace

from netprobe.model import Agreement, Flow, Hop, Leg, Place, Report, Stage, Verdict

from .words import translations


class Fate(Enum):
    """A hop's fate; the value is the sign and its ASCII stand-in."""

    PASSED = ("✓", "ok")
    TRANSLATED = ("⇄", "~")
    LOST = ("✗", "X")
    NOT_REACHED = ("·", ".")
    UNKNOWN = ("?", "?")
    EXPECTED = ("→", ">")


_ARRIVED = (Stage.DELIVER, Stage.EXIT)


def hops(report: Report, leg: Leg) -> tuple[Hop, ...]:
    """The hops of one direction.

    A path that ends before the place of its root cause gets a hop for that place: there it died.
    """
    path = report.path.request if leg is Leg.REQUEST else report.path.reply
    place = _cause_place(report)
    if (
        report.verdict is not Verdict.UNREACHABLE
        or place is None
        or leg is not broken_leg(report)
        or (path and path[-1].stage is Stage.EXIT)
    ):
        return path
    went = tuple(hop for hop in path if hop.reached)
    if went and went[-1].stage is Stage.NEIGHBOUR:
        return path  # for want of a neighbour it stays here, whatever the reason
    here = (went[-1].namespace if went else _start(report, leg)) == place.namespace
    if (
        not here
        or any(_decides(hop.place, place) for hop in went)
        or any(hop.observed is False for hop in went[last_seen(went) + 1 :])
    ):
        return path
    flow = went[-1].flow if went else _unsent(report)
    died = Hop(0, place.namespace or "?", place.interface, place.stage, flow)
    return tuple(replace(hop, n=n) for n, hop in enumerate((*went, died, *path[len(went) :]), 1))


def _cause_place(report: Report) -> Place | None:
    """Where the root cause stands; None when there is none, or when nobody knows it."""
    return report.causes[0].place if report.causes and report.causes[0].code != "unknown" else None


def _start(report: Report, leg: Leg) -> str | None:
    """The namespace in which a direction begins: a reply begins where the request ended."""
    if leg is Leg.REQUEST:
        return report.probe.source.namespace
    return report.path.request[-1].namespace if report.path.request else None


def _unsent(report: Report) -> Flow:
    probe = report.probe
    return Flow(probe.source.address or "?", probe.destination.address or "?", probe.protocol)


def broken_leg(report: Report) -> Leg | None:
    """The direction in which the probe dies; where nobody says, that of the root cause, else the request's;
    None when it does not die.
    """
    if report.verdict is Verdict.REACHABLE:
        return None
    at = _cause_place(report)
    if report.direction is None and at is not None:
        found = [
            leg
            for leg, path in zip(Leg, (report.path.request, report.path.reply), strict=True)
            if _nearest(path, at) is not None
        ]
        return found[0] if found else Leg.REQUEST
    return report.direction or Leg.REQUEST


def pointed(report: Report) -> tuple[Leg, int] | None:
    """Where the root cause stands when that is not where the probe died: a request that leaves untranslated
    kills the reply.
    """
    broken, place = broken_leg(report), _cause_place(report)
    if broken is None or place is None:
        return None
    for leg in sorted(Leg, key=lambda leg: leg is not broken):
        at = _nearest(hops(report, leg), place)
        if at is not None:
            return None if at == lost_at(report, leg) else (leg, at)
    return None


def last_seen(path: tuple[Hop, ...]) -> int:
    """The index of the last hop at which a sensor saw the packet, -1 for none."""
    return max((at for at, hop in enumerate(path) if hop.observed), default=-1)


def lost_at(report: Report, leg: Leg) -> int | None:
    """The index of the hop at which the probe dies in this direction; None when it does not, or when no
    single hop can be named: never at one at which it was seen, unless the root cause stands there.

    It dies at the root cause's hop, if that lies between the last place seen and the first place where a
    sensor waited in vain (a cause at no hop of the path, such as a route, counts for the first hop of its
    namespace in between); where these two are neighbours there is no other choice. A predicted way that ends
    short of an arrival ends with the hop that stops it.
    """
    path = tuple(hop for hop in hops(report, leg) if hop.reached)
    if leg is not broken_leg(report) or not path or report.verdict is Verdict.UNDETERMINED:
        return None
    if report.verdict is Verdict.INTERMITTENT:
        return _hop_of_cause(report, path, 0, len(path) - 1)
    last, missed = last_seen(path), first_missed(path)
    named = _hop_of_cause(report, path, last, missed)
    if named is not None:
        return named
    waited = missed < len(path) and path[missed].observed is False
    if missed == last:  # it came as far as the way goes
        return None
    if report.agreement is Agreement.PREDICTED_ONLY or (
        _cause_place(report) and not waited and path[-1].stage not in _ARRIVED
    ):
        return len(path) - 1  # the way ends here, by prediction
    return missed if waited and missed == last + 1 else None


def first_missed(path: tuple[Hop, ...]) -> int:
    """The index of the first hop behind the last one seen at which a sensor saw nothing; the last hop's when
    there is none.
    """
    return next(
        (at for at in range(last_seen(path) + 1, len(path)) if path[at].observed is False), len(path) - 1
    )


def _hop_of_cause(report: Report, path: tuple[Hop, ...], seen: int, missed: int) -> int | None:
    place = _cause_place(report)
    if place is None:
        return None
    named = _nearest(path, place, max(seen, 0), missed + 1)
    if named is not None or _nearest(path, place) is not None:
        return named
    return next((at for at in range(seen + 1, missed + 1) if path[at].namespace == place.namespace), None)


def _nearest(path: tuple[Hop, ...], cause: Place, first: int = 0, end: int | None = None) -> int | None:
    """The index of the hop nearest to a cause: the same place, else the same decision, else the same
    interface.
    """
    window = range(first, len(path) if end is None else end)
    return next(
        (at for fits in (_same, _decides, _shows) for at in window if fits(path[at].place, cause)), None
    )


def _same(hop: Place, cause: Place) -> bool:
    return hop == cause


def _decides(hop: Place, cause: Place) -> bool:
    """The same decision, whether or not both name the interface."""
    either = hop.interface is None or cause.interface is None or hop.interface == cause.interface
    return hop.namespace == cause.namespace and hop.stage is cause.stage and either


def _shows(hop: Place, cause: Place) -> bool:
    """The same interface, at whichever stage."""
    return (
        hop.namespace == cause.namespace and cause.interface is not None and hop.interface == cause.interface
    )


def marks(report: Report, leg: Leg) -> tuple[Fate, ...]:
    """The fate of each hop of one direction."""
    path = hops(report, leg)
    went = path[: sum(hop.reached for hop in path)]
    return (*_went(report, leg, went), *[Fate.NOT_REACHED] * (len(path) - len(went)))


def _went(report: Report, leg: Leg, path: tuple[Hop, ...]) -> tuple[Fate, ...]:
    if report.agreement is Agreement.PREDICTED_ONLY:
        return _expected(path, lost_at(report, leg))
    if leg is broken_leg(report) and report.verdict is not Verdict.INTERMITTENT:
        return _died(report, path, lost_at(report, leg))
    lost = lost_at(report, leg)
    return tuple(Fate.LOST if at == lost else _lived(hop) for at, hop in enumerate(path))


def _expected(path: tuple[Hop, ...], lost: int | None) -> tuple[Fate, ...]:
    end = len(path) if lost is None else lost
    fates = [_passed(hop, Fate.EXPECTED) for hop in path[:end]]
    return (*fates, *([] if lost is None else [Fate.LOST]), *[Fate.NOT_REACHED] * (len(path) - end - 1))


def _died(report: Report, path: tuple[Hop, ...], lost: int | None) -> tuple[Fate, ...]:
    """Before the last place seen it passed; from there to the loss nobody knows; behind the loss it was not
    reached.
    """
    last, end = last_seen(path), first_missed(path) if lost is None else lost
    fates = []
    for at, hop in enumerate(path):
        if at == lost:
            fates.append(Fate.LOST)
        elif at <= last or (lost is not None and at < lost):
            fates.append(_lived(hop))
        elif at <= end or report.verdict is Verdict.UNDETERMINED:
            fates.append(Fate.UNKNOWN)
        else:
            fates.append(Fate.NOT_REACHED)
    return tuple(fates)


def _lived(hop: Hop) -> Fate:
    return Fate.UNKNOWN if hop.observed is False else _passed(hop, Fate.PASSED)


def _passed(hop: Hop, otherwise: Fate) -> Fate:
    return Fate.TRANSLATED if translations(hop) else otherwise


def mirrors(report: Report) -> bool:
    """Does the reply take the request's way back? Interfaces are compared, in reverse; places without one
    depend on direction.
    """
    there, back = _interfaces(report.path.request), _interfaces(report.path.reply)
    return bool(there) and there == back[::-1]


def _interfaces(path: tuple[Hop, ...]) -> list[tuple[str, str]]:
    passed = [(hop.namespace, hop.interface) for hop in path if hop.interface and hop.stage is not Stage.EXIT]
    return [at for n, at in enumerate(passed) if n == 0 or passed[n - 1] != at]


def surprises(report: Report) -> tuple[tuple[Leg, Hop], ...]:
    """Where prediction and observation differ: the first hop that was expected and not seen (what follows,
    follows from it), and all hops that were seen and not expected.
    """
    if report.agreement is not Agreement.DISAGREE:
        return ()
    both = [(leg, hop) for leg in Leg for hop in hops(report, leg)]
    missed = next((hop for _, hop in both if hop.predicted and hop.observed is False), None)
    return tuple(
        (leg, hop) for leg, hop in both if hop is missed or (not hop.predicted and hop.observed is not False)
    )
