"""An address whose scope ends at the link is no source for what goes on by a gateway (inet_select_addr)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, lo, probe, tutorial

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair.choice import choose
from netprobe.model import Cause, Namespace, Snapshot
from netprobe.predict.predict import Prediction, predict


def with_scope(scope: str) -> Snapshot:
    c1: Namespace = tutorial()["c1"]
    return edited(tutorial(), "c1", addresses=(*lo()[1], replace(c1.addresses[-1], scope=scope)))


def asked(snapshot: Snapshot, dst: str) -> Prediction:
    found = predict(snapshot, probe("c1", dst), ask=False)
    assert isinstance(found, Prediction)
    return found


@pytest.mark.parametrize(("scope", "dst", "source"), [("global", "8.8.8.8", True), ("link", "8.8.8.8", False), ("host", "8.8.8.8", False)])
def test_what_goes_on_needs_a_global_one(scope: str, dst: str, source: bool) -> None:
    found = asked(with_scope(scope), dst)
    assert (found.stop is None or found.stop.code != "addr-missing") is source


def test_stations_of_the_link_are_reached() -> None:
    snapshot = with_scope("link")
    c1 = snapshot["c1"]
    near = tuple(replace(route, scope="link") if route.dst == "172.17.0.0/16" else route for route in c1.routes)
    assert asked(edited(snapshot, "c1", routes=near), "172.17.0.3").passes


def test_the_route_is_told_its_source() -> None:
    snapshot = with_scope("link")
    stop = asked(snapshot, "8.8.8.8").stop
    assert stop is not None
    assert [" ".join(each.words) for each in stop.commands] == ["ip route replace default via 172.17.0.1 dev eth0 src 172.17.0.2"]
    mended = mend(snapshot, Cause(stop.code, stop.place, "", commands=stop.commands))
    assert mended is not None
    assert asked(mended, "8.8.8.8").request.hops


def test_the_interface_is_not_said_to_have_none() -> None:
    network = with_scope("link")
    found = asked(network, "8.8.8.8")
    assert found.stop is not None
    assert choose(network, found, found.stop).stop.commands == found.stop.commands
