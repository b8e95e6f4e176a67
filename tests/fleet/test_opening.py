"""From hosts to one world of them, with agents that are only pretended: what one of them does costs the others nothing."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet.agents import is_there, within
from fleet.test_connection import Said

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.fleet import agent, opening, pulse
from netprobe.fleet.connection import AgentConnection, ConnectionLost
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


# --- Ctrl-C


@pytest.fixture
def interrupted() -> Iterator[Callable[[float], None]]:
    """Ctrl-C after so many seconds."""
    timers = []

    def soon(seconds: float) -> None:
        timers.append(threading.Timer(seconds, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)))
        timers[-1].start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield soon
    for each in timers:
        each.cancel()
        each.join()
    signal.signal(signal.SIGINT, before)


def launched(at: Path, says: bytes) -> Launched:
    """A host by a command, whose process writes its number to a file."""
    program = f"import os,time;open({str(at)!r},'w').write(str(os.getpid()));os.write(1,{says!r});os.read(0,1<<20);os.read(0,1)"
    return Launched((sys.executable, "-IS", "-c", program), is_there=True)


def test_ctrl_c_while_hosts_are_connected_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, interrupted: Callable[[float], None], tmp_path: Path
) -> None:
    """Neither of those that are there, nor of one that says nothing, nor of those by ssh."""
    by_ssh = AgentConnection("h3", Said)
    monkeypatch.setattr(opening, "open_all", lambda _: {"h3": by_ssh})
    to = {"h1": launched(tmp_path / "h1", agent.PREFACE), "h2": launched(tmp_path / "h2", b"")}
    begin = time.monotonic()
    interrupted(1.0)
    with pytest.raises(KeyboardInterrupt):
        opening._open_all(to)
    assert time.monotonic() - begin < 4
    assert by_ssh.lost
    for name in to:
        assert within(2, lambda name=name: not is_there(int((tmp_path / name).read_text())))  # type: ignore[misc]
    assert within(2, lambda: not {"h1", "h2"} & {each.name for each in threading.enumerate()})
    assert not {"h1", "h2", "h3"} & {each.host for each in pulse.PULSE._members if isinstance(each, AgentConnection)}


def test_ctrl_c_while_hosts_by_ssh_are_connected_leaves_none_by_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken_off(_: object) -> dict[str, AgentConnection | ConnectionLost]:
        assert within(5, lambda: bool((tmp_path / "h1").exists() and (tmp_path / "h1").read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "open_all", broken_off)
    with pytest.raises(KeyboardInterrupt):
        opening._open_all({"h1": launched(tmp_path / "h1", agent.PREFACE)})
    assert within(2, lambda: not is_there(int((tmp_path / "h1").read_text())))
