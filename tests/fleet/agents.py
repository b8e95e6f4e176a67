"""Agents for tests: each in a network namespace of its own, with no way out of it, behind a wire that can be cut or slow."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netprobe.fleet.connection import AgentConnection
from netprobe.fleet.pipe import open_pipe, sent

PYTHON = getattr(sys, "_base_executable", sys.executable)
RELAY = Path(__file__).with_name("relay.py")
NAMESPACE = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-Urn")
FAST = "1e9"
SLOW = "8000"  # bytes a second: 64 kbit/s
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@dataclass
class Wired:
    """A connection, and the process that is its wire."""

    connection: AgentConnection
    wire: int
    agent: int

    def cut(self) -> None:
        cut(self.wire)

    def close(self) -> None:
        """Of a wire that is cut both ends go away."""
        self.connection.close()


def agent(host: str = "h1", *before: str) -> AgentConnection:
    """A connection to an agent in a namespace of its own, with `before` before its command."""
    return open_pipe(host, (*before, *NAMESPACE, *sent(PYTHON)), timeout=30)


def wired(host: str = "h1", rate: str = FAST) -> Wired:
    """The same behind a wire."""
    connection = agent(host, sys.executable, str(RELAY), rate)
    pid = int(connection.call("hello")["pid"])
    return Wired(connection, _parent(pid), pid)


def cut(wire: int) -> None:
    """Stop the process that is a wire: from now on nothing passes."""
    os.kill(wire, signal.SIGSTOP)
    assert within(5, lambda: all(state == "T" for state in _states(wire)))


def _states(pid: int) -> list[str]:
    """The state of each thread of a process."""
    return [each.read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{pid}/task").glob("*/stat")]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_there(pid: int) -> bool:
    """Whether a process runs, which a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def within(seconds: float, what: Callable[[], bool]) -> bool:
    """Whether it comes true in so many seconds."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
