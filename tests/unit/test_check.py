"""The loop over expectations, with answers made here: what each becomes, exit codes, waiting, Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import asdict, replace

from netprobe.checking import Check, Gathered
from netprobe.cli import run_line
from netprobe.engine.check import Asked, check
from netprobe.engine.recorded import Recorded, Unrecorded
from netprobe.errors import CannotLook, Interrupted, WrongQuestion
from netprobe.expectations.read import expectations
from netprobe.model import Run, Verdict
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.question import Question
from netprobe.saved import load

REPORT, RUN = load(str(Path(__file__).parents[2] / "captures/samples/trace-red-8.8.8.8.pcapng"))
assert RUN is not None
HELD, FAILED, UNDETERMINED, ERROR = Status.HELD, Status.FAILED, Status.UNDETERMINED, Status.ERROR
THREE = expectations(b"expect:\n- {from: red, to: [a, b, c]}\n", "net.yaml", ())


def run_of(verdict: Verdict) -> Run:
    assert RUN is not None
    return replace(RUN, report=replace(RUN.report, verdict=verdict))


def asked_of(*answers: object) -> Asked:
    """Asks what comes next of these: a verdict, or an exception."""
    assert RUN is not None
    left: Iterator[object] = iter(answers)

    def ask(question: Question) -> Run:
        answer = next(left)
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Verdict)
        return run_of(answer)

    return Asked(Recorded([RUN.snapshot]), ask)


YES, NO, UNSURE = Verdict.REACHABLE, Verdict.UNREACHABLE, Verdict.UNDETERMINED


def made(*statuses: Status, codes: tuple[int, ...] = (), complete: bool = True) -> Check:
    left = iter(codes)
    results = tuple(Checked("", "a → b icmp", "reachable", each, "", code=next(left) if each is ERROR else 0) for each in statuses)
    return Check(**asdict(CheckReport(results, len(results), complete=complete)))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (made(HELD, HELD), 0),
        (made(HELD, FAILED), 1),
        (made(FAILED, ERROR, UNDETERMINED, codes=(2,)), 1),
        (made(HELD, ERROR, codes=(2,)), 2),
        (made(ERROR, UNDETERMINED, codes=(3,)), 3),
        (made(ERROR, ERROR, codes=(3, 2)), 2),
        (made(HELD, UNDETERMINED), 4),
        (made(HELD, complete=False), 130),
        (made(FAILED, complete=False), 130),
    ],
)
def test_exit_codes(found: Check, code: int) -> None:
    assert (found.exit_code, bool(found)) == (code, code == 0)


def test_each_becomes_what_was_answered() -> None:
    found = check(asked_of(YES, NO, UNSURE), THREE)
    assert [each.status for each in found.results] == [HELD, FAILED, UNDETERMINED]
    assert {(each.file, each.line) for each in found.results} == {("net.yaml", 2)}
    assert found.results[0].asked == "red → a icmp"
    assert found.complete


def test_what_cannot_be_asked_has_its_hint_and_exit_code() -> None:
    found = check(asked_of(WrongQuestion("no a", "Did you mean b?"), CannotLook("no way"), Unrecorded("not read")), THREE)
    assert [(each.status, each.reason, each.hint, each.code) for each in found.results] == [
        (ERROR, "no a", "Did you mean b?", 2), (ERROR, "no way", "", 3), (UNDETERMINED, "not read", "", 0),
    ]  # fmt: skip


def test_what_does_not_hold_is_asked_again_and_nothing_else() -> None:
    with patch("netprobe.engine.check.time.sleep"):
        found = check(asked_of(YES, NO, WrongQuestion("not yet"), NO, YES, YES), THREE, wait_ns=10**12)
    assert [each.status for each in found.results] == [HELD, HELD, HELD]


def test_waiting_ends() -> None:
    found = check(asked_of(YES, NO, NO), THREE, wait_ns=0)
    assert [each.status for each in found.results] == [HELD, FAILED, FAILED]


@pytest.mark.parametrize(("answers", "statuses"), [((YES, KeyboardInterrupt()), [HELD]), ((KeyboardInterrupt(),), [])])
def test_interrupted_it_has_what_was_decided(answers: tuple[object, ...], statuses: list[Status]) -> None:
    with pytest.raises(Interrupted) as raised:
        check(asked_of(*answers), THREE)
    kept: CheckReport = raised.value.kept
    assert ([each.status for each in kept.results], kept.complete, kept.expected) == (statuses, False, 3)


@pytest.mark.parametrize(("stop", "code"), [(True, 130), (False, 74)])
def test_what_was_not_read_yet_when_it_was_interrupted_is_no_file_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop: bool, code: int
) -> None:
    def asked(_settings: object, _files: object, _options: object, read: list[Gathered]) -> Check:
        read.append(Gathered())
        found = made(complete=not stop)
        if stop:
            raise Interrupted(0, found)
        return found

    monkeypatch.setattr("netprobe.cli.check._live", asked)
    assert run_line(["check", "-w", str(tmp_path / "machine.pcapng"), "net.yaml"]) == code
    assert [*tmp_path.iterdir()] == []


def test_a_place_that_nobody_knows_is_an_error() -> None:
    wanted = expectations(b"expect:\n- {from: red, to: 8.8.8.8, via: [nowhere]}\n", "net.yaml", ())
    [found] = check(asked_of(YES), wanted).results
    assert (found.status, found.code) == (ERROR, 2)
    assert "nowhere" in found.reason


def test_what_changes_turn_is_known() -> None:
    assert RUN is not None
    yes, no = (lambda _: run_of(YES)), (lambda _: run_of(NO))
    for now, before, turned in ((no, yes, "breaks"), (yes, no, "mends"), (yes, yes, ""), (no, no, "")):
        asked = Asked(Recorded([RUN.snapshot]), now, before, None, ("ip link set x down",))
        assert {each.turned for each in check(asked, THREE).results} == {turned}
