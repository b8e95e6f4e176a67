"""Hostile frames through the whole of netprobe, a few of them; scripts/fuzz tries as many as are wanted."""

from __future__ import annotations

import pytest
from fuzzing import frames
from fuzzing.frames import AT_ONCE


@pytest.mark.parametrize("seed", [1, 2])
def test_no_frame_makes_netprobe_fail(seed: int) -> None:
    outcome = frames.fuzz(2000, seed)
    assert outcome.cases == 2000 // AT_ONCE
    assert outcome.failures == []


def test_a_crash_is_told_with_the_case_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a header beyond its end")

    monkeypatch.setattr(frames, "examine", fail)
    outcome = frames.fuzz(AT_ONCE + 1, 3)
    assert len(outcome.failures) == outcome.cases == 2
    assert outcome.failures[1].startswith("--seed 3 case 1 (")
    assert "ValueError: a header beyond its end (test_fuzz.py:" in outcome.failures[1]
