"""What is said of a probe: the report, its causes, and where its commands are typed.

The rooms that explain a loss come in where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netprobe.model import Agreement, Cause, Earlier, Observation, Probe, Report, Snapshot, Verdict
from netprobe.predict.dice import falls
from netprobe.predict.predict import Prediction

from .clock import Clock

if TYPE_CHECKING:
    from netprobe.diagnose.evidence import Case

_CONCLUDES = 0.75  # of what is left of the time for searches; the rest is for what stands behind the cause


def diagnosed(
    command: str,
    probe: Probe,
    snapshot: Snapshot,
    prediction: Prediction | None,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
    clock: Clock,
    earlier: Earlier | None,
) -> Report:
    """The report on `probe`, with what its causes show elsewhere; `seen` is None where none was sent."""
    from netprobe.diagnose.evidence import told_of
    from netprobe.diagnose.report import diagnose

    with clock.of("diagnose"):
        clock.allow(_CONCLUDES)
        report = diagnose(
            command, probe, snapshot, prediction, seen, tapped, explain, earlier, clock.searches
        )
        if clock.hurried and report.verdict is not Verdict.REACHABLE:
            report = replace(report, notes=(*report.notes, *told_of("what it asked for last was not read")))
        if not report.causes:
            return report
        from netprobe.causes.symptoms import with_symptoms

        return with_symptoms(report, snapshot)


def unexplained(
    command: str,
    probe: Probe,
    snapshot: Snapshot,
    prediction: Prediction | None,
    seen: Sequence[Observation] | None,
    tapped: frozenset[str],
) -> Report:
    """The report on `probe` without the cause of a loss, which is not looked for: this takes no time."""
    from netprobe.diagnose.report import diagnose

    from .searches import Unsearched

    return diagnose(command, probe, snapshot, prediction, seen, tapped, lambda _: None, searches=Unsearched)


def undecided(report: Report) -> Report:
    """The same where no packet was waited for long enough: what was seen stands, and what comes of it not."""
    source, destination = report.probe.source.endpoint, report.probe.destination.endpoint
    said = f"whether {destination} is reachable from {source} was not decided when the run was interrupted"
    return replace(
        report, verdict=Verdict.UNDETERMINED, agreement=Agreement.OBSERVED_ONLY, direction=None, summary=said,
        sent=0, received=0, rtt_ns=(),
    )  # fmt: skip


def explain(case: Case) -> Cause | None:
    """The root cause of a case; the catalogue comes in where there is something to explain."""
    from netprobe.causes.catalogue import explain

    return explain(case)


def typed(report: Report, snapshot: Snapshot) -> Report:
    """The report with what its fixes change, and commands that say where they are typed."""
    if not report.causes:
        return report
    from netprobe.causes.owners import with_owners
    from netprobe.diagnose.changes import with_changes
    from netprobe.diagnose.entrances import with_entrances

    return with_entrances(with_owners(with_changes(report, snapshot), snapshot), snapshot)


def lost(snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation] | None) -> bool:
    """Whether an answer is missing; or, where nothing was sent, would be, or may be by chance."""
    if seen is None:
        return not prediction.passes or falls(snapshot, prediction)
    answered = {o.sequence for o in seen if o.kind == "answered" and o.text != "refused"}
    return len(answered) < prediction.probe.count
