"""`why` against the wire, for rulesets that programs of Debian write themselves, in a lab of their own.

The programs are unpacked, never installed: nothing of the machine is touched, no service starts. Without them the tests are skipped.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import once
from engines.fixtures import without
from engines.packages import Unavailable, root_of
from programs import GROUPS
from questions import USUAL
from witness import wrong
from writers import Writer

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, once]
EACH = 10  # of so many one is run by day; a program's rulesets are alike

MACHINE = Path(__file__).with_name("machine")


def roots(config: pytest.Config, suite: str, packages: tuple[str, ...]) -> Path:
    """The folder with the programs, or a skip that says why there is none."""
    try:
        return root_of(suite, *packages)
    except Unavailable as reason:
        without(config, "programs that write rulesets", str(reason))


def write(lab: Lab, root: Path, writer: Writer) -> None:
    """The ruleset in the place of what the lab had, written by the program."""
    lab.run(["nft", "flush", "ruleset"], check=True)
    arguments = ["sh", str(root), "legacy" if writer.legacy else "nft"]
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-eu", "-c", MACHINE.read_text()]
    lab.run([*enter, *arguments], text=writer.script, timeout=120, check=True)
    rules = lab.run(["sh", "-c", "nft list ruleset; iptables-legacy-save 2>/dev/null || true"]).stdout
    assert rules, f"{writer.name} wrote nothing"


CASES = [(suite, packages, writer) for suite, packages, writers in GROUPS for writer in writers]


@pytest.mark.parametrize(
    ("suite", "packages", "writer"),
    [
        pytest.param(*case, id=f"{case[-1].name}-{case[0]}", marks=[pytest.mark.thorough] if number % EACH else [])
        for number, case in enumerate(CASES)
    ],
)
def test_why_agrees_with_the_wire(
    fresh_lab: Lab, pytestconfig: pytest.Config, suite: str, packages: tuple[str, ...], writer: Writer
) -> None:
    write(fresh_lab, roots(pytestconfig, suite, packages), writer)
    found = [text for probe in dict.fromkeys((*USUAL, *writer.probes)) if (text := wrong(fresh_lab, probe))]
    assert not found, "\n".join(found)
