"""How prediction and observation stand to each other, where what stopped the packet cannot be told by reading it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netprobe.diagnose.apply import mend
from netprobe.engine import replay
from netprobe.model import Agreement
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


@pytest.mark.parametrize(
    ("name", "agreement"),
    [
        ("tc-drops", Agreement.CONFIRMED),  # a program that is understood
        ("xdp-drops", Agreement.CONFIRMED),
        ("nft-limit-over", Agreement.OBSERVED_ONLY),  # a limit, and chance
        ("nft-numgen-drops", Agreement.OBSERVED_ONLY),
        ("half-is-lost", Agreement.CONFIRMED),  # every second one is: it is told how those fare
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


def test_an_end_that_is_foretold_at_the_destination_is_none_for_what_did_not_get_there() -> None:
    """Recorded with a rule that dropped it in between, of which the snapshot knows nothing any more."""
    record, run = load(str(RECORDINGS / "forward-drop.pcapng"))
    assert run is not None
    unknown = mend(run.snapshot, record.causes[0])
    assert unknown is not None
    deaf = replace(unknown["internet"], sysctls={**unknown["internet"].sysctls, "net.ipv4.icmp_echo_ignore_all": "1"})
    report = replay(replace(run, snapshot=unknown.with_namespace(deaf))).report
    assert [cause.code for cause in (*report.causes, *report.blockers)] == ["unknown"]
    assert report.agreement is Agreement.DISAGREE


def test_what_is_seen_beyond_an_end_before_the_first_tap_is_told() -> None:
    """Recorded with an interface that the snapshot says is down."""
    _, run = load(str(RECORDINGS / "forward-drop.pcapng"))
    assert run is not None
    source = run.report.probe.source.namespace
    assert source is not None
    down = replace(run.snapshot[source], links=tuple(replace(link, up=False) for link in run.snapshot[source].links))
    report = replay(replace(run, snapshot=run.snapshot.with_namespace(down))).report
    assert report.agreement is Agreement.DISAGREE
    assert any(hop.observed and not hop.predicted for hop in report.path.request)
    assert "seen nowhere" not in report.causes[0].summary
