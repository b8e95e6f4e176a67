"""netprobe names each fault of the demo: verdict, direction, code and place."""

from __future__ import annotations

import json

import pytest

from netprobe.lab.faults import FAULTS, Fault
from netprobe.lab.lab import Lab


@pytest.mark.lab
@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_a_fault_is_named(fresh_lab: Lab, fault: Fault) -> None:
    question = ["netprobe", *fault.probe, "-o", "json", "--captures", "none"]
    assert json.loads(fresh_lab.run(question, check=True).stdout)["verdict"] == "reachable"
    fresh_lab.inject(fault.name)
    done = fresh_lab.run(question)
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads(done.stdout)
    cause = report["causes"][0]
    expected = fault.expected
    assert (report["verdict"], report["direction"], cause["code"]) == ("unreachable", expected.direction, expected.code)
    assert cause["place"]["namespace"] == expected.namespace
    assert expected.interface in (None, cause["place"]["interface"])
