"""Hostile frames through the whole of netprobe, a few of them; scripts/fuzz tries as many as are wanted."""

from __future__ import annotations

import pytest
from fuzzing import frames
from fuzzing.harness import Case, survey


@pytest.mark.parametrize("seed", [1, 2])
def test_no_frame_makes_netprobe_fail(seed: int) -> None:
    tally = survey(frames.cases(2000, seed))
    assert tally.inputs == 2000
    assert tally.faults == []


def test_a_crash_is_told_with_the_case_that_made_it() -> None:
    def fail() -> None:
        raise ValueError("a header beyond its end")

    tally = survey([Case("the third", 7, fail), Case("the fourth", 3, lambda: None)])
    assert tally.inputs == 10
    assert len(tally.crashes) == 1
    assert tally.crashes[0].startswith("the third\nTraceback")
    assert "a header beyond its end" in tally.faults[0]


def test_the_same_seed_makes_the_same_cases() -> None:
    assert [case.name for case in frames.cases(100, 3)] == [case.name for case in frames.cases(100, 3)]
    assert [case.inputs for case in frames.cases(100, 3)] == [40, 40, 20]
