"""What comes after the first cause: mend it in the model, walk again, and say whether the probe would pass then. Pure."""

from __future__ import annotations

from dataclasses import replace

from netprobe.model import Agreement, Cause, Probe, Report, Snapshot, Verdict

from .diagnose import Explain, diagnose
from .mend import mend
from .predict import Prediction, predict

_ROUNDS = 5  # who has mended five things asks again
_OTHER_SOURCE = {"route-wrong-src", "addr-wrong-subnet", "addr-wrong-prefix", "addr-is-broadcast", "addr-duplicate", "addr-dad-failed"}


def with_outlook(report: Report, snapshot: Snapshot, explain: Explain) -> Report:
    """The report with what else stands in the way of its probe (`blockers`), and a note whether it would pass then.

    Where prediction and observation disagree nothing is foretold, and where a fix has no plain effect the report stays as it is.
    """
    if not report.causes or report.agreement is Agreement.DISAGREE or report.verdict is Verdict.REACHABLE:
        return report
    blockers, passes = _look(report, snapshot, explain)
    return replace(report, blockers=blockers, notes=(*report.notes, *([_note(len(blockers))] if passes else [])))


def _look(report: Report, snapshot: Snapshot, explain: Explain) -> tuple[tuple[Cause, ...], bool]:
    """The further causes in the order in which they show, and whether the probe passes when all are mended."""
    causes = [report.causes[0]]
    for _ in range(_ROUNDS):
        mended = mend(snapshot, causes[-1])
        again = _ask(mended, report.probe, causes[-1], explain) if mended is not None else None
        if mended is None or again is None:
            break
        if again.verdict is Verdict.REACHABLE:
            return tuple(causes[1:]), True
        if not again.causes or any(_same(again.causes[0], known) for known in causes):
            break
        causes.append(again.causes[0])
        snapshot = mended
    return tuple(causes[1:]), False


def _ask(snapshot: Snapshot, probe: Probe, mended: Cause, explain: Explain) -> Report | None:
    """The same question to the mended model; None where it would need what was never read."""
    if mended.code in _OTHER_SOURCE:  # the sender chooses its address anew
        probe = replace(probe, source=replace(probe.source, address=None))
    outcome = predict(snapshot, probe, ask=False)
    if not isinstance(outcome, Prediction):
        return None
    return diagnose("why", outcome.probe, snapshot, outcome, None, frozenset(), explain)


def _same(one: Cause, other: Cause) -> bool:
    """The same thing at the same place: mending it did not help."""
    things = (one.object.id if one.object else None, other.object.id if other.object else None)
    return (one.code, one.place.namespace) == (other.code, other.place.namespace) and things[0] == things[1]


def _note(further: int) -> str:
    what = "with the cause mended" if not further else "with the cause and what stands behind it mended"
    return f"{what}, the probe would pass (predicted)"
