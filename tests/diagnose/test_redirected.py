"""A station that a router has told of a nearer gateway by an ICMP redirect, and that is no router."""

from __future__ import annotations

from msgspec.structs import replace
from predict.networks import MAC, edited, lo, local, port, probe, tutorial, veth, via

from netprobe.diagnose.repair import choice
from netprobe.model import AskedRoute, AskRoute, FoundPeer, InterfaceAddress, Namespace, RouteAnswer, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def told(gateway: str) -> Snapshot:
    """The tutorial's network with blue beside red, and what red's kernel says where it is asked for its way to 8.8.8.8."""
    loopback, own = lo()
    blue = Namespace("blue", links=(loopback, veth(2, "eth0", MAC.format(7, 2), 9, 0)),
                     addresses=(*own, InterfaceAddress(2, "10.0.0.3", 16)),
                     routes=(*local("10.0.0.3"), via("10.0.0.0/16", None, 2), via("0.0.0.0/0", "10.0.0.1", 2)),
                     rules=tutorial()["red"].rules, sysctls={"net.ipv4.ip_forward": "0"})  # fmt: skip
    snapshot = tutorial().with_namespace(blue)
    snapshot = edited(snapshot, "host", links=(*snapshot["host"].links, port(9, "veth9", 2, 5, 2)))
    snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer("host", 5, "blue"), FoundPeer("blue", 0, "host")))
    asked = predict(snapshot, probe())
    assert not isinstance(asked, Prediction)
    queries = [each.query for each in asked if isinstance(each, AskRoute) and (each.namespace, each.query.iif) == ("red", None)]
    answer = RouteAnswer(table=254, index=2, via=gateway, source="10.0.0.2", prefix="0.0.0.0/0")
    return replace(snapshot, answers=tuple(AskedRoute("red", query, answer) for query in queries))


def found(snapshot: Snapshot) -> Prediction:
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return outcome


def test_what_a_redirect_has_left_behind_is_forgotten() -> None:
    snapshot = told("10.0.0.3")
    lost = found(snapshot)
    assert lost.stop is not None
    assert (lost.stop.code, lost.stop.place.namespace) == ("forwarding-off", "blue")
    stop = choice.choose(snapshot, lost, lost.stop).stop
    assert (stop.code, stop.place.namespace, stop.thing.id) == ("route-wrong-nexthop", "red", "8.8.8.8 via 10.0.0.3 dev eth0")
    assert [" ".join(each.words) for each in stop.commands] == ["ip route flush cache"]


def test_a_kernel_that_does_as_its_routes_say_was_told_nothing() -> None:
    assert found(told("10.0.0.1")).passes
