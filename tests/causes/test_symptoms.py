"""The root comes first, and what other tools would report stands behind it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, local, probe, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.causes.symptoms import with_symptoms
from netprobe.diagnose.report import diagnose
from netprobe.model import Cause, Flow, Hop, Leg, Paths, Place, Protocol, Report, Ruleset, Snapshot, Stage, Verdict
from netprobe.predict.predict import Prediction, predict


def told(snapshot: Snapshot) -> Report:
    snapshot = replace(snapshot, namespaces={name: replace(n, ruleset=Ruleset()) for name, n in snapshot.namespaces.items()})
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return with_symptoms(diagnose("why", probe(), snapshot, outcome, None, frozenset(), explain), snapshot)


ETH0_DOWN = edited(relinked(tutorial(), "red", "eth0", up=False, carrier=False), "red", routes=local())
BRIDGE_DOWN = relinked(tutorial(), "host", "br0", up=False)
DROPPED = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"})


@pytest.mark.parametrize(
    ("snapshot", "codes"),
    [
        (ETH0_DOWN, ["link-admin-down", "no-route"]),
        (BRIDGE_DOWN, ["link-admin-down", "neigh-no-answer"]),
        (DROPPED, ["forwarding-off"]),
        (tutorial(), []),
    ],
)
def test_what_follows_stands_behind_the_root(snapshot: Snapshot, codes: list[str]) -> None:
    causes = told(snapshot).causes
    assert [cause.code for cause in causes] == codes
    assert all(symptom.because == causes[0] for symptom in causes[1:])


def test_the_silence_names_who_was_asked() -> None:
    symptom = told(BRIDGE_DOWN).causes[1]
    assert (symptom.summary, symptom.place) == ("red asks who has 10.0.0.1 and gets no answer", Place("red", "eth0", Stage.NEIGHBOUR))


def test_a_cause_that_has_another_behind_it_is_turned_round() -> None:
    place = Place("red", None, Stage.ROUTE)
    chain = Cause("no-route", place, "no route", because=Cause("link-admin-down", place, "down"))
    report = Report("why", probe(), Verdict.UNREACHABLE, "", direction=Leg.REQUEST, causes=(chain,))
    assert [cause.code for cause in with_symptoms(report, Snapshot()).causes] == ["link-admin-down", "no-route"]


@pytest.mark.parametrize(("stage", "codes"), [(Stage.BRIDGE_PREROUTING, []), (Stage.BRIDGE_INPUT, ["no-route"])])
def test_who_passes_a_bridge_asks_for_no_route_there(stage: Stage, codes: list[str]) -> None:
    path = (Hop(1, "host", "veth0", stage, Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP)),)
    root = Cause("rule-wrong-table", Place("red", None, Stage.ROUTE), "")
    report = Report("why", probe(), Verdict.UNREACHABLE, "", direction=Leg.REQUEST, path=Paths(path), causes=(root,))
    causes = with_symptoms(report, edited(tutorial(), "host", routes=local())).causes
    assert [cause.code for cause in causes[1:]] == codes
