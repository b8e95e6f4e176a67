"""Every fault of the catalogue, for real: the network works, one thing breaks, real programs fail, and netprobe names that thing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.diagnosis import diagnosis, expected
from faults.experiment import Outcome

from netprobe.causes.pages import codes
from netprobe.lab.faults import FAULTS, Fault

Experiment = Callable[[Fault], Outcome]

NOT_OF_A_LAB = {
    "neigh-table-full",  # its limit (gc_thresh3) is one for the whole machine
    "filtered-by-cgroup",  # cgroups are the machine's, and netprobe would have to run in the one with the program
    "tap-starved",  # no fault of the network: the sensor lost frames
    "lost-between-hosts",  # takes several hosts: tests/fleet/test_between.py
    "unknown",  # the answer where none is known
    "link-no-carrier",  # a far end that can be seen is named itself; in a lab all can
}

every_fault = pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])


@pytest.mark.lab
@every_fault
def test_it_worked_and_then_it_did_not(experiment: Experiment, fault: Fault) -> None:
    """As real programs see it, and as netprobe says before and after."""
    outcome = experiment(fault)
    assert outcome.healthy.code == 0, "cry of wolf: " + outcome.healthy.told
    assert outcome.worked[0] == outcome.worked[1], "the network did not work before"
    assert outcome.failed[0] < outcome.failed[1], "the fault is in place and breaks nothing"
    assert outcome.broken.code == {"undetermined": 4}.get(fault.expected.verdict, 1), outcome.broken.told


@pytest.mark.lab
@every_fault
def test_it_is_named(experiment: Experiment, fault: Fault) -> None:
    """Verdict, direction, code, place and the one object."""
    report = experiment(fault).report
    assert diagnosis(report, fault.expected) == expected(fault.expected), report["summary"]


@pytest.mark.lab
@pytest.mark.parametrize("fault", [pytest.param(f, id=f.name) for f in FAULTS if f.foreseen and f.probe[0] == "trace"])
def test_it_is_foreseen(experiment: Experiment, fault: Fault) -> None:
    """`why` sends nothing and says the same."""
    outcome = experiment(fault)
    assert diagnosis(outcome.why.report, fault.expected) == expected(fault.expected), outcome.why.report["summary"]
    assert [cause["object"] for cause in outcome.why.report["causes"][:1]] == [cause["object"] for cause in outcome.report["causes"][:1]]


def test_names_are_unique_and_codes_exist() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.expected.code for fault in FAULTS} <= set(codes())


def test_every_cause_has_a_fault() -> None:
    """Else nobody has seen that it is found."""
    assert set(codes()) - {fault.expected.code for fault in FAULTS} == NOT_OF_A_LAB


@every_fault
def test_a_title_is_short(fault: Fault) -> None:
    assert len(fault.title) <= 100
    assert "\n" not in fault.title


@every_fault
def test_its_places_exist(fault: Fault) -> None:
    topology = fault.network.topology
    assert fault.expected.namespace in {"host", *topology.namespaces}
    assert {change.namespace for change in (*fault.given, *fault.changes)} <= {"host", *topology.namespaces}
