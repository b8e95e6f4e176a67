"""Declared expectations asked one after the other, and what became of each.

Each asks through the line (`ping`, `arping`), or the model alone (`what_if`), where nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from netprobe.errors import Interrupted, NetprobeError
from netprobe.expectations.expectation import Expectation
from netprobe.expectations.judge import Judgement, Place, judge
from netprobe.model import Report, Run
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.question import Question

from .recorded import Unrecorded
from .world import World

Ask = Callable[[Question], Run]
Told = Callable[[int, int], None]
"""Hears how many are answered, and of how many."""
PAUSE_S = 0.2  # between two rounds of --wait


class Asked(Struct, frozen=True):
    """How expectations are asked: by `ask`, on `world`, which knows names. `before` asks the same without the
    changes that are tried.
    """

    world: World
    ask: Ask
    before: Ask | None = None
    recording: str | None = None
    changes: tuple[str, ...] = ()


def check(
    asked: Asked, expectations: Sequence[Expectation], wait_ns: int = 0, told: Told | None = None
) -> CheckReport:
    """Ask all; what does not hold is asked again until `wait_ns` are over. `told` hears of progress.

    Ctrl-C raises Interrupted, with the report of what was decided by then.
    """
    found: dict[int, Checked] = {}
    end = time.monotonic_ns() + wait_ns
    interruption: KeyboardInterrupt | None = None
    try:
        _first(asked, expectations, found, told)
        _again(asked, expectations, found, end)
    except KeyboardInterrupt as error:
        interruption = error
    results = tuple(found[number] for number in sorted(found))
    complete = interruption is None
    report = CheckReport(
        results, len(expectations), complete=complete, recording=asked.recording, changes=asked.changes
    )
    if interruption is not None:
        raise Interrupted(len(results), report) from interruption
    return report


def _first(
    asked: Asked, expectations: Sequence[Expectation], found: dict[int, Checked], told: Told | None
) -> None:
    for number, wanted in enumerate(expectations):
        found[number] = _checked(asked, wanted)
        if told is not None:
            told(number + 1, len(expectations))


def _again(asked: Asked, expectations: Sequence[Expectation], found: dict[int, Checked], end: int) -> None:
    """What does not hold is asked until it does or time is up."""
    while time.monotonic_ns() < end:
        open_ones = [number for number, each in found.items() if each.status is not Status.HELD]
        if not open_ones:
            return
        time.sleep(PAUSE_S)
        for number in open_ones:
            if time.monotonic_ns() < end:
                found[number] = _checked(asked, expectations[number])


def _checked(asked: Asked, wanted: Expectation) -> Checked:
    started = time.monotonic_ns()
    before = None if asked.before is None else _judged(asked.world, asked.before, wanted).status
    now = _judged(asked.world, asked.ask, wanted)
    return Checked(
        wanted.name, wanted.asked, wanted.wanted, now.status, now.reason, wanted.at.file, wanted.at.line,
        time.monotonic_ns() - started, now.hint, now.notes, before, now.code, now.report,
    )  # fmt: skip


class _Answer(Judgement, frozen=True):
    """A judgement with the report behind it; of an error what to do, and its exit code."""

    report: Report | None = None
    hint: str = ""
    code: int = 0


def _judged(world: World, ask: Ask, wanted: Expectation) -> _Answer:
    try:
        run = ask(wanted.question)
        found = judge(wanted, run.report, run.snapshot, lambda word: _place(world, word))
    except Unrecorded as error:
        return _Answer(Status.UNDETERMINED, str(error), hint=error.hint)
    except NetprobeError as error:
        return _Answer(Status.ERROR, str(error), hint=error.hint, code=error.exit_code)
    return _Answer(found.status, found.reason, found.notes, run.report)


def _place(world: World, word: str) -> Place | None:
    """The namespace and interface that a word names; None of an address."""
    found = world.resolve(word)
    return None if found.namespace is None else (found.namespace, found.interface)
