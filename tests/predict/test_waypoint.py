"""The walk of a request goes on from where it lacked something, and the prediction is the one made from the start."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, lo, local, probe, veth, via

from netprobe.model import FindPeer, FoundPeer, InterfaceAddress, Namespace, Need, ReadNamespace, Snapshot
from netprobe.predict import ip
from netprobe.predict.peers import mutual
from netprobe.predict.predict import Course, Prediction, predict

LAST = 40


def router(n: int) -> Namespace:
    """The n-th of a row: eth0 to the one before (10.7.n-1.2), eth1 to the next (10.7.n.1), which it calls 1."""
    loopback, own = lo()
    before, after = (f"10.7.{n - 1}.2",) if n else (), (f"10.7.{n}.1",) if n < LAST else ()
    links = [
        loopback,
        *(veth(2, "eth0", MAC.format(n, 0), 3, 0) for _ in before),
        *(veth(3, "eth1", MAC.format(n, 1), 2, 1) for _ in after),
    ]
    addresses = [
        InterfaceAddress(index, each, 24) for index, each in zip((2,) * len(before) + (3,) * len(after), before + after, strict=True)
    ]
    routes = [
        *local(*before, *after),
        *(via(f"10.7.{n - 1}.0/24", None, 2) for _ in before),
        *(via(f"10.7.{n}.0/24", None, 3) for _ in after),
    ]
    routes += [via(f"10.7.{k}.0/24", f"10.7.{n - 1}.1", 2) for k in range(n - 1)]
    routes += [via("0.0.0.0/0", f"10.7.{n}.2", 3) for _ in after]
    return Namespace(
        f"r{n}", links=tuple(links), addresses=(*own, *addresses), routes=tuple(routes), rules=RULES, sysctls={"net.ipv4.ip_forward": "1"}
    )


PROBE = probe("r0", f"10.7.{LAST - 1}.2", ttl=255)


def given(snapshot: Snapshot, needs: tuple[Need, ...]) -> Snapshot:
    for need in needs:
        if isinstance(need, ReadNamespace):
            snapshot = snapshot.with_namespace(router(int(need.name[1:])))
        else:
            assert isinstance(need, FindPeer), need
            there = int(need.namespace[1:]) + (1 if need.nsid else -1)
            snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, f"r{there}")))
    return mutual(snapshot)


def walked(waypoint: Course | None, monkeypatch: pytest.MonkeyPatch) -> tuple[Prediction, int]:
    """The prediction, and how often a packet came in somewhere until it was made."""
    calls = []
    receive = ip.receive
    monkeypatch.setattr(ip, "receive", lambda *args, **more: calls.append(1) or receive(*args, **more))
    snapshot = Snapshot()
    for _ in range(4 * LAST):
        outcome = predict(snapshot, PROBE, ask=False, course=waypoint)
        if isinstance(outcome, Prediction):
            return outcome, len(calls)
        snapshot = given(snapshot, outcome)
    raise AssertionError(outcome)


def test_what_is_walked_grows_with_the_way_and_not_with_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    anew, often = walked(None, monkeypatch)
    monkeypatch.undo()
    onward, seldom = walked(Course(), monkeypatch)
    assert onward == anew
    assert onward.passes, onward.stop
    assert often > LAST * LAST / 2
    assert seldom <= 5 * LAST


def test_a_waypoint_that_is_asked_for_the_same_again_lets_the_walk_begin_anew() -> None:
    waypoint, snapshot = Course(), Snapshot()
    for _ in range(6):
        outcome = predict(snapshot, PROBE, ask=False, course=waypoint)
        assert not isinstance(outcome, Prediction)
        snapshot = given(snapshot, outcome)
    outcome = predict(snapshot, PROBE, ask=False, course=waypoint)
    for _ in range(3):  # nothing was read
        assert predict(snapshot, PROBE, ask=False, course=waypoint) == outcome
