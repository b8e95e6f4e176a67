"""What comes after the first cause: mend it in the model, walk again, and say whether the probe would pass
then. Pure.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import cache
from itertools import takewhile
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    Agreement,
    Cause,
    Earlier,
    FindMacvlans,
    Hop,
    Leg,
    Need,
    Place,
    Probe,
    Report,
    Sighting,
    Snapshot,
    Socket,
    Stage,
    Verdict,
)
from netprobe.model.lookup import all_but, column, find, has, those_not_in, where
from netprobe.model.place import id_of
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.sockets import PROGRAMS

from .apply import mend
from .correlate import numbered, unseen
from .evidence import UNTRIED, Case
from .piled_up import unread
from .report import Explain, Searching, diagnose
from .resent import resent
from .supposed import as_rules_say, supposed

_ROUNDS = 5  # who has mended five things asks again
_STATES = {True: "listen", False: "unconnected"}  # of a program's socket, by whether it takes connections
_LED = "dnat-dead-target"
# a model read for another path shows what is there, not what is missing
_UNPROVEN = {"neigh-no-answer", "unknown"}


class Outlook(Struct, frozen=True):
    """The further causes in the order in which they show, whether the probe passes when all are mended, its
    way then, and what must be read before more can be told.
    """

    causes: tuple[Cause, ...] = ()
    passes: bool = False
    way: tuple[Hop, ...] = ()
    needs: tuple[Need, ...] = ()


def look(
    report: Report,
    snapshot: Snapshot,
    explain: Explain,
    earlier: Earlier | None = None,
    searches: Searching | None = None,
    asked: Container[Need] | None = None,
) -> Outlook | None:
    """What else stands in the way of the report's probe. None where prediction and observation disagree.

    It ends where something was not read that can be: all but what was `asked` before. None: nothing can be,
    and it goes on with what there is.
    """
    if not _is_open(report):
        return None
    spared = None if searches is None else cache(searches().sparing)
    return _look(report, snapshot, explain, earlier, spared, asked)


def with_outlook(report: Report, found: Outlook | None) -> Report:
    """The report with what was found (`blockers`), and a note whether its probe would pass then.

    Where a fix has no plain effect the report stays as it is.
    """
    if found is None:
        return report
    request = _to_the_end(report, found.way) if report.direction is Leg.REQUEST else report.path.request
    notes = (*report.notes, *([_note(report.causes[0], len(found.causes))] if found.passes else []))
    return replace(report, blockers=found.causes, notes=notes, path=replace(report.path, request=request))


def _is_open(report: Report) -> bool:
    return (
        bool(report.causes)
        and report.agreement is not Agreement.DISAGREE
        and report.verdict is not Verdict.REACHABLE
    )


def _to_the_end(report: Report, way: tuple[Hop, ...]) -> tuple[Hop, ...]:
    """The request's hops, and behind them those of the mended model: up to the place of the cause, and where
    the packet did not get.

    A packet that nobody answers for stays where it is, wherever the reason is.
    """
    hops, cause = report.path.request, report.causes[0].place
    shared = len(list(takewhile(_is_shared, zip(hops, way, strict=False))))
    ended = where(hops[-1:], ends=True)
    if len(hops) - shared > 1 + len(ended):  # the mended way is another one
        return hops
    sightings = report.sightings if report.probe.protocol.on_segment else ()
    beyond = [_as_seen(hop, sightings) for hop in way[shared:] if not _is_decided(hop, ended)]
    stays = any(hop.ends or hop.stage is Stage.NEIGHBOUR or _at(hop, cause) for hop in hops[-1:])
    end = max(0 if stays else _up_to(beyond, cause), len(beyond) - len(unseen(beyond)))
    unreached = [replace(hop, reached=False, note="not reached") for hop in beyond[end:]]
    return numbered((*hops, *beyond[:end], *unreached))


def _is_decided(hop: Hop, ended: tuple[Hop, ...]) -> bool:
    """Whether a hop is where the packet ended."""
    return find(ended, namespace=hop.namespace, stage=hop.stage) is not None


def _is_shared(pair: tuple[Hop, Hop]) -> bool:
    return pair[0].place == pair[1].place


def _up_to(hops: Sequence[Hop], cause: Place) -> int:
    """How many hops the packet gets to the place of the cause: it still comes in there, and does not go
    out.
    """
    at = next((n for n, hop in enumerate(hops) if _at(hop, cause)), None)
    return 0 if at is None else at + int(hops[at].bound == "in")


def _as_seen(hop: Hop, sightings: Sequence[Sighting]) -> Hop:
    """A hop of the mended way with what the taps saw there of the probe: a question to everybody goes on
    where no answer would come.
    """
    place = {"namespace": hop.namespace, "interface": hop.interface, "bound": hop.bound}
    here = [*column(where(sightings, leg=Leg.REQUEST, **place), "time_ns")]
    return replace(hop, observed=bool(here) or None, time_ns=min(here, default=None), suspects=())


def _at(hop: Hop, cause: Place) -> bool:
    return (hop.namespace, hop.interface) == (cause.namespace, cause.interface)


class _Supposition(NamedTuple):
    """What was mended by words that only the reader knows: how many causes were known, before and after."""

    known: int
    snapshot: Snapshot
    mended: Snapshot


def _look(
    report: Report,
    snapshot: Snapshot,
    explain: Explain,
    earlier: Earlier | None,
    searches: Searching | None,
    asked: Container[Need] | None,
) -> Outlook:
    """Mend, ask again, and so on, until the probe passes or nothing more can be told."""
    causes, hops = [report.causes[0]], report.path.request
    way: tuple[Hop, ...] = ()
    probe, suppositions = report.probe, list[_Supposition]()
    for _ in range(_ROUNDS):
        mended = mend(snapshot, causes[-1]) or _served(snapshot, causes[-1], hops)
        if mended is None:
            mended = _supposed(snapshot, causes[-1], searches, probe.destination.address)
            suppositions += [_Supposition(len(causes), snapshot, mended)] if mended is not None else []
        if mended is None:
            break
        probe = resent(probe, snapshot, mended)
        again = _ask(mended, probe, explain, earlier, searches, asked)
        if not isinstance(again, Report):
            return Outlook(tuple(causes[1:]), way=way, needs=again)
        if any(note.startswith(UNTRIED) for note in again.notes):
            break
        hops = again.path.request
        sure = not suppositions
        way = max(way, hops, key=len) if sure else way
        next_cause = [each for each in again.causes[:1] if _is_another(each, causes)]
        if again.verdict is Verdict.REACHABLE or not next_cause:
            return Outlook(tuple(causes[1:]), sure and again.verdict is Verdict.REACHABLE, way)
        for each in suppositions:
            if mend(each.mended, next_cause[0]) == each.snapshot:
                return Outlook(tuple(causes[1 : each.known]))  # what it led to is not in the way either
        causes += next_cause
        snapshot = mended
    return Outlook(tuple(causes[1:]), way=way)


def _supposed(
    snapshot: Snapshot, cause: Cause, searches: Searching | None, goal: str | None
) -> Snapshot | None:
    """The snapshot with a cause mended whose words are for the reader to fill in, by those that were tried,
    else by what would do there: on all that was read since. Nothing is foretold of it but what else stands in
    the way.
    """
    if searches is None or not any(column(cause.commands, "blanks")):
        return None
    done = as_rules_say(snapshot, cause.commands, searches().supposed.get(cause.commands, ()), goal)
    done = done or supposed(snapshot, cause.commands, cause.place.namespace)
    return mend(snapshot, replace(cause, commands=done))


def _is_another(cause: Cause, known: Sequence[Cause]) -> bool:
    """Whether a cause is one that is plain, and none of those whose mending should have helped: the same
    thing at the same place.
    """
    return cause.code not in _UNPROVEN and _thing(cause) not in map(_thing, known)


def _served(snapshot: Snapshot, cause: Cause, hops: tuple[Hop, ...]) -> Snapshot | None:
    """The snapshot with a program that answers where one is missing or stuck; None for another cause. A rule
    that led to where none is mends nothing either.
    """
    led = hops[-1:] if cause.code == _LED and not has(cause.commands, looks=False) else ()
    end = next(column(where(led, stage=Stage.DELIVER), "namespace"), cause.place.namespace)
    there = snapshot.at(end)
    last = find(reversed(hops), namespace=there.name)
    if cause.code not in (*PROGRAMS, _LED) or last is None or last.flow.dport is None:
        return None
    asked, port, known = last.flow, last.flow.dport, there.programs
    name, state = str(asked.protocol), _STATES[asked.protocol.connects]
    others = all_but(known, where(known, protocol=name, port=port))
    program = Socket(name, "::" if asked.version == 6 else "0.0.0.0", port, state)
    return snapshot.with_namespace(replace(there, sockets=(*others, program)))


def _ask(
    snapshot: Snapshot,
    probe: Probe,
    explain: Explain,
    earlier: Earlier | None,
    searches: Searching | None,
    asked: Container[Need] | None,
) -> Report | tuple[Need, ...]:
    """The same question to the mended model; or what of it was never read, without which there is no answer,
    or the search for its cause does not see all.
    """
    outcome = predict(snapshot, probe, ask=False)
    if not isinstance(outcome, Prediction):
        return those_not_in(outcome, asked or ())
    if asked is not None and (needs := _lacking(snapshot, outcome, earlier, searches, asked)):
        return needs
    again = diagnose("why", outcome.probe, snapshot, outcome, None, frozenset(), explain, earlier, searches)
    hangs = unread(snapshot, again.path.request) if again.verdict is Verdict.REACHABLE else None
    if hangs is None:
        return again
    case = Case(snapshot, outcome.probe, outcome, (), again.path.request, again.path.reply, stop=hangs)
    return replace(again, verdict=Verdict.UNREACHABLE, causes=(*filter(None, [explain(case)]),))


def _lacking(
    snapshot: Snapshot,
    outcome: Prediction,
    earlier: Earlier | None,
    searches: Searching | None,
    asked: Container[Need],
) -> tuple[Need, ...]:
    """What was never read nor `asked` before, and the search for the cause of a loss should see."""
    if outcome.stop is None or searches is None:
        return ()
    from .repair import choice  # what passes needs no search

    if needs := _who_else(snapshot, outcome, asked):
        return needs
    before = earlier.snapshot if earlier is not None else None
    return those_not_in(choice.lacking(snapshot, outcome, before, searches(), asked), asked)


def _who_else(snapshot: Snapshot, outcome: Prediction, asked: Container[Need]) -> tuple[Need, ...]:
    """Who may answer where nobody in sight does: macvlans, which are listed by themselves alone, wherever
    they are. The way here is another one than that which was read, so they were not asked for.
    """
    if outcome.stop is None or outcome.stop.code != "neigh-no-answer":
        return ()
    found = predict(snapshot, outcome.probe)
    macvlans = (each for each in found if isinstance(each, FindMacvlans)) if isinstance(found, tuple) else ()
    return those_not_in(macvlans, asked)


def _thing(cause: Cause) -> tuple[str, str | None, str]:
    return cause.code, cause.place.namespace, id_of(cause.object)


def _note(first: Cause, further: int) -> str:
    """A program that is missing nobody starts by a command of ours."""
    mends = has(first.commands, looks=False)
    what, more = (
        ("after this fix", " and those")
        if mends
        else ("once a program answers there", " and after the fixes")
    )
    if further:
        what += f"{more} of what stands behind it"
    return f"{what} the probe should pass (predicted)"
