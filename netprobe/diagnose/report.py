"""From prediction and observations to the report: the verdict, the leg that failed, the cause.

Pure; the catalogue is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netprobe.model import (
    Blind,
    Cause,
    Command,
    Earlier,
    Hop,
    IcmpError,
    Leg,
    Object,
    Observation,
    PassedRules,
    Paths,
    Place,
    Probe,
    Report,
    Snapshot,
    Stage,
    Stop,
    Verdict,
)
from netprobe.model.lookup import among, column, find, first, where
from netprobe.model.report import GAPS, UNSEEING, UNSURE
from netprobe.predict import fixes
from netprobe.predict.drop import Unread
from netprobe.predict.prediction import Prediction
from netprobe.predict.unread import guarded

from . import arp_answers, engines
from .believed import believed
from .correlate import answers, best_sequence, sightings, taken
from .evidence import Case, suspects_of, told_of
from .last_hop import with_last_hop
from .lost_one import BY_CHANCE, led_otherwise, of_a_lost_one, paths
from .nat_evidence import confirmed
from .piled_up import unread
from .refused import from_beyond
from .silence import heard
from .strangers import heeded
from .too_long import unlearned, unreported
from .verdict import (
    RANDOM_DROP,
    agreement_of,
    direction_of,
    from_another,
    is_short,
    leg_of,
    not_sent,
    verdict_of,
)

if TYPE_CHECKING:
    from .repair.several import Searches

Explain = Callable[[Case], Cause | None]
Searching = Callable[[], "Searches"]
"""Gives the searches for a cause, when one is looked for."""


def diagnose(
    command: str,
    probe: Probe,
    snapshot: Snapshot,
    prediction: Prediction | None,
    observations: Sequence[Observation] | None,
    tapped: frozenset[str],
    explain: Explain,
    earlier: Earlier | None = None,
    searches: Searching | None = None,
) -> Report:
    """The report of one run.

    `observations` None means that nothing was sent; `tapped` names the namespaces with a sensor. `earlier` is
    a run of the same question in which all was well; `searches` look for the cause, in the place of the usual
    one.
    """
    asked = prediction.probe if prediction is not None else probe
    counted = heeded(asked, prediction, observations or ())
    seen = counted.observations
    # not looked at, or not all the time
    tapped -= {*column(among(seen, kind=UNSEEING), "namespace")}
    sequence = best_sequence(seen)
    request, reply = paths(prediction, seen, tapped, sequence)
    request = confirmed(request, snapshot)
    watched = observations is not None
    case = Case(
        guarded(snapshot, _on_the_way(prediction)),
        asked,
        prediction,
        seen,
        request,
        reply,
        watched,
        errors=_errors(seen),
        before=earlier.snapshot if earlier is not None else None,
    )
    verdict = verdict_of(case)
    if verdict is Verdict.INTERMITTENT:
        case = of_a_lost_one(case, tapped)
    case, verdict = led_otherwise(case, verdict, tapped)
    case, cause = _explained(replace(case, leg=leg_of(case, verdict)), verdict, explain, searches)
    direction = direction_of(case, verdict, cause)
    found = arp_answers.answers(asked, snapshot, seen)
    path = with_last_hop(Paths(request, reply), direction, prediction, cause)
    report = Report(
        command, asked, verdict, "", direction=direction, sent=asked.count if watched else 0,
        received=_received(asked, seen, verdict),
        rtt_ns=_round_trips(asked, seen), path=path, causes=(cause,) if cause else (),
        alternatives=_alternatives(case, cause),
        agreement=agreement_of(case, verdict), blind=_blind(snapshot, seen), errors=case.errors,
        answers=found,
        sightings=sightings(seen, request, reply),
        rules=_rules_on_the_way(prediction),
        notes=(*_of_ends(asked), *_of_another(asked, request), *arp_answers.notes(snapshot, found),
               *engines.notes(snapshot, asked, request, cause),
               *counted.notes, *((BY_CHANCE,) if case.by_chance else ()),
               *told_of(case.untried),
               *(_limits(request, reply) if not watched and verdict is Verdict.REACHABLE else ())),
    )  # fmt: skip
    if earlier is not None and verdict is not Verdict.REACHABLE:
        from .since import since

        report = replace(report, since=since(earlier, snapshot, prediction))
    return replace(report, summary=_summary(report, case))


def _of_ends(probe: Probe) -> dict[str, None]:
    """What a person should know of both ends, each once."""
    ends = (probe.source, probe.destination)
    return dict.fromkeys(f"{end.endpoint}: {note}" for end in ends for note in end.notes)


def _of_another(probe: Probe, request: Sequence[Hop]) -> tuple[str, ...]:
    """That somebody else has the address of the namespace that was asked for, and gets the probe."""
    wanted = probe.destination
    arrived = where(request[-1:], stage=Stage.DELIVER, reached=True)
    others = (hop.namespace for hop in arrived if hop.flow.dst == wanted.address)
    return tuple(
        f"{wanted.address} is {other}'s, too, which gets the probe: {wanted.namespace} does not"
        for other in others
        if wanted.namespace not in (None, other)
    )


def _limits(request: Sequence[Hop], reply: Sequence[Hop]) -> tuple[str, ...]:
    """The limits by which the first packets pass, as the configuration has it, and others may not."""
    texts = column(suspects_of((*request, *reply)), "text")
    return tuple(dict.fromkeys(texts))  # one rule may meet both ways


def _alternatives(case: Case, cause: Cause | None) -> tuple[Cause, ...]:
    """Other repairs that alone would do, each with why it comes second."""
    if cause is None or cause.code == "unknown":
        return ()
    return tuple(replace(case.cause(other.stop), reason=other.reason) for other in case.others)


def _rules_on_the_way(prediction: Prediction | None) -> tuple[PassedRules, ...]:
    """The rules that matched where the probe came; of copies of a frame in other namespaces they are left
    out.
    """
    there = _on_the_way(prediction)
    rules = prediction.rules if prediction is not None else ()
    return among(dict.fromkeys(rules), namespace=there)


def _on_the_way(prediction: Prediction | None) -> set[str | None]:
    """The namespaces of a walk, where a cause may lie. What others hold only adds to what is said of it."""
    if prediction is None:
        return set()
    end = prediction.stop.place.namespace if prediction.stop is not None else None
    return {end, *column(prediction.hops, "namespace")}


def _explained(
    case: Case, verdict: Verdict, explain: Explain, searches: Searching | None
) -> tuple[Case, Cause | None]:
    """The case with its root, and its cause where there is something to explain.

    Where that rests on what was not read: unknown.
    """
    if verdict is Verdict.REACHABLE:
        return case, None
    try:
        case = _rooted(case, verdict, searches)
        return case, explain(case) if _is_to_explain(case, verdict) else None
    except Unread as unread:
        return replace(case, stop=unread.reason), case.cause(unread.reason)


def _is_to_explain(case: Case, verdict: Verdict) -> bool:
    """Whether the probe failed; or may have, and something speaks for it."""
    if verdict is not Verdict.UNDETERMINED:
        return True
    return case.watched and (case.stop is not None or bool(case.of_kind(*UNSURE)))


def _errors(seen: Sequence[Observation]) -> tuple[IcmpError, ...]:
    """The ICMP errors about the probe, each once."""
    return tuple(dict.fromkeys(filter(None, column(seen, "error"))))


def _rooted(case: Case, verdict: Verdict, searches: Searching | None) -> Case:
    """The case with the repair that is the cause, where one is found and nothing seen speaks against it."""
    if verdict is Verdict.INTERMITTENT and not (case.watched or case.by_chance):
        return replace(case, stop=find(suspects_of((*case.request, *case.reply)), code=RANDOM_DROP))
    stop = believed(case)
    unknown = stop is not None and stop.is_unknown
    if (stop is None or unknown) and (found := _told_by_silence(case, verdict, searches)):
        return found
    if unknown or case.prediction is None:  # what lies behind it nobody knows
        return replace(case, stop=stop)
    return _searched(case, case.prediction, stop, verdict, searches)


def _told_by_silence(case: Case, verdict: Verdict, searches: Searching | None) -> Case | None:
    """The case where a question that nobody answered, at the network between the hosts, shows what stops the
    probe; None where it does not.
    """
    known = None
    if case.watched and case.prediction is not None:
        known = heard(case.snapshot, case.prediction, case.observations)
    if known is None:
        return None
    anew = replace(case, snapshot=known[0], prediction=known[1])
    stop = believed(anew)
    if stop is None or stop.is_unknown:
        return None
    found = _searched(anew, known[1], stop, verdict, searches)
    return replace(case, stop=found.stop, leg=found.leg, others=found.others, untried=found.untried)


def _searched(
    case: Case, prediction: Prediction, stop: Stop | None, verdict: Verdict, searches: Searching | None
) -> Case:
    from .repair import choice  # a healthy network needs no search
    from .repair.several import Searches

    look = searches() if searches is not None else Searches()

    if verdict is Verdict.INTERMITTENT:
        some = choice.of_some(case.snapshot, prediction)
        if some is not None or stop is None:
            return replace(case, stop=some)
    if stop is None:
        return _seen_alone(case) or _beyond(case, prediction, look)
    chosen = choice.choose(case.snapshot, prediction, stop, case.before, look)
    if case.by_chance:
        chosen = choice.of_several_ends(case.snapshot, prediction, stop, chosen)
    found = unlearned(case, unreported(case, chosen.stop))
    leg = chosen.leg or case.leg
    return replace(case, stop=found, leg=leg, others=chosen.others, untried=chosen.untried)


def _seen_alone(case: Case) -> Case | None:
    """The case of a loss that nothing was predicted of, and what was seen explains."""
    if where(case.of_kind("refused"), text="ENOBUFS"):
        return replace(case, stop=_crowded_neighbours(case))
    stranger = from_another(case)
    if stranger is not None:
        return replace(case, stop=_wrong_source(case, stranger), leg=Leg.REPLY)
    known = from_beyond(case) or unread(case.snapshot, case.request)
    return None if known is None else replace(case, stop=known)


def _beyond(case: Case, prediction: Prediction, look: Searches) -> Case:
    """The case of a loss beyond what can be seen."""
    from .repair import choice

    if prediction.stop is not None or not case.watched:
        return case
    outside = choice.outside(case.snapshot, prediction, case.before, look)
    if isinstance(outside, str):
        return replace(case, untried=outside)
    return replace(case, stop=outside.stop, leg=outside.leg, untried=outside.untried)


def _crowded_neighbours(case: Case) -> Stop:
    """The kernel has no room for one more neighbour (__neigh_create:

    ENOBUFS); the table is one for all namespaces.
    """
    name = case.probe.source.namespace
    key = "net.ipv4.neigh.default.gc_thresh3"
    text = f"the kernel's neighbour table is full: it refuses {name} an entry for the next hop ({key})"
    return Stop(
        "neigh-table-full",
        Place(name, None, Stage.NEIGHBOUR),
        text,
        Object("sysctl", key, key),
        fixes.sysctl(key, 4096),
    )


_BIND = Command.advice("bind the service to the address that was asked")


def _wrong_source(case: Case, answer: Observation) -> Stop:
    """The far end's program answers from another of its addresses than the one that was asked."""
    assert answer.flow is not None
    asked = case.probe.destination
    arrived = [*column(where(case.request, stage=Stage.DELIVER), "place")]
    place = replace([Place(None, None, Stage.SOCKET), *arrived][-1], stage=Stage.SOCKET)
    text = (
        f"the answer comes from {answer.flow.src}, not from {asked.address} that was asked: the sender's"
        " socket does not take it"
    )
    name = f"{case.probe.protocol} {asked.address}{asked.behind_colon}"
    return Stop("reply-wrong-source", place, text, Object("socket", name, text), (_BIND,))


def _received(probe: Probe, seen: Sequence[Observation], verdict: Verdict) -> int:
    """How many probes were answered; where some pass and others do not, refusals are no answers."""
    if verdict is Verdict.INTERMITTENT:
        return len(taken(answers(probe, seen)))
    return len(_answered(probe, seen))


def _answered(probe: Probe, seen: Sequence[Observation]) -> dict[int, Observation]:
    """The first answer to each probe, by its sequence number."""
    return first(answers(probe, seen), lambda o: o.sequence)


def _round_trips(probe: Probe, seen: Sequence[Observation]) -> tuple[int, ...]:
    """ns from the first sighting of each request at the sender to its answer; errors, which quote it, are no
    sighting.

    Where the tap missed it, from the moment in which it was handed to the kernel.
    """
    left = where(
        seen, kind="seen", leg=Leg.REQUEST, bound="out", error=None, namespace=probe.source.namespace
    )
    sent = {o.sequence: o.time_ns for o in where(seen, kind="sent")}
    sent |= {o.sequence: o.time_ns for o in sorted(left, key=lambda o: -o.time_ns)}
    answers = sorted(_answered(probe, seen).items())
    return tuple(max(0, o.time_ns - sent.get(sequence, o.time_ns)) for sequence, o in answers)


def _blind(snapshot: Snapshot, seen: Sequence[Observation]) -> tuple[Blind, ...]:
    namespaces = snapshot.namespaces.values()
    of_rules = chain.from_iterable(column(namespaces, "filters.blind"))
    spots = [*snapshot.blind, *chain.from_iterable(column(namespaces, "blind")), *of_rules]
    lost = among(seen, kind=GAPS)
    spots += [Blind(o.text or "tap", f"in {o.namespace}") for o in lost]
    unsent = filter(is_short, where(seen, kind="refused"))
    spots += [Blind(f"the probe from {o.namespace}", f"not sent ({o.text})") for o in unsent]
    return tuple(dict.fromkeys(spots))


def _summary(report: Report, case: Case) -> str:
    src, dst = report.probe.source.endpoint, report.probe.destination.endpoint
    if report.verdict is Verdict.REACHABLE:
        return f"{dst} is reachable from {src}"
    if report.causes:
        return report.causes[0].summary
    if report.verdict is Verdict.INTERMITTENT:
        return f"{report.sent - report.received} of {report.sent} probes from {src} to {dst} were lost"
    if report.verdict is Verdict.UNREACHABLE:
        return f"{dst} is not reachable from {src}"
    unsure = f"whether {dst} is reachable from {src} could not be determined"
    if case.stop is not None and case.stop.code == "unknown":
        return f"{unsure}: {case.stop.text}"
    if not_sent(case):
        return f"{unsure}: the probe could not be sent"
    return next(iter(_limits(report.path.request, report.path.reply)), unsure)
