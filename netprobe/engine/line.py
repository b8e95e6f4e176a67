"""The line: resolve, snapshot, predict, observe, diagnose. Every command is a slice of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.errors import Interrupted, for_want_of_resources
from netprobe.model import Earlier, End, Observation, Probe, Report, Run, Snapshot, Verdict, Watch
from netprobe.predict.arping import is_cut_off
from netprobe.predict.predict import Prediction, predict
from netprobe.question import Question

from .beforehand import beforehand
from .clock import Clock
from .conclude import diagnosed, lost, typed, undecided, unexplained
from .confirm import Conclusion, confirmed, is_to_be_confirmed
from .probe import other_segment, to_probe
from .rounds import ask_holders, ask_tracking, foresee, foretell, look_for_the_cause
from .world import Recall, World

# of all reading for one question, beside the probe's own wait: what is not read by then is a blind spot
READING_NS = 1_700_000_000


def ask(world: World, question: Question, recall: Recall | None = None) -> Run:
    """Answer one question; `recall` knows when all was well with it.

    Raises WrongQuestion, NotPermitted or CannotLook; a broken network is in the report. Raises Interrupted,
    with the run so far, for a Ctrl-C while it was observed.
    """
    with for_want_of_resources(), world.reading(READING_NS) as pauses:
        return _asked(world, question, recall, Clock(pauses))


class _Looked(Struct, frozen=True):
    """What was asked and what was seen of it: what a report is made of.

    `probe` is the question's, `sent` what left; `seen` is None where nothing was sent. `decided` False: it
    was interrupted before an answer was due to any of the packets.
    """

    command: str
    probe: Probe
    sent: Probe
    snapshot: Snapshot
    prediction: Prediction | None
    seen: tuple[Observation, ...] | None = None
    tapped: frozenset[str] = frozenset()
    decided: bool = True


_Concluded = tuple[Report, Snapshot, Earlier | None]


def _asked(world: World, question: Question, recall: Recall | None, clock: Clock) -> Run:
    started = time.time_ns()
    found, interruption = _looked(world, question, recall, clock)
    try:
        report, snapshot, earlier = _concluded(world, found, recall, clock)
    except KeyboardInterrupt as error:  # what was seen is kept, without the cause that was sought
        if found.seen is None:
            raise
        report, snapshot, earlier = _unexplained(found, clock), found.snapshot, None
        interruption = error
    report = typed(replace(report, timings=clock.timings()), snapshot)
    kept = _kept(earlier, report)
    run = Run(report, snapshot, found.seen or (), started, tuple(sorted(found.tapped)), kept)
    if interruption is not None:
        raise Interrupted(report.sent, _incomplete(run, question.count)) from interruption
    return run


def _looked(
    world: World, question: Question, recall: Recall | None, clock: Clock
) -> tuple[_Looked, BaseException | None]:
    """What was seen of the probe, and the interruption, if one came meanwhile: then of fewer packets."""
    posed = to_probe(world, question)
    probe = posed.probe
    if recall is not None:
        recall.check(question.command, probe)
    snapshot, prediction = foresee(world, probe, posed.snapshot, clock)
    sent = prediction.probe if prediction is not None else probe
    found = _Looked(question.command, probe, sent, snapshot, prediction)
    nowhere = sent.protocol.on_segment and sent.device is None
    if nowhere and prediction is not None and _has_no_interface(prediction):
        here, target = snapshot[sent.source.namespace or ""], sent.destination.address or ""
        if not is_cut_off(here, target, sent.source.interface):
            raise other_segment(question, sent, here)
    if nowhere or sent.source.address is None or not question.send:
        return found, None
    watch = _watch(sent, snapshot, prediction)
    seen, interruption = _observe(world, watch, prediction, clock)
    if interruption is not None:
        found = _of_the_first(found, interruption.count, seen)
    tapped = frozenset(watch.namespaces) - {o.namespace for o in seen if o.kind == "blind"}
    return replace(found, seen=seen, tapped=tapped), interruption


def _has_no_interface(prediction: Prediction) -> bool:
    """Whether a question to a segment would leave by no interface at all."""
    request = prediction.request
    unknown = request.end is End.UNDETERMINED
    return not unknown and (request.stop is None or request.stop.place.interface is None)


def _of_the_first(found: _Looked, decided: int, seen: Sequence[Observation]) -> _Looked:
    """The same of a probe of so many packets as are decided; where none is, of those that were seen."""
    count = decided or min(found.probe.count, 1 + max((each.sequence for each in seen), default=0))
    probe, sent = (replace(each, count=count) for each in (found.probe, found.sent))
    prediction = found.prediction and replace(found.prediction, probe=sent)
    return replace(found, probe=probe, sent=sent, prediction=prediction, decided=decided > 0)


def _concluded(world: World, found: _Looked, recall: Recall | None, clock: Clock) -> _Concluded:
    """The report, with the cause of a loss, the configuration it rests on, and the earlier run."""
    snapshot, prediction, seen, sent = found.snapshot, found.prediction, found.seen, found.sent
    if not found.decided:
        return _unexplained(found, clock), snapshot, None
    if prediction is not None and seen is not None:
        snapshot = ask_tracking(world, snapshot, prediction, clock)
    if prediction is not None:
        snapshot = ask_holders(world, snapshot, prediction, clock)
    earlier = _recalled(recall, found)
    if prediction is not None and lost(snapshot, prediction, seen):
        snapshot = look_for_the_cause(world, snapshot, prediction, seen, clock, earlier)
    report = diagnosed(found.command, sent, snapshot, prediction, seen, found.tapped, clock, earlier)
    if prediction is not None and is_to_be_confirmed(report, prediction):
        first = Conclusion(report, snapshot, prediction)
        report, snapshot = confirmed(world, found.probe, first, seen, found.tapped, clock, earlier)
    report, snapshot = foretell(world, report, snapshot, clock, earlier)
    return report, snapshot, earlier


def _unexplained(found: _Looked, clock: Clock) -> Report:
    """The report on what was seen, whose cause is not looked for."""
    sent, prediction, seen = found.sent, found.prediction, found.seen
    with clock.of("diagnose"):
        report = unexplained(found.command, sent, found.snapshot, prediction, seen, found.tapped)
    return report if found.decided else undecided(report)


def replay(run: Run) -> Run:
    """A saved run diagnosed again, from what it recorded: no kernel, no privilege."""
    asked, clock = run.report.probe, Clock()
    # what the kernel was not asked then, the model decides
    outcomes = (predict(run.snapshot, asked, ask) for ask in (True, False))
    prediction = next((outcome for outcome in outcomes if isinstance(outcome, Prediction)), None)
    seen = run.observations if run.report.command != "why" else None
    tapped = frozenset(run.tapped)
    found = _Looked(run.report.command, asked, asked, run.snapshot, prediction, seen, tapped)
    # an interrupted one; whose packets were all sent is whole once it is diagnosed
    is_short = not run.report.complete and 0 <= run.report.sent < asked.count
    if is_short:
        found = _of_the_first(found, run.report.sent, run.observations)
    report = _concluded_again(run, found, clock) if found.decided else _unexplained(found, clock)
    report = replace(report, capture=run.report.capture, timings=run.report.timings)
    replayed = replace(run, report=typed(report, run.snapshot))
    return _incomplete(replayed, asked.count) if is_short else replayed


def _concluded_again(run: Run, found: _Looked, clock: Clock) -> Report:
    """The report on what was recorded, with the cause of a loss."""
    from netprobe.diagnose.change import CHANGED, concluded
    from netprobe.model.report import HELD

    report = diagnosed(
        found.command,
        found.sent,
        run.snapshot,
        found.prediction,
        found.seen,
        found.tapped,
        clock,
        run.earlier,
    )
    kept = tuple(note for note in run.report.notes if note.startswith(CHANGED) or HELD in note)
    report = concluded(replace(report, notes=(*report.notes, *kept)))
    report, _ = foretell(None, report, run.snapshot, clock, run.earlier)
    return report


def _incomplete(run: Run, asked: int) -> Run:
    """The run that was interrupted. Its probe is again of as many packets as were asked for."""
    report = run.report
    whole = report.sent >= asked and report.verdict is Verdict.REACHABLE
    probe = replace(report.probe, count=asked)
    return replace(run, report=replace(report, complete=whole, probe=probe))


def _recalled(recall: Recall | None, found: _Looked) -> Earlier | None:
    """An earlier run in which all was well, where it is not now; a good answer costs no look."""
    if recall is None:
        return None
    if found.seen is None:
        good = found.prediction is not None and found.prediction.passes
    else:
        answered = {o.sequence for o in found.seen if o.kind == "answered" and o.text != "refused"}
        good = len(answered) >= found.sent.count
    if good:
        return None
    from netprobe.diagnose.since import holds_together

    earlier = recall.find(found.command, found.probe)
    return earlier if earlier is not None and holds_together(earlier.snapshot) else None


def _kept(earlier: Earlier | None, report: Report) -> Earlier | None:
    """What is saved of the earlier run with the report that rests on it."""
    if earlier is None or report.since is None:
        return None
    from netprobe.diagnose.since import kept

    return kept(earlier, report.since)


def _watch(probe: Probe, snapshot: Snapshot, prediction: Prediction | None) -> Watch:
    from netprobe.predict.lookout import watch

    return watch(probe, snapshot, prediction)


def _observe(
    world: World, watch: Watch, prediction: Prediction | None, clock: Clock
) -> tuple[tuple[Observation, ...], Interrupted | None]:
    """What was seen of the probe, and how that was interrupted, if it was."""
    from netprobe.diagnose.stop_rule import settled

    decide = settled(watch.probe, prediction)
    if prediction is not None and prediction.stop is not None:
        decide = beforehand(decide)
    with clock.of("observe"):
        try:
            return world.observe(watch, decide), None
        except Interrupted as error:
            return error.kept, error
