"""A watch, round by round: statistics of its hops, verdict and cause, and what became otherwise. Pure.

What changed is found by comparing two readings, which sees everything; when it did, the kernel's notices
tell, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from msgspec.structs import replace

from netprobe.model import Changed, Difference, Hop, Leg, Namespace, Report, Snapshot, Verdict
from netprobe.model.live import (
    MOST_CHANGES,
    MOST_HOPS,
    ChangeEvent,
    EndEvent,
    EndHop,
    Event,
    Live,
    LiveChange,
    LiveHop,
    Notice,
    RoundEvent,
    SeenHop,
    VerdictEvent,
)
from netprobe.model.lookup import but, column, grouped, not_among, those_not_in, where
from netprobe.model.place import id_of

from . import since
from .change import versions_of

_AWAY = 300  # rounds for which a place is remembered to which the way does not lead any more
_BESIDE = 32  # namespaces that are remembered although the last round did not read them
_RULES = ("rule", "nat-rule", "policy", "set", "ruleset", "table", "chain")
_GROUPS = {"sysctl": "settings", **dict.fromkeys(_RULES, "rules")}
_ANSWERS = {Verdict.REACHABLE: "answered", Verdict.UNDETERMINED: "undetermined"}

# ---- what became otherwise


def known_after(known: Snapshot, fresh: Snapshot) -> Snapshot:
    """What is known of the configuration after a reading: what it did not read, as it was read before."""
    read = {
        name: _with_rules(known.get(name), each) for name, each in fresh.namespaces.items() if not each.unread
    }
    others = {name: each for name, each in known.namespaces.items() if name not in read}
    kept = dict(list(others.items())[-_BESIDE:])
    return replace(fresh, namespaces={**kept, **read})


def _with_rules(before: Namespace | None, each: Namespace) -> Namespace:
    """The namespace; where its rules could not be read, with those that were read before."""
    lacks = each.ruleset is None or each.ruleset.blind
    if lacks and before is not None:
        return replace(each, ruleset=before.ruleset)
    return each


def changed_since(known: Snapshot, fresh: Snapshot, report: Report) -> tuple[Difference, ...]:
    """What is configured otherwise than it was known, in the namespaces that were read."""
    versions = versions_of(report.probe, (*report.path.request, *report.path.reply))
    found = since.changed(known, fresh, versions, report.probe.destination.port)
    return since.without_followers(found)


def dated(
    found: Sequence[Difference], notices: Sequence[Notice], at_ns: int
) -> tuple[tuple[LiveChange, ...], frozenset[Notice]]:
    """Each difference with the moment that a notice tells, else with that of the reading; and the notices
    that these explain.
    """
    unheard = Notice(at_ns, "", "", "")
    told = [(each, _notice_of(each, notices) or unheard) for each in found]
    shown = tuple(
        LiveChange(notice.at_ns, since.as_object(each), notice is not unheard, notice.by)
        for each, notice in told
    )
    places = {(each.namespace, _group(each.kind)) for each in found}
    return shown, frozenset(each for each in notices if (each.namespace, _group(each.kind)) in places)


def passed(notices: Sequence[Notice], at_ns: int) -> tuple[tuple[LiveChange, ...], list[Notice]]:
    """What was otherwise between two readings and is as before: an object of which two things were told by
    then; and the notices that are left.
    """
    by_then = [each for each in notices if each.at_ns <= at_ns]
    told = grouped(but(by_then, what=""), _object)
    twice = {thing: those for thing, those in told.items() if len(_said(those)) > 1}
    heeded = {each for each in by_then if _object(each) in twice}
    return tuple(map(_passing, twice.values())), [*those_not_in(notices, heeded)]


def _object(each: Notice) -> tuple[str, str, str]:
    return each.namespace, each.kind, each.name


def _said(notices: Sequence[Notice]) -> dict[str, None]:
    """What they tell, each once."""
    return dict.fromkeys(column(notices, "what"))


def _passing(notices: Sequence[Notice]) -> LiveChange:
    first = notices[0]
    words = ", then ".join(_said(notices))
    return LiveChange(
        first.at_ns,
        Changed(first.kind, first.name, namespace=first.namespace, before="", after=words),
        heard=True,
        by=first.by,
        passing=True,
    )


def _notice_of(each: Difference, notices: Sequence[Notice]) -> Notice | None:
    """The first notice about this very object, else about one like it in the same namespace."""
    here = where(notices, namespace=each.namespace)
    exact = iter(where(here, kind=each.kind, name=each.name))
    alike = (notice for notice in here if _group(notice.kind) == _group(each.kind))
    return next(exact, None) or next(alike, None)


def _group(kind: str) -> str:
    """What changes together, and is told by the same part of the kernel."""
    return _GROUPS.get(kind, "network")


# ---- the statistics


def after_round(
    live: Live, report: Report, changed: Sequence[LiveChange], at_ns: int
) -> tuple[Live, tuple[Event, ...]]:
    """The watch after a round, and what is to be told of it."""
    number = live.rounds + 1
    answer = live.answer.after(report.rtt_ns[0]) if report.rtt_ns else live.answer
    same = live.report is not None and _finding(live.report) == _finding(report) and not live.trouble
    counted = _ANSWERS.get(report.verdict, "lost")
    before = live.report.verdict if live.report is not None else None
    found = VerdictEvent(
        at_ns, number, report.verdict, report.direction, report.summary, report.causes[:1], before
    )
    since_ns, news = (live.since_ns, ()) if same else (at_ns, (found,))
    now = replace(
        _with_changes(live, changed), at_ns=at_ns, rounds=number, report=report, answer=answer, trouble="",
        hops=_hops(live.hops, report), since_ns=since_ns,
        **{counted: getattr(live, counted) + 1},
    )  # fmt: skip
    events = (*map(_told, changed), _round(report, number, at_ns), *news)
    return now, events


def after_failure(live: Live, trouble: str, at_ns: int) -> tuple[Live, tuple[Event, ...]]:
    """The watch after a round that could not be asked, which says nothing about the network."""
    number = live.rounds + 1
    began = live.since_ns if live.trouble else at_ns
    now = replace(live, at_ns=at_ns, rounds=number, failed=live.failed + 1, trouble=trouble, since_ns=began)
    return now, (RoundEvent(at_ns, number, None, trouble=trouble),)


def ended(live: Live, last: Report, at_ns: int, complete: bool, lost_capture: str | None) -> EndEvent:
    """The last event: all rounds together, and the report of the last one, as it was saved."""
    return EndEvent(
        at_ns, live.rounds, live.answered, live.lost, live.undetermined, live.failed, live.changed,
        tuple(map(_end_hop, live.hops)), complete, last, last.capture, lost_capture,
    )  # fmt: skip


def verdict(live: Live) -> Verdict:
    """All rounds as one answer: as `-c` with so many packets gives it."""
    if live.lost:
        if live.answered:
            return Verdict.INTERMITTENT
        return Verdict.UNREACHABLE
    if live.answered == live.rounds:
        return Verdict.REACHABLE
    return Verdict.UNDETERMINED


def _finding(report: Report) -> tuple[Verdict, Leg | None, str, str]:
    """What makes a finding another one."""
    cause = next(iter(report.causes), None)
    if cause is None:
        return report.verdict, report.direction, "", ""
    return report.verdict, report.direction, cause.code, id_of(cause.object)


def _with_changes(live: Live, changed: Sequence[LiveChange]) -> Live:
    kept = (*live.changes, *changed)[-MOST_CHANGES:]
    return replace(live, changes=kept, changed=live.changed + len(changed))


def _hops(known: Sequence[LiveHop], report: Report) -> tuple[LiveHop, ...]:
    """The hops after a round: those of its way first, in its order, then those of earlier ones."""
    before = {each.key: each for each in known}
    found: list[LiveHop] = []
    for leg in Leg:
        way = {hop.key: hop for hop in map(partial(LiveHop, leg), but(report.path.of(leg), bound=None))}
        found += [_passed(before.get(key, each), each.hop) for key, each in way.items()]
        others = not_among(where(before.values(), leg=leg), key=way)
        found += map(partial(_left_out, report=report), others)
    return tuple(each for each in found if each.away < _AWAY)[:MOST_HOPS]


def _left_out(known: LiveHop, report: Report) -> LiveHop:
    """The place after a round whose way does not lead here; where that was lost before, it should have
    come, if the way led here before.
    """
    if report.received or not report.sent:
        return replace(known, away=known.away + 1)
    if known.away == 0:
        return replace(known, sent=known.sent + 1)
    return known


def _passed(known: LiveHop, hop: Hop) -> LiveHop:
    """The place after a round whose way leads here; one without a sensor counts nothing."""
    if hop.observed is None and hop.reached:
        return replace(known, hop=hop, away=0)
    seen, latency = hop.observed is True, known.latency
    if seen and hop.time_ns is not None:
        latency = latency.after(max(0, hop.time_ns))
    return replace(known, hop=hop, sent=known.sent + 1, seen=known.seen + seen, latency=latency, away=0)


# ---- what is told


def _told(change: LiveChange) -> ChangeEvent:
    return ChangeEvent(change.at_ns, change.heard, change.what, change.passing, change.by)


def _round(report: Report, number: int, at_ns: int) -> RoundEvent:
    code = report.causes[0].code if report.causes else None
    rtt = next(iter(report.rtt_ns), None)
    return RoundEvent(at_ns, number, report.verdict, rtt, code, tuple(_seen(report)))


def _seen(report: Report) -> Iterator[SeenHop]:
    for leg in Leg:
        for hop in but(report.path.of(leg), bound=None):
            yield SeenHop(*_place(leg, hop), hop.observed, hop.time_ns)


def _place(leg: Leg, hop: Hop) -> tuple[Leg, int, str, str | None, str, str | None]:
    return leg, hop.n, hop.namespace, hop.interface, str(hop.stage), hop.bound


def _end_hop(each: LiveHop) -> EndHop:
    spans = each.latency
    return EndHop(
        *_place(each.leg, each.hop), each.sent, each.seen, spans.last_ns, spans.average_ns, spans.best_ns,
        spans.worst_ns, spans.deviation_ns,
    )  # fmt: skip
