"""Questions for a neighbour as proof: unanswered ones, for the next hop of the place where the packet waits, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netprobe.engine import replay
from netprobe.lab.faults import FAULTS
from netprobe.model import Observation, Run, Stage
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


def recorded(name: str) -> Run:
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    assert run is not None
    return run


def proofs(run: Run) -> list[str]:
    """What the taps say of the cause."""
    return [each.text for cause in replay(run).report.causes[:1] for each in cause.evidence if each.source == "tap"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("container-stopped", ["172.17.0.2 asked who has 172.17.0.3, and got no answer"]),
        ("docker-network-overlaps", ["last seen at host/br0", "8.8.8.1 asked who has 8.8.8.8, 3 times, and got no answer"]),
        (
            "tunnel-answers-filtered",
            ["10.42.0.1 asked who has 10.42.0.2, and got no answer", "the answer was last seen at node2/vx0"],
        ),
        ("router-firewall-forgets-ipv6", ["fd00:172:17::2 asked who has fd00:172:17::1, and got no answer"]),
    ],
)
def test_the_question_counts_where_it_left_its_asker(name, expected) -> None:
    """A tap at every port sees the same frame; it was asked once."""
    assert proofs(recorded(name)) == expected


def test_an_answered_question_proves_nothing() -> None:
    run = recorded("container-stopped")
    [first, *_] = [o for o in run.observations if o.flow is not None and o.flow.icmp_type == 1]
    assert first.flow is not None
    flow = replace(first.flow, src=first.flow.dst, dst=first.flow.src, icmp_type=2)
    answer = replace(first, flow=flow, bound="in", time_ns=first.time_ns + 1000)
    assert not any("asked" in text for text in proofs(replace(run, observations=(*run.observations, answer))))


def test_questions_for_others_are_none() -> None:
    """Whoever else is looked for, and whoever else looks for the same, is no proof of this loss."""
    run = recorded("container-stopped")

    def other(seen: Observation) -> Observation:
        flow = seen.flow
        return replace(seen, flow=replace(flow, dst="172.17.0.99")) if flow is not None and flow.icmp_type == 1 else seen

    assert not any("asked" in text for text in proofs(replace(run, observations=tuple(map(other, run.observations)))))
    elsewhere = tuple(o if o.namespace != "c1" else replace(o, namespace="c9") for o in run.observations)
    assert not any("asked" in text for text in proofs(replace(run, observations=elsewhere)))


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_nobody_is_said_to_have_asked_where_no_packet_waits(name) -> None:
    run = recorded(name)
    asked = [text for text in proofs(run) if "asked who has" in text]
    path = replay(run).report.path
    waits = [hop for hop in (*path.request, *path.reply) if hop.stage is Stage.NEIGHBOUR and hop.reached]
    assert len(asked) <= len(waits)


@pytest.mark.parametrize(("name", "count", "last"), [("c2-silent-to-arp", 4, "c2/eth0"), ("broadcast-not-flooded", 2, "c1/eth0")])
def test_the_way_of_a_question_to_everybody_is_that_of_its_sightings(name, count, last) -> None:
    """No walk leads on where nobody answers; the taps saw how far it came all the same."""
    run = recorded(name)
    seen = [hop for hop in replay(run).report.path.request if hop.observed]
    assert len(seen) == count
    assert all(hop.time_ns is not None and hop.reached for hop in seen)
    assert proofs(run)[0] == f"last seen at {last}"
