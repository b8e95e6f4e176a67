"""Several hosts as one world: each need goes to its host, and one that is slow or lost costs its own answers alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from netprobe.errors import CannotLook, NetprobeError, WrongQuestion
from netprobe.fleet.world import PATIENCE_S, Fleet
from netprobe.linux import deadline
from netprobe.model import (
    Endpoint,
    FindPeer,
    FindWire,
    FoundPeer,
    FoundWire,
    LookBehind,
    Namespace,
    Need,
    Observation,
    ReadNamespace,
    Snapshot,
    Space,
    SpaceInterface,
    Watch,
)
from netprobe.predict.hosts import having
from netprobe.predict.unread import Unread
from netprobe.predict.view import Ground, Lacking

FAR = "192.168.77.12"


class Told:
    """A host that answers what it is told to, after a while."""

    def __init__(self, name: str, ends: Mapping[str, int] | None = None, after_s: float = 0.0, lost: str = "") -> None:
        self.name, self.ends, self.after_s, self.lost = name, ends or {}, after_s, lost
        self.asked: list[Need] = []
        self.begun: list[Need] = []

    @property
    def home(self) -> str:
        return f"{self.name}:host"

    def reading(self, limit_ns: int) -> Any:
        return deadline.within(limit_ns / 1e9)

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        del inside
        if text[0].isdigit():
            return Endpoint(text, address=text)
        if text not in ("red", "host"):
            raise WrongQuestion(f"there is no {text}")
        return Endpoint(f"{self.name}:{text}", f"{self.name}:{text}")

    def ahead(self, needs: Sequence[Need]) -> None:
        self.begun += needs

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        time.sleep(self.after_s)
        if self.lost:
            raise CannotLook(self.lost)
        self.asked += needs
        for need in needs:
            if isinstance(need, FindWire):
                ends = ((self.home, self.ends[need.sought]),) if need.sought in self.ends else ()
                snapshot = replace(snapshot, wires=(*snapshot.wires, FoundWire(need.sought, ends)))
            elif isinstance(need, ReadNamespace):
                snapshot = snapshot.with_namespace(Namespace(need.name))
            elif isinstance(need, FindPeer):
                snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, None)))
        return snapshot

    def observe(self, watch: Watch, settled: Any) -> tuple[Observation, ...]:
        raise NotImplementedError

    def opened(self, names: Iterable[str]) -> Mapping[str, Any]:
        return {name: 7 for name in names if name.startswith(f"{self.name}:")}

    def spaces(self) -> tuple[Space, ...]:
        time.sleep(self.after_s)
        return (Space(f"{self.name}:red", "netns", interfaces=(SpaceInterface("eth0", addresses=("10.88.2.2/16",)),)),)

    def heard(self) -> tuple[str, ...]:
        return ()

    def behind_port(self, name: str, protocol: str, port: int) -> tuple[str, ...]:
        return (name, protocol, str(port))


@contextmanager
def question(fleet: Fleet) -> Iterator[None]:
    with fleet.reading(2_000_000_000):
        yield


def test_each_need_goes_to_its_host() -> None:
    h1, h2 = Told("h1"), Told("h2", {FAR: 2})
    fleet = Fleet({"h1": h1, "h2": h2})
    needs = (ReadNamespace("h1:red"), ReadNamespace("h2:red"), FindPeer("h2:red", 3), FindWire(FAR))
    with question(fleet):
        found = fleet.read(Snapshot(), needs)
    assert [*found.namespaces] == ["h1:red", "h2:red"]
    assert found.homes == ("h1:host", "h2:host")
    assert found.wires == (FoundWire(FAR, (("h2:host", 2),)),)
    assert h1.asked == [FindWire(FAR), ReadNamespace("h1:red")] or h1.asked == [ReadNamespace("h1:red"), FindWire(FAR)]
    assert h2.begun == [ReadNamespace("h2:red"), FindPeer("h2:red", 3)], "begun before the first is read"


def test_a_host_that_is_slow_costs_its_own_answer_alone() -> None:
    fleet = Fleet({"h1": Told("h1"), "h2": Told("h2", {FAR: 2}), "h3": Told("h3", after_s=2.0)})
    with question(fleet):
        since = time.monotonic()
        found = fleet.read(Snapshot(), [FindWire(FAR)])
        assert time.monotonic() - since < PATIENCE_S + 0.5
        again = fleet.read(found, [FindWire("02:00:00:00:00:02"), ReadNamespace("h2:red"), ReadNamespace("h3:red")])
        assert time.monotonic() - since < PATIENCE_S + 1.0, "asked no more in this question"
    assert found.wires == (FoundWire(FAR, (("h2:host", 2),), "host h3: not read in time"),)
    assert [(each.what, each.why) for each in found.blind] == [("host h3", "not read in time")]
    assert "not read in time" in str(again["h3:red"].unread)
    assert not again["h2:red"].unread


@pytest.mark.parametrize("need", [ReadNamespace("h2:red"), FindPeer("h2:red", 1), LookBehind("h2:red", 1, 2)])
def test_what_is_asked_of_a_host_that_was_not_reached_is_a_blind_spot(need: Need) -> None:
    fleet = Fleet({"h1": Told("h1")}, {"h2": CannotLook("cannot reach h2: timed out")})
    with question(fleet):
        found = fleet.read(Snapshot(), [ReadNamespace("h1:red"), need])
    assert "cannot reach h2" in str((found.namespaces, found.peers, found.behind))
    assert not found["h1:red"].unread


def test_a_host_that_is_lost_says_nothing_of_the_others() -> None:
    fleet = Fleet({"h1": Told("h1"), "h2": Told("h2", lost="the connection to h2 is lost")})
    with question(fleet):
        found = fleet.read(Snapshot(), [FindWire(FAR), ReadNamespace("h2:red"), ReadNamespace("h1:red")])
    assert found.wires[0].why == "host h2: the connection to h2 is lost"
    assert "is lost" in str(found["h2:red"].unread)
    assert not found["h1:red"].unread


def test_names_and_addresses_of_hosts() -> None:
    refused: NetprobeError = CannotLook("cannot reach h3: no route")
    fleet = Fleet({"h1": Told("h1"), "h2": Told("h2")}, {"h3": refused})
    assert fleet.resolve("h1:red").namespace == "h1:red"
    assert fleet.resolve("10.88.2.2", Endpoint("h1:red", "h1:red")).namespace is None
    there = fleet.resolve("h2:10.88.2.2")
    assert (there.endpoint, there.namespace, there.address) == ("h2:10.88.2.2", "h2:red", "10.88.2.2")
    with pytest.raises(WrongQuestion, match="no namespace of h2"):
        fleet.resolve("h2:10.9.9.9")
    with pytest.raises(CannotLook, match="no route"):
        fleet.resolve("h3:red")


def test_a_host_that_nobody_reached_is_not_one_that_has_nothing() -> None:
    """All that could be asked was read, and none of it has the address: the one that could not be asked may have it."""
    fleet = Fleet({"h1": Told("h1")}, {"h2": CannotLook("cannot reach h2: no route to host")})
    with fleet.reading(10**9):
        snapshot = fleet.read(Snapshot(), [ReadNamespace("h1:host")])
        assert snapshot.homes == ("h1:host", "h2:host")
        assert [(each.what, each.why) for each in snapshot.blind] == [("host h2", "cannot reach h2: no route to host")]
        ground = Ground(snapshot)
        with pytest.raises(Lacking) as lacking:
            having(ground, FAR)
        assert lacking.value.needs == (FindWire(FAR),)
        with pytest.raises(Unread, match="no route to host"):
            having(Ground(fleet.read(snapshot, lacking.value.needs)), FAR)
