"""The line: resolve, snapshot, predict, observe, diagnose. Every command is a slice of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.errors import Interrupted, for_want_of_resources
from netprobe.model import Earlier, End, Observation, Probe, Report, Run, Snapshot, Watch
from netprobe.predict.predict import Prediction, predict
from netprobe.question import Question

from .clock import Clock, now
from .conclude import diagnosed, lost, typed
from .confirm import Conclusion, confirmed, is_to_be_confirmed
from .probe import other_segment, to_probe
from .rounds import ask_tracking, foresee, foretell, look_around
from .world import Recall, World

# of all reading for one question, beside the probe's own wait: what is not read by then is a blind spot
READING_NS = 1_700_000_000


def ask(world: World, question: Question, recall: Recall | None = None) -> Run:
    """Answer one question; `recall` knows when all was well with it.

    Raises WrongQuestion, NotPermitted or CannotLook; a broken network is in the report. Raises Interrupted,
    with the run so far, for a Ctrl-C while it was observed.
    """
    with for_want_of_resources(), world.reading(READING_NS):
        return _asked(world, question, recall)


def _asked(world: World, question: Question, recall: Recall | None) -> Run:
    clock, started = Clock(), time.time_ns()
    probe = to_probe(world, question)
    if recall is not None:
        recall.check(question.command, probe)
    snapshot, prediction = foresee(world, probe, Snapshot(moment=now()), clock)
    sent = prediction.probe if prediction is not None else probe
    on_segment = sent.protocol.on_segment
    if (
        on_segment
        and sent.device is None
        and prediction is not None
        and prediction.request.end is not End.UNDETERMINED
    ):
        raise other_segment(question, sent)
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
        snapshot = ask_tracking(world, snapshot, prediction, clock)
    earlier = _recalled(recall, question.command, sent, prediction, observations)
    if prediction is not None and lost(prediction, observations):
        snapshot = look_around(world, snapshot, prediction, clock, earlier)
    report = diagnosed(question.command, sent, snapshot, prediction, observations, tapped, clock, earlier)
    if prediction is not None and is_to_be_confirmed(report, prediction):
        found = Conclusion(report, snapshot, prediction)
        report, snapshot = confirmed(world, probe, found, observations, tapped, clock, earlier)
    with clock.of("diagnose"):
        report, snapshot = foretell(world, report, snapshot, clock, earlier)
    report = replace(report, timings=clock.timings())
    kept = _kept(earlier, report)
    run = Run(typed(report, snapshot), snapshot, observations or (), started, tuple(sorted(tapped)), kept)
    if interrupted is not None:
        raise Interrupted(interrupted.count, _with_note(run, question.count)) from interrupted
    return run


def replay(run: Run) -> Run:
    """A saved run diagnosed again, from what it recorded: no kernel, no privilege."""
    from netprobe.diagnose.change import CHANGED, concluded

    probe, clock = run.report.probe, Clock()
    # what the kernel was not asked then, the model decides
    outcomes = (predict(run.snapshot, probe, ask) for ask in (True, False))
    prediction = next((outcome for outcome in outcomes if isinstance(outcome, Prediction)), None)
    watched = run.report.command != "why"
    tapped = frozenset(run.tapped)
    report = diagnosed(
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
    report, _ = foretell(None, report, run.snapshot, clock, run.earlier)
    report = replace(report, capture=run.report.capture, timings=run.report.timings)
    return replace(run, report=typed(report, run.snapshot))


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
    from netprobe.diagnose.since import holds_together

    found = recall.find(command, sent)
    return found if found is not None and holds_together(found.snapshot) else None


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

    with clock.of("observe"):
        try:
            return world.observe(watch, settled(watch.probe, prediction)), None
        except Interrupted as error:
            return error.kept, error
