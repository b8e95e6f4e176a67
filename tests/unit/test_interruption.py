"""What is left of a run that Ctrl-C ends: in the middle of the probes, and while the cause is sought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from fuzzing.recorded_world import SAMPLE, RecordedMachine
from msgspec.structs import replace

import netprobe
from netprobe.codec import run_from_json, run_to_json
from netprobe.engine import ask, replay
from netprobe.errors import Interrupted
from netprobe.linux import machine
from netprobe.model import Leg, Need, Observation, Run, Snapshot, Verdict
from netprobe.question import Question
from netprobe.render.text import ping, text
from netprobe.saved import load

HEALTHY, BROKEN = SAMPLE, SAMPLE.with_name("no-masquerade.pcapng")


class Interruptible(RecordedMachine):
    """A recorded machine on which each of the first `decided` packets fares as the one of the recording; Ctrl-C comes
    after them, or, where it is said, when something is read then.
    """

    def __init__(self, sample: Any, decided: int, while_reading: bool = False) -> None:
        self.sample = sample
        super().__init__()
        self.decided, self.while_reading, self.early = decided, while_reading, False
        self.is_observed = False

    def observe(self, *_: Any) -> tuple[Observation, ...]:
        self.is_observed = True
        _, run = load(str(self.sample))
        assert run is not None
        each = [[replace(o, sequence=n) for o in run.observations if o.sequence == 0] for n in range(self.decided)]
        seen = tuple(o for several in each for o in several)
        if self.while_reading:
            return seen
        raise Interrupted(0 if self.early else self.decided, seen)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        if self.is_observed and self.while_reading:
            raise KeyboardInterrupt
        return super().read(snapshot, needs)


def interrupted(machine: Interruptible, count: int, command: str = "trace") -> Run:
    with pytest.raises(Interrupted) as caught:
        ask(machine, Question("red", "8.8.8.8", command, count=count))
    run = caught.value.kept
    assert isinstance(run, Run)
    assert caught.value.count == run.report.sent
    return run_from_json(run_to_json(run))


def test_in_the_middle_of_the_probes() -> None:
    report = interrupted(Interruptible(HEALTHY, 37), 100).report
    assert (report.verdict, report.sent, report.received) == (Verdict.REACHABLE, 37, 37)
    assert (report.complete, report.probe.count) == (False, 100)
    assert "37 of 37 answered, interrupted after 37 of 100\n" in text(report)
    assert "  37 of 37 answered, interrupted after 37 of 100  round trip min " in ping(report)


def test_a_loss_in_the_middle_has_its_cause() -> None:
    report = interrupted(Interruptible(BROKEN, 2), 100).report
    assert (report.verdict, report.sent, report.complete) == (Verdict.UNREACHABLE, 2, False)
    assert [cause.code for cause in report.causes][:1] == ["nat-missing"]


@pytest.mark.parametrize("sample", [HEALTHY, BROKEN])
def test_its_capture_says_the_same_again(sample: Any) -> None:
    run = interrupted(Interruptible(sample, 5), 100)
    again = replay(run).report
    for name in ("complete", "verdict", "sent", "received", "probe", "summary"):
        assert getattr(again, name) == getattr(run.report, name), name


@pytest.mark.parametrize("sample", [HEALTHY, BROKEN])
def test_before_an_answer_was_due(sample: Any) -> None:
    """Nothing is concluded from packets that are under way; a capture says the same again."""
    recording = Interruptible(sample, 4)
    recording.early = True
    run = interrupted(recording, 100)
    for report in (run.report, replay(run).report):
        assert (report.verdict, report.sent, report.received, report.probe.count) == (Verdict.UNDETERMINED, 0, 0, 100)
        assert (report.complete, report.causes, report.direction, report.agreement) == (False, (), None, "observed-only")
        assert report.path.request[0].observed
        assert ", interrupted after 0 of 100\n" in text(report)


def test_while_the_cause_is_sought() -> None:
    """All packets are decided: no cause is named, and who looks at the capture has it."""
    run = interrupted(Interruptible(BROKEN, 3, while_reading=True), 3)
    report = run.report
    assert (report.verdict, report.direction, report.sent, report.causes) == (Verdict.UNREACHABLE, Leg.REPLY, 3, ())
    assert not report.complete
    assert "interrupted before the cause was found\n" in text(report)
    again = replay(run).report
    assert again.complete
    assert "interrupted" not in text(again)


def test_after_the_last_answer_nothing_is_missing() -> None:
    machine = Interruptible(HEALTHY, 4, while_reading=True)
    with pytest.raises(Interrupted) as caught:
        ask(machine, Question("red", "8.8.8.8", count=4))
    report = caught.value.kept.report
    assert (report.verdict, report.sent, report.complete) == (Verdict.REACHABLE, 4, True)


def test_a_prediction_has_nothing_to_keep() -> None:
    class Reading(Interruptible):
        def read(self, *_: Any) -> Snapshot:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        ask(Reading(HEALTHY, 1), Question("red", "8.8.8.8", "why", send=False))
    assert not isinstance(caught.value, Interrupted)


def test_python_keeps_the_capture_too(tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    with patch.object(machine, "Machine", lambda *_: Interruptible(HEALTHY, 5)), pytest.raises(Interrupted):
        netprobe.trace("red", "8.8.8.8", count=100, write=file)
    assert (netprobe.load(file).sent, netprobe.load(file).complete) == (5, False)


@pytest.mark.parametrize("sent", [0, -5, 101])
def test_a_report_that_says_otherwise_is_no_harm(sent: int) -> None:
    """A capture may come from anybody."""
    run = interrupted(Interruptible(HEALTHY, 5), 100)
    seen = (*run.observations, replace(run.observations[0], sequence=1 << 62))
    again = replay(replace(run, report=replace(run.report, sent=sent), observations=seen)).report
    assert again.probe.count == 100
