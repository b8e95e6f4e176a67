"""From hosts to one world of them, with agents that are only pretended: what one of them does costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fleet.test_connection import Said

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.fleet import opening
from netprobe.fleet.connection import AgentConnection
from netprobe.fleet.reached import Launched
from netprobe.hosts import Hosts

Answer = Callable[[str], Any]
GOOD: dict[str, Any] = {"hello": {"capabilities": (1 << 41) - 1}, "clock": 1, "names": [], "processes": [], "shut": None}


class Scripted(Said):
    """A channel whose host answers each verb at once, or never where it is `silent` about it."""

    def __init__(self, connection: AgentConnection, answers: dict[str, Any]) -> None:
        super().__init__(connection)
        self.answers = answers

    def send(self, data: bytes) -> None:
        for number, verb, _ in self.sent.feed(data):
            self.asked.append(verb)
            if verb in self.answers:
                self.say([number, True, self.answers[verb]])


def fleet_of(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, dict[str, Any]]) -> Callable[[], opening.OpenFleet]:
    """What opens these hosts, each with its answers."""

    def scripted(name: str) -> AgentConnection:
        return AgentConnection(name, lambda each: Scripted(each, GOOD | hosts[name]))

    monkeypatch.setattr(opening, "destinations", lambda _: {name: Launched((name,)) for name in hosts})
    monkeypatch.setattr(opening, "_open_all", lambda _: {name: scripted(name) for name in hosts})
    return lambda: opening.open_fleet(Hosts(names=tuple(hosts)))


def good(number: int) -> dict[str, Any]:
    return {"open": [9, 4, number]}


def test_hosts_that_do_not_say_which_namespace_is_theirs_are_asked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "IDENTITY_S", 1.0)
    begin = time.monotonic()
    with fleet_of(monkeypatch, {"h1": good(77), "h2": {}, "h3": {}, "h4": {}, "h5": good(78)})() as fleet:
        assert time.monotonic() - begin < 2
        assert list(fleet._machines) == ["h1", "h5"]
        assert sorted(fleet._unasked) == ["h2", "h3", "h4"]
        assert all("did not answer in time" in str(each) for each in fleet._unasked.values())


@pytest.mark.parametrize(
    "answer", [{"open": 7, "identity": None}, {"open": None, "identity": [4, 77]}, {"open": [1]}, {"open": "x", "identity": 3}]
)
def test_nonsense_of_one_host_is_its_own_alone(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    with fleet_of(monkeypatch, {"h1": answer, "h2": good(77)})() as fleet:
        assert list(fleet._machines) == ["h2"]
        assert "h1 gives other answers" in str(fleet._unasked["h1"])


def test_a_fault_in_making_one_host_is_its_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = opening.Host

    def made(name: str, *arguments: Any) -> opening.Host:
        if name == "h1":
            raise ZeroDivisionError("a fault")
        return real(name, *arguments)

    monkeypatch.setattr(opening, "Host", made)
    with fleet_of(monkeypatch, {"h1": good(76), "h2": good(77)})() as fleet:
        assert list(fleet._machines) == ["h2"]
        assert isinstance(fleet._unasked["h1"], CannotLook)
        assert "a fault" in str(fleet._unasked["h1"])


def test_a_wrong_question_waits_for_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(name: str, connection: AgentConnection, *_: Any) -> opening.Host:
        if name == "h1":
            raise WrongQuestion("no such namespace")
        connection.call("open", "/x", timeout=10)
        raise AssertionError

    monkeypatch.setattr(opening, "Host", made)
    begin = time.monotonic()
    with pytest.raises(WrongQuestion):
        fleet_of(monkeypatch, {"h1": {}, "h2": {}})()
    assert time.monotonic() - begin < 3
