"""One thing of the network vanishes, or comes back, at a random moment of a run: it is never put down to anything else."""

from __future__ import annotations

import pytest
from asking import once
from changing import THINGS, changing_runs

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

SHORT, LONG = len(THINGS), 240


def assert_all_right(lab: Lab, seed: int, count: int) -> None:
    outcomes = lab.call(changing_runs, seed, count)
    assert len(outcomes) == count
    wrong = [f"{each.change}: {each.wrong}: {each.said}" for each in outcomes if each.wrong]
    assert not wrong, f"seed {seed}, {len(wrong)} of {count}:\n" + "\n".join(wrong)


@once
def test_a_change_meanwhile_is_never_called_something_else(fresh_lab: Lab) -> None:
    """Reachable, or the cause that it is when it is so all the time, or undetermined for the change, by name."""
    assert_all_right(fresh_lab, 1, SHORT)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [2, 3])
@once
def test_many_changes(fresh_lab: Lab, seed: int) -> None:
    assert_all_right(fresh_lab, seed, LONG)
