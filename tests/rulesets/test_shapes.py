"""`why` against the wire, for rulesets in the shape in which programs write them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from random import Random

import pytest
from asking import once
from questions import USUAL
from shapes import SHAPES, Loaded
from witness import wrong

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, once]


def load(lab: Lab, rules: Loaded) -> None:
    """The ruleset in the place of what the lab had."""
    lab.run(["nft", "flush", "ruleset"], check=True)
    for sysctl in rules.sysctls:
        lab.run(["sysctl", "-qw", sysctl], check=True)
    for tool, text in ((["ipset", "restore"], rules.ipset), (["iptables-nft-restore"], rules.save), (["nft", "-f", "-"], rules.nft)):
        if text:
            lab.run(tool, text=text, check=True)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 5))])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_why_agrees_with_the_wire(fresh_lab: Lab, shape: Callable[[Random], Loaded], seed: int) -> None:
    rules = shape(Random(f"{shape.__name__}/{seed}"))
    if rules.ipset and shutil.which("ipset") is None:
        pytest.skip("needs ipset")
    load(fresh_lab, rules)
    found = [text for probe in (*USUAL, *rules.probes) if (text := wrong(fresh_lab, probe))]
    assert not found, "\n".join(found)
