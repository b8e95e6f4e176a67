"""A packet of the host's own, sent through a container that it forwards for, comes back to it with its own source address."""

from __future__ import annotations

from predict.networks import RULES, edited, probe, tutorial, via

from netprobe.diagnose.repair.search import search
from netprobe.model import PolicyRule, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def round_about(**sysctls: str) -> Snapshot:
    """What the host itself sends to 8.8.8.8 goes through c1, and from there by the host to the world."""
    snapshot = tutorial()
    rule = PolicyRule(100, 4, table=77, iif="lo", dst="8.8.8.8/32")
    way = via("8.8.8.8/32", "172.17.0.2", 5, table=77, source="203.0.113.2")
    rules = tuple(sorted((*RULES, rule), key=lambda each: each.priority))
    set_there = {**snapshot["host"].sysctls, **sysctls}
    snapshot = edited(snapshot, "host", rules=rules, routes=(*snapshot["host"].routes, way), sysctls=set_there)
    back = via("203.0.113.2/32", "172.17.0.1", 2)
    return edited(snapshot, "c1", sysctls={"net.ipv4.ip_forward": "1"}, routes=(*snapshot["c1"].routes, back))


def asked(snapshot: Snapshot) -> Prediction:
    found = predict(snapshot, probe("host", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    return found


def test_an_interface_that_takes_what_has_its_own_source_lets_it_pass() -> None:
    assert asked(round_about(**{"net.ipv4.conf.docker0.accept_local": "1"})).passes


def test_else_that_setting_is_among_what_may_be_missing() -> None:
    """No detour: that packet has come from nobody else."""
    snapshot = round_about()
    lost = asked(snapshot)
    assert lost.stop is not None
    assert lost.stop.code == "martian-source"
    found = search(snapshot, lost, lost.stop).repairs
    merits = {each.stop.thing.id: each.merit.name for each in found}
    assert merits["net.ipv4.conf.docker0.accept_local"] == "ADDS"
    assert merits["net.ipv4.conf.all.accept_local"] == "GOES_AROUND"
