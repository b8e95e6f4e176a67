"""Reports held against expectations: of recordings, and of small ones made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netprobe.expectations.document import Position
from netprobe.expectations.expectation import Expectation
from netprobe.expectations.judge import Judgement, judge
from netprobe.model import Agreement, Answer, Cause, Object, Report, Run, Verdict
from netprobe.model.check import Status
from netprobe.question import Question
from netprobe.saved import load

PROJECT = Path(__file__).parents[2]
HELD, FAILED, UNDETERMINED = Status.HELD, Status.FAILED, Status.UNDETERMINED


def run_of(file: str) -> Run:
    _, run = load(str(PROJECT / file))
    assert run is not None
    return run


TRACE = run_of("captures/samples/trace-red-8.8.8.8.pcapng")
DROPPED = run_of("tests/faults/recordings/forward-drop.pcapng")
ARPING = run_of("captures/samples/arping-c1-c2.pcapng")


def judged(run: Run, report: Report | None = None, **wanted: object) -> Judgement:
    probe = run.report.probe
    question = Question(probe.source.endpoint, probe.destination.endpoint, run.report.command)
    expectation = Expectation(question, Position("net.yaml"), **wanted)  # type: ignore[arg-type]
    return judge(expectation, report or run.report, run.snapshot, lambda word: place(run, word))


def place(run: Run, word: str) -> tuple[str | None, str | None] | None:
    name, _, interface = word.partition("/")
    return (name, interface or None) if name in run.snapshot else None


@pytest.mark.parametrize(
    ("wanted", "status", "reason"),
    [
        ({}, HELD, "8.8.8.8 is reachable from red"),
        ({"reachable": False}, FAILED, "8.8.8.8 is reachable from red"),
        ({"nat_source": "203.0.113.2"}, HELD, ""),
        ({"nat_source": "203.0.113.3"}, FAILED, "the source is 203.0.113.2 at the end, not 203.0.113.3"),
        ({"nat_destination": "8.8.8.8"}, HELD, ""),
        ({"untranslated": True}, FAILED, "the source 10.0.0.2 becomes 203.0.113.2"),
        ({"via": ("host",)}, HELD, ""),
        ({"via": ("host/br0", "internet")}, HELD, ""),
        ({"via": ("internet", "host")}, FAILED, "does not pass host"),
        ({"via": ("host/docker0",)}, FAILED, "does not pass host/docker0: it goes red → host → internet"),
        ({"via": ("10.0.0.1",)}, HELD, ""),
        ({"via": ("203.0.113.1",)}, HELD, ""),
        ({"via": ("203.0.113.9",)}, FAILED, "does not pass 203.0.113.9"),
        ({"max_rtt_ns": 10**9}, HELD, ""),
        ({"max_rtt_ns": 1}, FAILED, "more than 1e-06 ms"),
    ],
)  # fmt: skip
def test_what_is_reachable(wanted: dict[str, object], status: Status, reason: str) -> None:
    found = judged(TRACE, **wanted)
    assert (found.status, reason in found.reason) == (status, True), found


@pytest.mark.parametrize(
    ("wanted", "status", "reason"),
    [
        ({"reachable": True}, FAILED, "drops the packet"),
        ({}, HELD, ""),
        ({"cause": "filtered-by-rule"}, HELD, ""),
        ({"cause": "no-route"}, FAILED, "blocked by filtered-by-rule (nft inet lab forward handle 5), not no-route"),
        ({"by": "nft inet lab forward handle 5"}, HELD, ""),
        ({"by": "nft inet lab forward handle 7"}, FAILED, "not nft inet lab forward handle 7"),
        ({"cause": "no-route", "by": "nft inet lab forward handle 5"}, FAILED, "not nft inet lab forward handle 5"),
    ],
)
def test_what_is_blocked(wanted: dict[str, object], status: Status, reason: str) -> None:
    found = judged(DROPPED, **{"reachable": False, **wanted})
    assert (found.status, reason in found.reason) == (status, True), found


def test_what_a_dead_link_blocks_is_no_proof_of_a_rule() -> None:
    """The rule stands behind it, and would drop what never comes to it."""
    [rule] = DROPPED.report.causes[:1]
    link = Cause("link-admin-down", rule.place, "veth0 is down", Object("link", "veth0"))
    report = replace(DROPPED.report, causes=(link,), blockers=(rule,))
    found = judged(DROPPED, report, reachable=False, by="nft inet lab forward handle 5")
    assert found.status is FAILED
    assert found.reason == "blocked by link-admin-down (veth0); nft inet lab forward handle 5 would come after that"
    behind = replace(rule, because=link)
    assert judged(DROPPED, replace(report, causes=(behind,)), reachable=False, cause="link-admin-down").status is HELD


def test_what_nobody_can_tell_is_undetermined() -> None:
    report = replace(TRACE.report, verdict=Verdict.UNDETERMINED, summary="whether")
    assert judged(TRACE, report) == Judgement(UNDETERMINED, "whether")
    assert judged(TRACE, report, reachable=False).status is UNDETERMINED
    unexplained = replace(DROPPED.report, causes=())
    assert judged(DROPPED, unexplained, reachable=False, cause="no-route").status is UNDETERMINED


def test_a_part_of_the_answers_is_neither_reachable_nor_blocked() -> None:
    report = replace(TRACE.report, verdict=Verdict.INTERMITTENT, summary="1 of 3 were lost")
    assert judged(TRACE, report).status is FAILED
    assert judged(TRACE, report, reachable=False).status is FAILED


def test_who_answers() -> None:
    assert judged(ARPING, unique=True, mac="02:42:ac:11:00:03").status is HELD
    assert "not 02:00:00:00:00:01" in judged(ARPING, mac="02:00:00:00:00:01").reason
    second = Answer(0, "172.17.0.3", "02:00:00:00:00:99", 1000, False)
    report = replace(ARPING.report, answers=(*ARPING.report.answers, second))
    assert judged(ARPING, report, unique=True).reason == "2 stations answer: 02:42:ac:11:00:03, 02:00:00:00:00:99"
    assert judged(ARPING, report).status is HELD


def test_what_was_not_looked_at_is_said() -> None:
    predicted = replace(TRACE.report, agreement=Agreement.PREDICTED_ONLY, rtt_ns=())
    assert judged(TRACE, predicted, max_rtt_ns=1).notes == ("max_rtt was not looked at: nothing was sent",)
    assert judged(TRACE, predicted).notes == ()
