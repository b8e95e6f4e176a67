"""A loss is believed when what it was concluded from is still so."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.errors import CannotLook
from netprobe.model import (
    NOT_IN_TIME,
    Blind,
    Difference,
    Earlier,
    Observation,
    Probe,
    Report,
    Snapshot,
    Verdict,
)
from netprobe.predict.predict import Prediction

from .clock import Clock, now
from .conclude import diagnosed, lost
from .rounds import foresee, look_for_the_cause
from .world import World

_READINGS = 3  # of a configuration that keeps changing


class Conclusion(Struct, frozen=True):
    """What was concluded, and from what."""

    report: Report
    snapshot: Snapshot
    prediction: Prediction


def is_to_be_confirmed(report: Report, prediction: Prediction) -> bool:
    """Whether a loss was concluded, or a walk came to no end: an answer that came needs no proof."""
    lost = report.verdict in (Verdict.UNREACHABLE, Verdict.INTERMITTENT) or (
        report.verdict is Verdict.UNDETERMINED and report.sent > 0
    )
    return lost or (report.verdict is Verdict.UNDETERMINED and prediction.stop is not None)


def confirmed(
    world: World,
    probe: Probe,
    found: Conclusion,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: Clock,
    earlier: Earlier | None,
) -> tuple[Report, Snapshot]:
    """A loss is believed when what it was concluded from is still so.

    What changed is read again, and what is read then decides.
    """
    from netprobe.diagnose.change import concluded, note, same_cause, undecided

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
        if not is_to_be_confirmed(found.report, found.prediction):
            break
    else:  # it never held still
        found = replace(found, report=undecided(found.report))
    if not known or same_cause(first.report, found.report):
        return first.report, first.snapshot
    report = replace(found.report, probe=first.report.probe, notes=(*found.report.notes, note(known)))
    return concluded(report), found.snapshot


def _is_late(change: Difference) -> bool:
    return change.after is not None and NOT_IN_TIME in change.after


def _with_blind(found: Conclusion, unread: Sequence[Difference]) -> Conclusion:
    """What was found, and that these namespaces could not be looked at once more."""
    blind = tuple(Blind(f"the second look at {each.namespace}", NOT_IN_TIME) for each in unread)
    return replace(found, report=replace(found.report, blind=(*found.report.blind, *blind)))


def _found_anew(
    world: World,
    probe: Probe,
    report: Report,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: Clock,
    earlier: Earlier | None,
) -> Conclusion | None:
    """What all that is read now makes of what was seen; None where it can no longer be read."""
    try:
        fresh, prediction = foresee(world, probe, Snapshot(moment=now()), clock)
    except CannotLook:
        return None
    if prediction is None:
        return None
    if lost(fresh, prediction, seen):
        fresh = look_for_the_cause(world, fresh, prediction, seen, clock, earlier)
    again = diagnosed(report.command, report.probe, fresh, prediction, seen, tapped, clock, earlier)
    return Conclusion(again, fresh, prediction)


def _changed_since(world: World, found: Conclusion, clock: Clock) -> tuple[Difference, ...]:
    """What is otherwise by now in the namespaces that a conclusion rests on."""
    from netprobe.diagnose.change import changes, families, questions, resting, without

    names = resting(found.report, found.prediction, found.snapshot)
    with clock.of("snapshot"):
        fresh = world.read(without(found.snapshot, names), questions(found.snapshot, names))
    return changes(found.snapshot, fresh, names, families(found.prediction))
