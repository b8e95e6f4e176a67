"""Hosts that say what the test wants: no agent, no process, no packet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from netprobe.fleet.agent import Frames, framed
from netprobe.fleet.connection import AgentConnection

Answer = Callable[..., Any]


class NoAnswer(Exception):
    """Raised by an answer: the host says nothing to this."""


class Puppet:
    """A channel to a host that answers a verb by the function of that name, at once; `clock` is right, the rest None."""

    def __init__(self, connection: AgentConnection, answers: dict[str, Answer]) -> None:
        self._connection, self._answers, self._frames = connection, answers, Frames()
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        with self._lock:
            asked = list(self._frames.feed(data))
        for number, verb, arguments in asked:
            try:
                value = self._answers.get(verb, lambda *_: None)(*arguments)
            except NoAnswer:
                continue
            except OSError as error:
                self._say([number, False, error.errno, str(error.strerror)])
                continue
            self._say([number, True, value])

    def offer(self, data: bytes) -> bool:
        """What a connection asks now and then, to see whether the host is there."""
        self.send(data)
        return True

    def _say(self, answer: list[Any]) -> None:
        """One after the other, as a channel hears."""
        with self._lock:
            self._connection.received(framed(answer))

    def close(self) -> None:
        pass


PLAYED: list[AgentConnection] = []  # those of the test that runs: each is asked for ever whether it is there, until it is closed


def connected(name: str, **answers: Answer) -> AgentConnection:
    """A connection to such a host. It is closed when the test is over (conftest)."""
    PLAYED.append(AgentConnection(name, lambda connection: Puppet(connection, answers)))
    return PLAYED[-1]
