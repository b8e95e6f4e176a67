"""A packet for one station in a frame for a group, as a static neighbour entry makes it: a hardened server does not take it."""

from __future__ import annotations

import pytest
from networks import edited, probe, tutorial

from netprobe.model import Leg, Neighbour, Snapshot
from netprobe.predict.predict import Prediction, predict

GROUP = "03:bf:0a:00:00:14"
KEY = "net.ipv4.conf.{}.drop_unicast_in_l2_multicast"


def to_a_group(**sysctls: str) -> Snapshot:
    """The host sends what is for c1 to a group's MAC; c1 has these settings, by interface."""
    sent = edited(tutorial(), "host", neighbours=(Neighbour(5, "172.17.0.2", GROUP, "permanent"),))
    return edited(sent, "c1", sysctls={KEY.format(whose): value for whose, value in sysctls.items()})


@pytest.mark.parametrize(("sysctls", "fix"), [({"all": "1"}, [KEY.format("all")]), ({"eth0": "1"}, [KEY.format("eth0")]),
                                              ({"all": "1", "eth0": "1"}, [KEY.format("eth0"), KEY.format("all")])])  # fmt: skip
def test_it_is_not_taken(sysctls: dict[str, str], fix: list[str]) -> None:
    outcome = predict(to_a_group(**sysctls), probe("host", "172.17.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert (outcome.stop.code, outcome.leg, outcome.stop.place.namespace) == ("neigh-wrong-entry", Leg.REQUEST, "c1")
    assert [command.words[-1] for command in outcome.stop.commands] == [f"{key}=0" for key in fix]


@pytest.mark.parametrize("sysctls", [{}, {"all": "0"}, {"docker0": "1"}])
def test_it_is_taken(sysctls: dict[str, str]) -> None:
    outcome = predict(to_a_group(**sysctls), probe("host", "172.17.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes
