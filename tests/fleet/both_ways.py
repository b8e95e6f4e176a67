"""The same lab namespace read and observed from here, and over an agent in a process behind a pipe. Runs inside a lab, by `lab.call`."""

from __future__ import annotations

import os
import signal
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import msgspec
from linux.observing import a_probe, all_answered

from netprobe.codec import run_to_json
from netprobe.engine import ask
from netprobe.errors import NetprobeError
from netprobe.fleet.host import Host
from netprobe.fleet.pipe import open_pipe, sent
from netprobe.linux.machine import Machine
from netprobe.linux.sensors.observe import observe
from netprobe.model import AskRoute, Endpoint, FindPeer, ReadNamespace, RouteQuery, Snapshot, Watch
from netprobe.question import Question
from netprobe.wire.craft import craft

PYTHON = getattr(sys, "_base_executable", sys.executable)
BY_THE_WAY = ("clock", "shut")  # these wait for nothing that is needed


class Counted:
    """A connection that notes what is asked of it."""

    def __init__(self, connection: Any) -> None:
        self.verbs: list[str] = []
        self._begin, connection.begin = connection.begin, self.begin

    def begin(self, verb: str, *arguments: Any, **options: Any) -> Any:
        if verb not in BY_THE_WAY:
            self.verbs.append(verb)
        return self._begin(verb, *arguments, **options)

    def taken(self) -> list[str]:
        """What was asked since the last call."""
        verbs, self.verbs = self.verbs, []
        return verbs


@contextmanager
def host() -> Iterator[tuple[Host, Counted]]:
    """This machine, as the host h1."""
    with open_pipe("h1", sent(PYTHON), timeout=30) as connection:
        counted = Counted(connection)
        with Host("h1", connection) as opened:
            yield opened, counted


def namespaces(*names: str) -> list[tuple[list[str], dict[str, str], list[str]]]:
    """Of each namespace the parts that it has, how those differ that are read otherwise over the agent, and what was asked for that."""
    found = []
    with Machine() as machine, host() as (distant, counted):
        for name in names:
            assert machine.resolve(name).namespace == name
            assert distant.resolve(name).namespace == f"h1:{name}"
            counted.taken()
            there = distant.read(Snapshot(), [ReadNamespace(f"h1:{name}")])[f"h1:{name}"]
            verbs = counted.taken()
            here = machine.read(Snapshot(), [ReadNamespace(name)])[name]
            assert there.name == f"h1:{name}"
            near, far = (msgspec.to_builtins(each, enc_hook=dict) for each in (here, there))
            found.append((*_compared(near, unprefixed(far)), verbs))
    return found


def _compared(here: dict[str, Any], there: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    other = {part: f"{there[part]!s:.400} is not {here[part]!s:.400}" for part in here if unprefixed(here[part]) != there[part]}
    return [part for part in here if here[part]], other


def together(*names: str) -> list[str]:
    """What is asked when these are read at once."""
    with host() as (distant, counted):
        for name in names:
            distant.resolve(name)
        counted.taken()
        distant.read(Snapshot(), [ReadNamespace(f"h1:{name}") for name in names])
        return counted.taken()


def routes(name: str, *destinations: str) -> tuple[list[Any], list[Any], list[str]]:
    """The kernel's answers to route lookups, both ways."""
    queries = [RouteQuery(None, destination) for destination in destinations]
    with Machine() as machine, host() as (distant, counted):
        machine.resolve(name)
        distant.resolve(name)
        counted.taken()
        there = distant.read(Snapshot(), [AskRoute(f"h1:{name}", query) for query in queries]).answers
        here = machine.read(Snapshot(), [AskRoute(name, query) for query in queries]).answers
        plain = [[msgspec.to_builtins(each.answer) for each in answers] for answers in (here, there)]
        return plain[0], plain[1], counted.taken()


def runs(options: dict[str, Any]) -> tuple[bytes, bytes, list[str]]:
    """The run that answers a question, both ways, and what was asked of the agent for that."""
    question = Question(**options)
    with Machine() as machine:
        here = ask(machine, question)
    with host() as (distant, counted):
        there = ask(distant, question)
        return zlib.compress(run_to_json(here)), zlib.compress(run_to_json(there)), counted.taken()


def over_two_hosts(fault: str, victim: str) -> tuple[list[tuple[str, str, str]], str, float]:
    """(kind, namespace, text) of what was seen of an echo request from h1:red to h2:internet, observed here as well; what ended it else;
    and how many seconds it took. `fault` (a signal) comes to the agent of `victim` when all is armed.
    """
    with Machine() as machine, ExitStack() as stack:
        one, two = (stack.enter_context(open_pipe(name, sent(PYTHON), timeout=30)) for name in ("h1", "h2"))
        agents = {"h1": one.call("hello")["pid"], "h2": two.call("hello")["pid"]}
        first, second = stack.enter_context(Host("h1", one)), stack.enter_context(Host("h2", two))
        places = ("h1:red", "h2:internet", machine.resolve("c1").namespace or "", machine.resolve("host").namespace or "")
        first.resolve("red"), second.resolve("internet")
        handles = {**machine.opened(places), **first.opened(places), **second.opened(places)}
        probe = a_probe("icmp", ("h1:red", "10.0.0.2"), ("8.8.8.8", None), timeout_ns=1_500_000_000)

        def crafted(recipe: Any) -> Any:  # all taps are armed when the first packet is made
            if fault:
                os.kill(agents[victim], getattr(signal, fault))
                time.sleep(0.2)
            return craft(recipe)

        begun, ended, seen = time.monotonic(), "", ()
        try:
            seen = observe(Watch(probe, places), handles, all_answered(probe), crafted)
        except NetprobeError as error:
            ended = str(error)
        finally:
            took = time.monotonic() - begun
            for pid in agents.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        return [(each.kind, each.namespace, each.text) for each in seen if each.leg or each.kind != "seen"], ended, took


def read_after_a_loss() -> tuple[list[str], list[tuple[str, str]], float]:
    """Whether two namespaces are read of a host whose agent has ended: their names, what is said of them, and in how many seconds."""
    with open_pipe("h1", sent(PYTHON), timeout=30) as connection, Host("h1", connection) as distant:
        names = [str(distant.resolve(name).namespace) for name in ("red", "c1")]
        os.kill(connection.call("hello")["pid"], signal.SIGKILL)
        begun = time.monotonic()
        with distant.reading(2_000_000_000):
            snapshot = distant.read(Snapshot(), [ReadNamespace(name) for name in names])
        found = [(each.what, each.why) for name in names for each in snapshot[name].blind]
        return names, found, time.monotonic() - begun


def peer_after_a_loss() -> tuple[str | None, str | None, str | None]:
    """The far end of a cable of h1:host, and, of a host whose agent has ended, what is said instead and why."""
    with open_pipe("h1", sent(PYTHON), timeout=30) as connection, Host("h1", connection) as distant:
        name = str(distant.resolve("host").namespace)
        links = distant.read(Snapshot(), [ReadNamespace(name)])[name].links
        nsid = next(link.link.nsid for link in links if link.name == "veth0" and link.link is not None)
        assert nsid is not None
        [known] = distant.read(Snapshot(), [FindPeer(name, nsid)]).peers
    with open_pipe("h1", sent(PYTHON), timeout=30) as connection, Host("h1", connection) as distant:
        distant.spaces()  # what namespaces there are is known from now on
        distant.resolve("host", Endpoint(""))
        real, asked = connection.begin, 0

        def begin(verb: str, *arguments: Any, **options: Any) -> Any:
            nonlocal asked
            asked += verb == "open"
            if verb == "open":  # the search has begun
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.1)
            return real(verb, *arguments, **options)

        pid, connection.begin = connection.call("hello")["pid"], begin  # type: ignore[method-assign]
        [lost] = distant.read(Snapshot(), [FindPeer(name, nsid)]).peers
        assert asked
    return known.peer, lost.peer, lost.why


def read_of_a_silent_host() -> tuple[list[tuple[str, str]], float]:
    """The same of one whose agent stands still: what is said of two namespaces, and in how many seconds."""
    with open_pipe("h1", sent(PYTHON), timeout=30) as connection, Host("h1", connection) as distant:
        names = [str(distant.resolve(name).namespace) for name in ("red", "c1")]
        pid = connection.call("hello")["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with distant.reading(1_000_000_000):
                distant.ahead([ReadNamespace(name) for name in names])
                snapshot = distant.read(Snapshot(), [ReadNamespace(name) for name in names])
            took = time.monotonic() - begun
        finally:
            os.kill(pid, signal.SIGCONT)
        return [(each.what, each.why) for name in names for each in snapshot[name].blind], took


def spaces() -> tuple[list[Any], list[Any], list[str]]:
    """The namespaces that can be seen, both ways."""
    with Machine() as machine, host() as (distant, counted):
        counted.taken()
        there = [msgspec.to_builtins(each) for each in distant.spaces()]
        verbs = counted.taken()
        return [msgspec.to_builtins(each) for each in machine.spaces()], there, verbs


def unprefixed(value: Any) -> Any:
    """A value of h1 as it would be of this machine."""
    if isinstance(value, str):
        return value.replace("h1:", "")
    if isinstance(value, dict):
        return {unprefixed(key): unprefixed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [unprefixed(each) for each in value]
    return value
