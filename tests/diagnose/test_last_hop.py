"""Where a packet died is a hop of the path: never the place to which it came, and which says nothing of its loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.engine import replay
from netprobe.lab.faults import FAULTS
from netprobe.model import Leg, Report, Stage
from netprobe.render.marks import Fate
from netprobe.render.rows import Row, rows
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


def recorded(name: str) -> Report:
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    assert run is not None
    return replay(run).report


def crosses(report: Report) -> list[Row]:
    return [row for leg in Leg for row in rows(report, leg) if row.mark is Fate.LOST]


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_a_cross_stands_at_no_place_to_which_the_packet_came(name) -> None:
    """It may where the cause stands: a tap sees a frame before tc, a port or a source check takes it."""
    report = recorded(name)
    for row in crosses(report):
        assert not row.hop.observed or row.hop.namespace == report.causes[0].place.namespace, row


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_a_tick_stands_at_no_place_where_a_sensor_saw_nothing(name) -> None:
    report = recorded(name)
    for leg in Leg:
        for row in rows(report, leg):
            assert row.hop.observed is not False or row.mark not in (Fate.PASSED, Fate.TRANSLATED), row


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("default-ttl-too-small", "r2/wan", "the TTL of the packet is used up at r2"),
        ("far-bridge-down", "internet", "internet has no route to 172.17.0.3"),
        ("source-nobody-knows", "r2", "r2 has no route to 198.18.0.5"),
        ("entry-with-the-mac-of-another", "c2/eth0", "c2 does not forward: net.ipv4.ip_forward = 0"),
    ],
)
def test_the_decision_that_ended_it_is_told_where_the_cause_lies_elsewhere(name, where, what) -> None:
    [row] = crosses(recorded(name))
    assert (row.where, row.what) == (where, what)


def test_a_decision_stands_once_in_the_way_that_is_still_to_go() -> None:
    """What would have decided, had it not ended the packet, is no further hop."""
    path = recorded("default-ttl-too-small").path.request
    assert [hop.stage for hop in path if hop.namespace == "r2"].count(Stage.FORWARD) == 1
    assert [hop.n for hop in path] == list(range(1, len(path) + 1))
