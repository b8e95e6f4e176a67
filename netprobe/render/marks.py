"""How each hop of a path fared: passed, translated, lost there, not reached, not known.

The reading that all renderers share.
"""

from __future__ import annotations

from enum import Enum
from itertools import groupby
from operator import eq

from msgspec.structs import replace

from netprobe.model import Agreement, Cause, Flow, Hop, Leg, Place, Report, Stage, Verdict

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
_Path = tuple[Hop, ...]


def hops(report: Report, leg: Leg) -> _Path:
    """The hops of one direction.

    A path that ends before the place of its root cause gets a hop for that place: there it died.
    """
    path = report.path.of(leg)
    place = _cause_place(report)
    if place is None or not _lost_on(report, leg):
        return path
    went = _reached(path)
    if not _died_behind(went, _start(report, leg), place):
        return path
    flow = went[-1].flow if went else _unsent(report)
    died = Hop(0, place.namespace or "?", place.interface, place.stage, flow)
    return tuple(replace(hop, n=n) for n, hop in enumerate((*went, died, *path[len(went) :]), 1))


def _lost_on(report: Report, leg: Leg) -> bool:
    """Whether the probe is lost in this direction, and not out of sight."""
    path = report.path.of(leg)
    left = path[-1:] and path[-1].stage is Stage.EXIT
    return report.verdict is Verdict.UNREACHABLE and leg is broken_leg(report) and not left


def _died_behind(went: _Path, start: str | None, place: Place) -> bool:
    """Whether the probe died at the place of the cause, where no hop stands for it: behind the last hop
    reached, in the same namespace.
    """
    if any(hop.stage is Stage.NEIGHBOUR for hop in went[-1:]):
        return False  # for want of a neighbour it stays here, whatever the reason
    last = went[-1].namespace if went else start
    if last != place.namespace or is_missed(went[last_seen(went) + 1 :]):
        return False
    return not any(_decides(hop.place, place) for hop in went)


def _reached(path: _Path) -> _Path:
    return tuple(hop for hop in path if hop.reached)


def is_missed(path: _Path) -> bool:
    """Whether a sensor waited in vain at one of these hops."""
    return any(hop.observed is False for hop in path)


def known_cause(report: Report) -> Cause | None:
    """The root cause; None when there is none, or when nobody knows it."""
    return next((cause for cause in report.causes[:1] if cause.code != "unknown"), None)


def _cause_place(report: Report) -> Place | None:
    cause = known_cause(report)
    return None if cause is None else cause.place


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
    return report.direction or _leg_of_cause(report) or Leg.REQUEST


def _leg_of_cause(report: Report) -> Leg | None:
    place = _cause_place(report)
    if place is None:
        return None
    return next((leg for leg in Leg if _nearest(report.path.of(leg), place) is not None), None)


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


def last_seen(path: _Path) -> int:
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
    path = _reached(hops(report, leg)) if leg is broken_leg(report) else ()
    if not path or report.verdict is Verdict.UNDETERMINED:
        return None
    if report.verdict is Verdict.INTERMITTENT:
        return _hop_of_cause(report, path, 0, len(path) - 1)
    return _end_of(report, path)


def _end_of(report: Report, path: _Path) -> int | None:
    """The hop at which a probe that never arrives dies; as in `lost_at`."""
    last, missed = last_seen(path), first_missed(path)
    named = _hop_of_cause(report, path, last, missed)
    if named is not None or missed == last:  # at the latter it came as far as the way goes
        return named
    end = len(path) - 1
    if report.agreement is Agreement.PREDICTED_ONLY:
        return end
    if path[missed].observed is False:
        return missed if missed == last + 1 else None
    return end if _cause_place(report) and path[end].stage not in _ARRIVED else None


def first_missed(path: _Path) -> int:
    """The index of the first hop behind the last one seen at which a sensor saw nothing; the last hop's when
    there is none.
    """
    end = len(path) - 1
    return next((at for at in range(last_seen(path) + 1, end) if path[at].observed is False), end)


def _hop_of_cause(report: Report, path: _Path, seen: int, missed: int) -> int | None:
    place = _cause_place(report)
    if place is None:
        return None
    named = _nearest(path, place, max(seen, 0), missed + 1)
    if named is not None or _nearest(path, place) is not None:
        return named
    return next((at for at in range(seen + 1, missed + 1) if path[at].namespace == place.namespace), None)


def _nearest(path: _Path, cause: Place, first: int = 0, end: int | None = None) -> int | None:
    """The index of the hop nearest to a cause: the same place, else the same decision, else the same
    interface.
    """
    window = range(len(path))[first:end]
    found = (at for fits in (eq, _decides, _shows) for at in window if fits(path[at].place, cause))
    return next(found, None)


def _decides(hop: Place, cause: Place) -> bool:
    """The same decision, whether or not both name the interface."""
    told = {hop.interface, cause.interface} - {None}
    return (hop.namespace, hop.stage) == (cause.namespace, cause.stage) and len(told) < 2


def _shows(hop: Place, cause: Place) -> bool:
    """The same interface, at whichever stage."""
    where = (cause.namespace, cause.interface)
    return cause.interface is not None and (hop.namespace, hop.interface) == where


def marks(report: Report, leg: Leg) -> tuple[Fate, ...]:
    """The fate of each hop of one direction."""
    path = hops(report, leg)
    went = _reached(path)
    return (*_went(report, leg, went), *[Fate.NOT_REACHED] * (len(path) - len(went)))


def _went(report: Report, leg: Leg, path: _Path) -> tuple[Fate, ...]:
    lost = lost_at(report, leg)
    predicted = report.agreement is Agreement.PREDICTED_ONLY
    some_passed = report.verdict is Verdict.INTERMITTENT
    fates = list(map(_expected if predicted else _lived, path))
    if lost is not None:
        beyond = fates[lost + 1 :]
        return (*fates[:lost], Fate.LOST, *(beyond if some_passed else [Fate.NOT_REACHED] * len(beyond)))
    if predicted or some_passed or leg is not broken_leg(report):
        return tuple(fates)
    return _somewhere(path, fates, report.verdict)


def _somewhere(path: _Path, fates: list[Fate], verdict: Verdict) -> tuple[Fate, ...]:
    """Up to the last place seen as in `fates`; from there to where a sensor waited in vain nobody knows."""
    seen = last_seen(path) + 1
    known = len(path) if verdict is Verdict.UNDETERMINED else first_missed(path) + 1
    unknown, beyond = known - seen, len(path) - known
    return (*fates[:seen], *[Fate.UNKNOWN] * unknown, *[Fate.NOT_REACHED] * beyond)


def _lived(hop: Hop) -> Fate:
    return Fate.UNKNOWN if hop.observed is False else _passed(hop, Fate.PASSED)


def _expected(hop: Hop) -> Fate:
    return _passed(hop, Fate.EXPECTED)


def _passed(hop: Hop, otherwise: Fate) -> Fate:
    return Fate.TRANSLATED if translations(hop) else otherwise


def mirrors(report: Report) -> bool:
    """Does the reply take the request's way back? Interfaces are compared, in reverse; places without one
    depend on direction.
    """
    there, back = _interfaces(report.path.request), _interfaces(report.path.reply)
    return bool(there) and there == back[::-1]


def _interfaces(path: _Path) -> list[tuple[str, str]]:
    passed = [(hop.namespace, hop.interface) for hop in path if hop.interface and hop.stage is not Stage.EXIT]
    return [at for at, _ in groupby(passed)]


def surprises(report: Report) -> tuple[tuple[Leg, Hop], ...]:
    """Where prediction and observation differ: the first hop that was expected and not seen (what follows,
    follows from it), and all hops that were seen and not expected.
    """
    if report.agreement is not Agreement.DISAGREE:
        return ()
    odd = [(leg, hop) for leg in Leg for hop in filter(_is_surprise, hops(report, leg))]
    missed = [each for each in odd if each[1].predicted]
    return tuple(each for each in odd if each not in missed[1:])


def _is_surprise(hop: Hop) -> bool:
    return hop.predicted is (hop.observed is False)


def is_as_predicted(hop: Hop) -> bool:
    """Whether it was predicted, and no sensor missed the packet there."""
    return hop.predicted and hop.observed is not False
