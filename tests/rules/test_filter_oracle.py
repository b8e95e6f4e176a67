"""The evaluation against the kernel: random rulesets, real packets, and the rules' own counters as the judge."""

from __future__ import annotations

from collections.abc import Iterator

import kernel_oracle
import pytest
from open_labs import open_lab

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

SHOTS = 8


@pytest.fixture(scope="module")
def judge(privilege: str) -> Iterator[Lab]:
    """A host between a sender and a silent station; its rules are replaced again and again."""
    with open_lab(privilege, kernel_oracle.TOPOLOGY) as lab:
        yield lab


@pytest.mark.parametrize("engine", ["nft", "iptables", "iptables-legacy"])
@pytest.mark.parametrize("seed", range(100, 105))
def test_every_counter_moves_as_the_model_says(judge: Lab, engine: str, seed: int) -> None:
    found = judge.call(kernel_oracle.compare, engine, seed, SHOTS)
    assert not found.wrong, "\n".join(found.wrong)
    assert found.shots >= SHOTS  # and the answers
    assert found.doubtful < SHOTS
    assert found.rules > 2  # the two that count arrivals, and what was generated
