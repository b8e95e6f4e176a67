"""When there is nothing more to wait for."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace

from netprobe.diagnose.stop_rule import settled
from netprobe.model import Flow, Leg, Observation, Protocol, Source

ANSWER = Observation(Source.SOCKET, "answered", "red", 1000, leg=Leg.REPLY, flow=Flow("8.8.8.8", "10.0.0.2", Protocol.ICMP))
MS = 1_000_000


@pytest.mark.parametrize(
    ("protocol", "answers", "quiet_ms", "enough"),
    [
        (Protocol.ICMP, 0, 0, False),
        (Protocol.ICMP, 0, 500, False),
        (Protocol.ICMP, 1, 0, True),
        (Protocol.ARP, 1, 0, False),  # another station may answer as well
        (Protocol.ARP, 1, 20, True),
        (Protocol.ND, 1, 0, False),
        (Protocol.ND, 1, 20, True),
        (Protocol.ARP, 0, 20, False),
    ],
)
def test_without_a_prediction_the_answer_is_waited_for(protocol: Protocol, answers: int, quiet_ms: int, enough: bool) -> None:
    decide = settled(replace(networks.probe(), protocol=protocol), None)
    assert decide([ANSWER] * answers, quiet_ms * MS) is enough
