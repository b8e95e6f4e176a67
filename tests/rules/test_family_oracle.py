"""Single matches of every family against the kernel: each counter of a chain full of them moves as the model says."""

from __future__ import annotations

from collections.abc import Iterator

import family_oracle
import pytest
from open_labs import open_lab

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def bridge(privilege: str) -> Iterator[Lab]:
    """A bridge between two stations, on a host that routes on; its rules are replaced again and again."""
    with open_lab(privilege, family_oracle.TOPOLOGY) as lab:
        yield lab


@pytest.mark.parametrize("chain", sorted(family_oracle.CHAINS))
def test_every_match_of_a_family(bridge: Lab, chain: str) -> None:
    wrong = bridge.call(family_oracle.compare, chain)
    assert not wrong, "\n".join(wrong)
