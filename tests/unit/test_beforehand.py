"""What looks for a cause is imported while a predicted loss is waited for, and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netprobe.engine.beforehand import beforehand

ASKED = """
import sys
from netprobe.engine.line import ask
from netprobe.diagnose.stop_rule import settled
from netprobe.engine.beforehand import beforehand
from netprobe.model import Endpoint, Probe, Protocol

probe = Probe(Protocol.ICMP, "", Endpoint("red", "red"), Endpoint("8.8.8.8", address="8.8.8.8"))
there = lambda: {"netprobe.diagnose.repair.search", "netprobe.diagnose.blockers", "netprobe.causes.catalogue"} & set(sys.modules)
decide = beforehand(settled(probe, None))
for quiet_ns in (0, 5_000_000, 20_000_000):
    decide((), quiet_ns)
    print(len(there()), end=" ")
"""


def test_it_comes_in_when_nothing_has_come_for_a_while() -> None:
    said = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == ["0", "0", "3"]


@pytest.mark.parametrize("is_settled", [True, False])
def test_the_decision_stays_what_it_is(is_settled: bool) -> None:
    decide = beforehand(lambda _, quiet_ns: is_settled or quiet_ns > 50_000_000)
    assert [decide((), quiet_ns) for quiet_ns in (0, 20_000_000, 60_000_000)] == [is_settled, is_settled, True]
