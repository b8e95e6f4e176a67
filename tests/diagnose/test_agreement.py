"""How prediction and observation stand to each other, where what stopped the packet cannot be told by reading it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.engine import replay
from netprobe.model import Agreement
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


@pytest.mark.parametrize(
    ("name", "agreement"),
    [
        ("tc-drops", Agreement.OBSERVED_ONLY),  # a program
        ("xdp-drops", Agreement.OBSERVED_ONLY),
        ("nft-limit-over", Agreement.OBSERVED_ONLY),  # a limit, and chance
        ("nft-numgen-drops", Agreement.OBSERVED_ONLY),
        ("half-is-lost", Agreement.OBSERVED_ONLY),
        ("table-full", Agreement.OBSERVED_ONLY),
        ("forward-drop", Agreement.CONFIRMED),
        ("answers-from-another-address", Agreement.DISAGREE),  # nothing on the way may do that
    ],
)
def test_a_loss_at_what_may_stop_a_packet_contradicts_nothing(name, agreement) -> None:
    """The walk said that it may: `DISAGREE` is for a packet that did what nobody could expect."""
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    assert run is not None
    assert replay(run).report.agreement is agreement
