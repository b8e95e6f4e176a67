"""A probe that is observed on two hosts and here; and hosts that are lost: blind spots, never a loss, and no one else's time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet import both_ways
from open_labs import open_lab

from netprobe.fleet.connection import SILENCE_S
from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

GRACE_S = 2.5  # on a busy machine


@pytest.fixture(scope="module")
def one_lab() -> Iterator[Lab]:
    with open_lab("root") as lab:
        yield lab


def test_a_probe_is_observed_on_all_hosts(one_lab: Lab) -> None:
    seen, ended, _ = one_lab.call(both_ways.over_two_hosts, "", "")
    assert ended == ""
    assert {name for kind, name, _ in seen if kind == "seen"} == {"h1:red", "h2:internet", "host"}
    assert [(kind, name) for kind, name, _ in seen if kind in ("sent", "answered")] == [("sent", "h1:red"), ("answered", "h1:red")]
    assert [each for each in seen if each[0] not in ("sent", "seen", "answered")] == []


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP"])
def test_a_bystander_that_is_lost_is_blind(one_lab: Lab, fault: str) -> None:
    seen, ended, took = one_lab.call(both_ways.over_two_hosts, fault, "h2")
    assert ended == ""
    assert ("answered", "h1:red", "") in seen
    [(name, why)] = [(name, why) for kind, name, why in seen if kind == "blind"]
    assert name == "h2:internet"
    assert "h2" in why
    assert took < SILENCE_S + GRACE_S


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP"])
def test_without_the_source_there_is_no_run(one_lab: Lab, fault: str) -> None:
    _, ended, took = one_lab.call(both_ways.over_two_hosts, fault, "h1")
    assert "h1" in ended
    assert took < 2 * SILENCE_S + GRACE_S


def test_what_a_lost_host_has_is_a_blind_spot_each(one_lab: Lab) -> None:
    names, found, took = one_lab.call(both_ways.read_after_a_loss)
    assert [what for what, _ in found] == [f"namespace {name}" for name in names]
    assert all(why.startswith("the connection to h1 is lost") for _, why in found)
    assert took < GRACE_S


def test_a_far_end_that_could_not_be_looked_for_is_not_away(one_lab: Lab) -> None:
    """No namespace of that number, or nobody could say: a walk must not take the one for the other."""
    known, lost, why = one_lab.call(both_ways.peer_after_a_loss)
    assert known == "h1:red"
    assert lost is None
    assert why is not None
    assert why.startswith("the connection to h1 is lost")


def test_a_silent_host_takes_no_longer_than_the_question(one_lab: Lab) -> None:
    found, took = one_lab.call(both_ways.read_of_a_silent_host)
    assert [why for _, why in found] == ["h1 did not answer in time"] * 2
    assert took < 1.0 + GRACE_S
