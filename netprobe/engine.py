"""The line: resolve, snapshot, predict, observe, diagnose. Every command is a slice of it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from msgspec import Struct
from msgspec.structs import replace

from .endpoint import check_pair, source_address
from .errors import CannotLook, Interrupted, WrongQuestion, for_want_of_resources
from .model import (
    NOT_IN_TIME,
    Blind,
    Cause,
    Difference,
    Earlier,
    End,
    Endpoint,
    FindMacvlans,
    FindPeer,
    Need,
    Observation,
    Probe,
    Protocol,
    ReadNamespace,
    Report,
    Run,
    Snapshot,
    Timings,
    Verdict,
    Watch,
)
from .model.command import joined
from .predict.predict import Prediction, predict
from .predict.view import Rulings
from .question import DEFAULT_SIZE, Question, check_options, check_source, check_target

if TYPE_CHECKING:
    from .diagnose.evidence import Case

# of all reading for one question, beside the probe's own wait: what is not read by then is a blind spot
READING_NS = 1_700_000_000
_READINGS = 3  # of a configuration that keeps changing
# a path asks for a few namespaces and a route lookup at each; this many rounds mean that reading does not
# help
_ROUNDS = 200
_AROUND = 64  # namespaces that a diagnosis reads at once, for what else could have been


class World(Interface):
    """The one seam: what can be read of a machine, and what can be observed on it.

    A recording has the same methods.
    """

    def reading(self, limit_ns: int) -> AbstractContextManager[None]:
        """In the block all reading together takes no longer than `limit_ns`."""
        ...

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """The endpoint that `text` names."""
        ...

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for, or with a blind spot where it cannot be had."""
        ...

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """Send the probe and report what was seen of it."""
        ...


class Recall(Interface):
    """Where an earlier run of a question may be found, in which all was well."""

    def check(self, command: str, probe: Probe) -> None:
        """Raises WrongQuestion, before anything is sent, where what was named does not fit."""
        ...

    def find(self, command: str, probe: Probe) -> Earlier | None:
        """That run; asked for only when the probe was lost."""
        ...


@dataclass(slots=True)
class _Clock:
    """How long each part of the line took, in ns."""

    spent: dict[str, int] = field(default_factory=dict)

    def add(self, part: str, since: int) -> None:
        self.spent[part] = self.spent.get(part, 0) + time.monotonic_ns() - since

    def timings(self) -> Timings:
        return Timings(*(self.spent.get(part, 0) for part in ("snapshot", "predict", "observe", "diagnose")))


def ask(world: World, question: Question, recall: Recall | None = None) -> Run:
    """Answer one question; `recall` knows when all was well with it.

    Raises WrongQuestion, NotPermitted or CannotLook; a broken network is in the report. Raises Interrupted,
    with the run so far, for a Ctrl-C while it was observed.
    """
    with for_want_of_resources(), world.reading(READING_NS):
        return _asked(world, question, recall)


def _asked(world: World, question: Question, recall: Recall | None) -> Run:
    clock, started = _Clock(), time.time_ns()
    probe = _probe(world, question)
    if recall is not None:
        recall.check(question.command, probe)
    snapshot, prediction = foresee(world, probe, Snapshot(), clock)
    sent = prediction.probe if prediction is not None else probe
    on_segment = sent.protocol in (Protocol.ARP, Protocol.ND)
    if (
        on_segment
        and sent.device is None
        and prediction is not None
        and prediction.request.end is not End.UNDETERMINED
    ):
        raise _other_segment(question, sent)
    observations: tuple[Observation, ...] | None = None
    interrupted: Interrupted | None = None
    tapped: frozenset[str] = frozenset()
    if question.send and sent.source.address is not None and not (on_segment and sent.device is None):
        watch = _watch(sent, snapshot, prediction)
        observations, interrupted = _observe(world, watch, prediction, clock)
        if interrupted is not None:
            probe, sent = (replace(each, count=interrupted.count) for each in (probe, sent))
            prediction = replace(prediction, probe=sent) if prediction is not None else None
        tapped = frozenset(watch.namespaces) - {o.namespace for o in observations if o.kind == "blind"}
    if prediction is not None and observations is not None:
        snapshot = _ask_tracking(world, snapshot, prediction, clock)
    earlier = _recalled(recall, question.command, sent, prediction, observations)
    if prediction is not None and _lost(prediction, observations):
        snapshot = _look_around(world, snapshot, prediction, clock, earlier)
    report = _diagnose(question.command, sent, snapshot, prediction, observations, tapped, clock, earlier)
    if prediction is not None and _is_to_be_confirmed(report, prediction):
        found = _Found(report, snapshot, prediction)
        report, snapshot = _confirmed(world, probe, found, observations, tapped, clock, earlier)
    report, snapshot = _foretell(world, report, snapshot, earlier)
    report = replace(report, timings=clock.timings())
    kept = _kept(earlier, report)
    run = Run(_typed(report, snapshot), snapshot, observations or (), started, tuple(sorted(tapped)), kept)
    if interrupted is not None:
        raise Interrupted(interrupted.count, _with_note(run, question.count)) from interrupted
    return run


def _with_note(run: Run, asked: int) -> Run:
    """The run of which not all the packets were sent that were asked for."""
    said = f"interrupted: {run.report.sent} of {asked} probes are counted"
    return replace(run, report=replace(run.report, notes=(*run.report.notes, said)))


def _recalled(
    recall: Recall | None,
    command: str,
    sent: Probe,
    prediction: Prediction | None,
    seen: Sequence[Observation] | None,
) -> Earlier | None:
    """An earlier run in which all was well, where it is not now; a good answer costs no look."""
    if recall is None:
        return None
    if seen is None:
        good = prediction is not None and prediction.passes
    else:
        answered = {o.sequence for o in seen if o.kind == "answered" and o.text != "refused"}
        good = len(answered) >= sent.count
    if good:
        return None
    from .diagnose.since import holds_together

    found = recall.find(command, sent)
    return found if found is not None and holds_together(found.snapshot) else None


def _kept(earlier: Earlier | None, report: Report) -> Earlier | None:
    """What is saved of the earlier run with the report that rests on it."""
    if earlier is None or report.since is None:
        return None
    from .diagnose.since import kept

    return kept(earlier, report.since)


def _lost(prediction: Prediction, seen: Sequence[Observation] | None) -> bool:
    """Whether nothing came back, or nothing would."""
    return (
        not prediction.passes
        if seen is None
        else not any(o.kind == "answered" and o.text != "refused" for o in seen)
    )


class _Found(Struct, frozen=True):
    """What was concluded, and from what."""

    report: Report
    snapshot: Snapshot
    prediction: Prediction


def _is_to_be_confirmed(report: Report, prediction: Prediction) -> bool:
    """Whether a loss was concluded, or a walk came to no end: an answer that came needs no proof."""
    lost = report.verdict in (Verdict.UNREACHABLE, Verdict.INTERMITTENT) or (
        report.verdict is Verdict.UNDETERMINED and report.sent > 0
    )
    return lost or (report.verdict is Verdict.UNDETERMINED and prediction.stop is not None)


def _confirmed(
    world: World,
    probe: Probe,
    found: _Found,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: _Clock,
    earlier: Earlier | None,
) -> tuple[Report, Snapshot]:
    """A loss is believed when what it was concluded from is still so.

    What changed is read again, and what is read then decides.
    """
    from .diagnose.change import concluded, note, same_cause, undecided

    first, known = found, list[Difference]()
    for _ in range(_READINGS):
        changed = _changed_since(world, found, clock)
        if all(map(_is_late, changed)):  # nothing is known to have changed
            first, found = _with_blind(first, changed), _with_blind(found, changed)
            break
        known += changed
        found = _found_anew(world, probe, first.report, seen, tapped, clock, earlier) or replace(
            found, report=undecided(found.report)
        )
        if not _is_to_be_confirmed(found.report, found.prediction):
            break
    else:  # it never held still
        found = replace(found, report=undecided(found.report))
    if not known or same_cause(first.report, found.report):
        return first.report, first.snapshot
    report = replace(found.report, probe=first.report.probe, notes=(*found.report.notes, note(known)))
    return concluded(report), found.snapshot


def _is_late(change: Difference) -> bool:
    return change.after is not None and NOT_IN_TIME in change.after


def _with_blind(found: _Found, unread: Sequence[Difference]) -> _Found:
    """What was found, and that these namespaces could not be looked at once more."""
    blind = tuple(Blind(f"the second look at {each.namespace}", NOT_IN_TIME) for each in unread)
    return replace(found, report=replace(found.report, blind=(*found.report.blind, *blind)))


def _found_anew(
    world: World,
    probe: Probe,
    report: Report,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: _Clock,
    earlier: Earlier | None,
) -> _Found | None:
    """What all that is read now makes of what was seen; None where it can no longer be read."""
    try:
        fresh, prediction = foresee(world, probe, Snapshot(), clock)
    except CannotLook:
        return None
    if prediction is None:
        return None
    if _lost(prediction, seen):
        fresh = _look_around(world, fresh, prediction, clock, earlier)
    again = _diagnose(report.command, report.probe, fresh, prediction, seen, tapped, clock, earlier)
    return _Found(again, fresh, prediction)


def _changed_since(world: World, found: _Found, clock: _Clock) -> tuple[Difference, ...]:
    """What is otherwise by now in the namespaces that a conclusion rests on."""
    from .diagnose.change import changes, families, questions, resting, without

    since = time.monotonic_ns()
    names = resting(found.report, found.prediction, found.snapshot)
    fresh = world.read(without(found.snapshot, names), questions(found.snapshot, names))
    clock.add("snapshot", since)
    return changes(found.snapshot, fresh, names, families(found.prediction))


def _with_peers(world: World, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
    """A namespace that was found behind a veth is read at once: the walk is about to enter it."""
    asked = {(need.namespace, need.nsid) for need in needs if isinstance(need, FindPeer)}
    found = [
        p.peer
        for p in snapshot.peers
        if (p.namespace, p.nsid) in asked and p.peer is not None and p.peer not in snapshot
    ]
    return world.read(snapshot, [ReadNamespace(name) for name in found]) if found else snapshot


def _other_segment(question: Question, probe: Probe) -> WrongQuestion:
    """ARP does not pass a router: say so, and what to type instead."""
    target = probe.destination.address
    named = question.destination if question.destination == target else f"{question.destination} ({target})"
    message = f"{named} is not on a segment of {question.source}: ARP and ND do not pass a router"
    return WrongQuestion(
        message,
        f"Follow the packet instead: {joined(('netprobe', 'trace', question.source, question.destination))}",
    )


def replay(run: Run) -> Run:
    """A saved run diagnosed again, from what it recorded: no kernel, no privilege."""
    from .diagnose.change import CHANGED, concluded

    probe, clock = run.report.probe, _Clock()
    # what the kernel was not asked then, the model decides
    outcomes = (predict(run.snapshot, probe, ask) for ask in (True, False))
    prediction = next((outcome for outcome in outcomes if isinstance(outcome, Prediction)), None)
    watched = run.report.command != "why"
    tapped = frozenset(run.tapped)
    report = _diagnose(
        run.report.command,
        probe,
        run.snapshot,
        prediction,
        run.observations if watched else None,
        tapped,
        clock,
        run.earlier,
    )
    kept = tuple(note for note in run.report.notes if note.startswith(CHANGED))
    report = concluded(replace(report, notes=(*report.notes, *kept)))
    report, _ = _foretell(None, report, run.snapshot, run.earlier)
    report = replace(report, capture=run.report.capture, timings=run.report.timings)
    return replace(run, report=_typed(report, run.snapshot))


def foresee(
    world: World, probe: Probe, snapshot: Snapshot, clock: _Clock
) -> tuple[Snapshot, Prediction | None]:
    """Predict, reading what the prediction asks for, until it is complete.

    None when reading brings nothing new.
    """
    rulings: Rulings = {}
    for _ in range(_ROUNDS):
        since = time.monotonic_ns()
        outcome = predict(snapshot, probe, rulings=rulings)
        clock.add("predict", since)
        if isinstance(outcome, Prediction):
            return snapshot, outcome
        since = time.monotonic_ns()
        grown = _with_peers(world, world.read(snapshot, outcome), outcome)
        clock.add("snapshot", since)
        if grown == snapshot:
            raise CannotLook(
                f"cannot read {_needed(outcome)}",
                "It may have vanished while netprobe was looking; try again.",
            )
        snapshot = grown
    return snapshot, None


def _ask_tracking(world: World, snapshot: Snapshot, prediction: Prediction, clock: _Clock) -> Snapshot:
    """Ask connection tracking what it made of the probe, in each namespace that translates it."""
    from .diagnose.nat_evidence import questions

    since = time.monotonic_ns()
    needs = questions(prediction.request.hops)
    snapshot = world.read(snapshot, needs) if needs else snapshot
    clock.add("observe", since)
    return snapshot


def _look_around(
    world: World, snapshot: Snapshot, prediction: Prediction, clock: _Clock, earlier: Earlier | None
) -> Snapshot:
    """Read what the diagnosis of a loss asks for: where the packet would have gone, had one thing been
    different.
    """
    from .diagnose.repair.choice import lacking

    since, before = time.monotonic_ns(), earlier.snapshot if earlier is not None else None
    for _ in range(_ROUNDS):
        needs = lacking(snapshot, prediction, before) or _unfinished(snapshot, prediction.probe)
        needs = needs[:_AROUND]
        grown = _with_peers(world, world.read(snapshot, needs), needs) if needs else snapshot
        if grown == snapshot:
            break
        snapshot = grown
    clock.add("snapshot", since)
    return snapshot


def _unfinished(snapshot: Snapshot, probe: Probe) -> tuple[Need, ...]:
    """What the walk asks for now that more was read, so that a saved run can be walked again."""
    outcome = predict(snapshot, probe, ask=False)
    return () if isinstance(outcome, Prediction) else outcome


def _needed(needs: Sequence[Need]) -> str:
    need = needs[0]
    if isinstance(need, ReadNamespace):
        return f"the configuration of {need.name}"
    if isinstance(need, FindPeer):
        return f"what {need.namespace} is connected to"
    if isinstance(need, FindMacvlans):
        return f"what stands on the interfaces of {need.namespace}"
    return f"the routes of {need.namespace}"


def _watch(probe: Probe, snapshot: Snapshot, prediction: Prediction | None) -> Watch:
    from .predict.lookout import watch

    return watch(probe, snapshot, prediction)


def _observe(
    world: World, watch: Watch, prediction: Prediction | None, clock: _Clock
) -> tuple[tuple[Observation, ...], Interrupted | None]:
    """What was seen of the probe, and how that was interrupted, if it was."""
    from .diagnose.stop_rule import settled

    since, interrupted = time.monotonic_ns(), None
    try:
        seen = world.observe(watch, settled(watch.probe, prediction))
    except Interrupted as error:
        seen, interrupted = error.kept, error
    clock.add("observe", since)
    return seen, interrupted


def _diagnose(
    command: str,
    probe: Probe,
    snapshot: Snapshot,
    prediction: Prediction | None,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: _Clock,
    earlier: Earlier | None,
) -> Report:
    from .diagnose.report import diagnose

    since = time.monotonic_ns()
    report = diagnose(command, probe, snapshot, prediction, seen, tapped, _explain, earlier)
    if report.causes:
        from .causes.symptoms import with_symptoms

        report = with_symptoms(report, snapshot)
    clock.add("diagnose", since)
    return report


def _explain(case: Case) -> Cause | None:
    """The root cause of a case; the catalogue comes in where there is something to explain."""
    from .causes.catalogue import explain

    return explain(case)


def _foretell(
    world: World | None, report: Report, snapshot: Snapshot, earlier: Earlier | None
) -> tuple[Report, Snapshot]:
    """The report with what would come after its cause; `world` reads on where the mended way leads through
    the unread.
    """
    if not report.causes:
        return report, snapshot
    from .diagnose.blockers import lacking, with_outlook

    # a look ahead: whatever it stumbles over in a model that is not real, the answer stands
    with suppress(Exception):
        for _ in range(_ROUNDS if world is not None else 0):
            needs = lacking(report, snapshot, _explain, earlier)
            grown = (
                _with_peers(world, world.read(snapshot, needs), needs)
                if needs and world is not None
                else snapshot
            )
            if grown == snapshot:
                break
            snapshot = grown
        report = with_outlook(report, snapshot, _explain, earlier)
    return report, snapshot


def _typed(report: Report, snapshot: Snapshot) -> Report:
    """The report with commands that say where they are typed."""
    if not report.causes:
        return report
    from .diagnose.entrances import with_entrances

    return with_entrances(report, snapshot)


def _probe(world: World, question: Question) -> Probe:
    """Endpoints and options into a probe; whatever depends on the configuration is decided by the
    prediction.
    """
    source = world.resolve(question.source)
    if source.namespace is None:
        raise WrongQuestion(
            f"{question.source} is no place to send from",
            "SRC is a namespace or a container; see `netprobe ls`.",
        )
    check_source(question, source)
    source = _sent_from(source, question.source_address)
    target = world.resolve(question.destination, source)
    check_target(question, target)
    port = question.port if question.port is not None else target.port
    target = replace(target, port=port)
    if target.address is None:
        target = replace(target, address=_address_of(world, target, question, source))
    check_pair(source.address, target.address or "", question.destination)
    source = _on_link(world, source, target)
    six = ":" in (target.address or "")
    if question.version is not None and six is not (question.version == 6):
        raise WrongQuestion(
            f"{target.address} is an IPv{6 if six else 4} address", f"Leave out -{question.version}."
        )
    protocol = _protocol(question, target)
    check_options(question, protocol, target.port)
    ports = protocol in (Protocol.TCP, Protocol.UDP)
    if ports and target.port is None:
        raise WrongQuestion(
            f"{protocol.upper()} needs a port", f"Write {question.destination}:PORT or add -P PORT."
        )
    return Probe(
        protocol, os.urandom(8).hex(), source, target, count=question.count, ttl=question.ttl, df=question.df,
        size=DEFAULT_SIZE if question.size is None else question.size,
        source_port=question.source_port or (random.randrange(32768, 60768) if ports else None),
        icmp_id=None if ports else random.randrange(1, 65536), mark=question.mark, uid=question.uid or 0,
        interval_ns=question.interval_ns, timeout_ns=question.timeout_ns,
        reused=question.source_port is not None,
    )  # fmt: skip


def _sent_from(source: Endpoint, written: str | None) -> Endpoint:
    """The source with the address of `--source-address`, and with the interface that may stand behind it."""
    if written is None:
        return source
    address, zone = source_address(written)
    if zone is not None and source.interface not in (None, zone):
        raise WrongQuestion(
            f"{written} is on {zone}, and {source.endpoint} is another interface", f"Write {address}"
        )
    return replace(source, address=address, interface=zone or source.interface)


def _on_link(world: World, source: Endpoint, target: Endpoint) -> Endpoint:
    """The source with the interface on which a link-local destination is meant; any other needs none."""
    from .predict import destination, prefix

    if target.address is None or source.namespace is None or not prefix.needs_scope(target.address):
        return source
    here = world.read(Snapshot(), [ReadNamespace(source.namespace)])[source.namespace]
    zone = target.interface if target.namespace is None else None
    return replace(source, interface=destination.scope(here, source, target.address, zone))


def _protocol(question: Question, target: Endpoint) -> Protocol:
    named = question.protocol or target.protocol or ("tcp" if target.port is not None else "icmp")
    six = ":" in (target.address or "")
    return {
        "icmp": Protocol.ICMPV6 if six else Protocol.ICMP,
        "arp": Protocol.ND if six else Protocol.ARP,
    }.get(named) or Protocol(named)


def _version(address: str | None) -> int | None:
    if address is None:
        return None
    return 6 if ":" in address else 4


def _address_of(world: World, target: Endpoint, question: Question, source: Endpoint) -> str:
    """The address of a destination that is given as a namespace: one on a network of the source first."""
    from .predict.destination import destination_address
    from .predict.unread import Unread, guarded

    assert target.namespace is not None
    snapshot = world.read(
        Snapshot(), [ReadNamespace(n) for n in dict.fromkeys((source.namespace, target.namespace)) if n]
    )
    try:
        found = destination_address(
            guarded(snapshot), source, target, question.version or _version(source.address)
        )
    except Unread as unread:
        raise CannotLook(unread.reason.text) from unread
    if found is None:
        kind = f"IPv{question.version} " if question.version else ""
        why = "".join(f": {note}" for note in target.notes[:1])
        raise WrongQuestion(
            f"{question.destination} has no {kind}address{why}", "Give the address instead, or -4 / -6."
        )
    return found
