"""Networks that work, one object at random changed: nothing is cried where nothing broke, what broke is seen, and undoing mends it."""

from __future__ import annotations

import pytest
from faults.workshop import Workshop
from identities import Identity
from mutations.draw import draw
from mutations.foretold import Foretold, attempts, foretellings, misses, summary
from mutations.measure import outcome, perform
from mutations.trial import Trial, undone

from netprobe.errors import CannotLook

SEED = 7


@pytest.mark.lab
@pytest.mark.parametrize("index", [14, 59, *(pytest.param(each, marks=pytest.mark.thorough) for each in (27, 70))])
def test_a_change_is_judged(workshop: Workshop, index: int) -> None:
    trial = perform(workshop, index, SEED)
    assert isinstance(trial, Trial), trial
    assert outcome(trial) in ("named", "listed", "another repair", "quiet"), trial.log


@pytest.mark.lab
@pytest.mark.parametrize("index", [0, 1, 3])
def test_undoing_mends(workshop: Workshop, index: int) -> None:
    found = next(filter(None, (_undone(workshop, index, attempt) for attempt in range(9))), None)
    assert found is not None, "no change in nine attempts"
    text, different, dead = found
    assert not dead, f"{text}\ndoes not work again: {dead}\nstill different: {different}"


def _undone(workshop: Workshop, index: int, attempt: int) -> tuple[str, list[str], list[str]] | None:
    try:
        return workshop.perform(undone, draw(SEED, index, attempt))
    except CannotLook:  # this kernel cannot have that network
        return None


@pytest.mark.lab
@pytest.mark.parametrize("index", [3, 11, 52, *(pytest.param(each, marks=pytest.mark.thorough) for each in (5, 7, 20, 36, 54))])
def test_what_is_foretold_of_a_change_happens(workshop: Workshop, index: int) -> None:
    """Of links, addresses, routes, rules of nft and the like; `scripts/accuracy --foretold 100 --seed 1` has all of these."""
    found = attempts(workshop, index, 1)
    assert isinstance(found, Foretold), found
    assert found.outcome == "agrees", "\n".join(misses([found]))


@pytest.mark.lab
@pytest.mark.thorough
def test_a_hundred_changes_are_foretold(privilege: str, user: Identity) -> None:
    """What the model does not know is refused, and never the contrary said; a few are undetermined."""
    found = list(foretellings(range(100), 1, privilege, user, jobs=2))
    told = [each for each in found if isinstance(each, Foretold) and not each.refused]
    assert not any(each.wrong for each in told), "\n".join(misses(found))
    assert sum(each.outcome == "agrees" for each in told) >= 0.95 * len(told) > 80, "\n".join(summary(found))


@pytest.mark.lab
@pytest.mark.thorough
def test_a_trial_repeats(workshop: Workshop) -> None:
    first, second = (perform(workshop, 3, SEED) for _ in range(2))
    assert isinstance(first, Trial)
    assert isinstance(second, Trial)
    assert (first.mutations, first.asked, first.code, first.thing) == (second.mutations, second.asked, second.code, second.thing)
