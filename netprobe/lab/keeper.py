"""The inside of a kept lab: a process in the private world that builds a topology and then runs what it is
told over a socket.

The outside is `lab.Lab`. One request is one datagram: a pickled value and, as file descriptors, a channel for
the outcome and the three standard streams. Pickles come from the process that started this one, through a
socket that nobody else has.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from . import commands, private
from .build import build
from .firewall import FirewallTool
from .namespaces import entered
from .topology import Topology

LARGEST_REQUEST = 1 << 17  # bytes; an AF_UNIX datagram of the default send buffer may have 200 KiB
_STREAMS = 3


@dataclass(frozen=True, slots=True)
class Setup:
    """The first request: the lab to build, where commands run, and the import path for the functions that
    will be called.
    """

    topology: Topology
    rootless: bool | None
    engine: FirewallTool | None
    folder: str
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Run a program in a namespace; the channel gives its pid, and its exit code when it ends.

    A number sent the other way is a signal for it; closing the channel kills it.
    """

    argv: tuple[str, ...]
    namespace: str
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function inside the lab; the channel gives its result."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """An exception as an answer."""

    error: BaseException


def send(channel: socket.socket, value: object, fds: tuple[int, ...] = ()) -> None:
    """Send one value, and descriptors with it. ValueError when it is too big for one datagram."""
    data = pickle.dumps(value)
    if len(data) > LARGEST_REQUEST:
        raise ValueError(f"{len(data)} bytes do not fit into one message")
    socket.send_fds(channel, [data], list(fds))


def receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """The next value and its descriptors. EOFError when the other side is gone."""
    try:
        data, fds, _, _ = socket.recv_fds(channel, LARGEST_REQUEST, 1 + _STREAMS)
    except ConnectionResetError:  # it ended with our message unread
        data = b""
    if not data:
        raise EOFError("the lab is gone")
    return pickle.loads(data), fds


def main(fd: int) -> int:
    """Read the setup from the socket `fd`, keep that lab until the other side closes it."""
    control = socket.socket(fileno=fd)
    try:
        setup, _ = receive(control)
    except EOFError:
        return 0
    try:
        return private.run(lambda: _keep(control, setup), setup.rootless)
    except Exception as error:
        send(control, Failed(private.portable(error)))
        return 1


def _keep(control: socket.socket, setup: Setup) -> int:
    sys.path.extend(path for path in setup.imports if path not in sys.path)
    commands.prepare_path()
    os.chdir(setup.folder)
    build(setup.topology, setup.engine)
    send(control, "ready")
    _Keeper(control).serve()
    return 0


class _Keeper:
    """Answers requests one by one, while the programs it started run beside it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._events = selectors.DefaultSelector()

    def serve(self) -> None:
        self._events.register(self._control, selectors.EVENT_READ, self._request)
        with suppress(EOFError):
            while True:
                for key, _ in self._events.select():
                    if key.fd in self._events.get_map():  # not if an earlier event of this round closed it
                        key.data()

    def _request(self) -> None:
        request, fds = receive(self._control)
        channel = socket.socket(fileno=fds[0])
        try:
            if isinstance(request, Start):
                self._start(request, channel, fds[1:])
            else:
                send(channel, request.function(*request.arguments))
                channel.close()
        except Exception as error:
            with suppress(OSError):
                send(channel, Failed(private.portable(error)))
            channel.close()
        finally:
            for fd in fds[1:]:
                os.close(fd)

    def _start(self, request: Start, channel: socket.socket, streams: list[int]) -> None:
        with entered(request.namespace):
            process = subprocess.Popen(
                request.argv, stdin=streams[0], stdout=streams[1], stderr=streams[2],
                env={**os.environ, **dict(request.environment)}, start_new_session=True,
            )  # fmt: skip
        send(channel, process.pid)
        ended = os.pidfd_open(process.pid)

        def finish() -> None:
            """The program ended, or nobody wants it any more: both end its whole session."""
            self._events.unregister(ended)
            self._events.unregister(channel)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(OSError):
                send(channel, process.wait())
            os.close(ended)
            channel.close()

        def told() -> None:
            """A signal for the program; the end of the channel means SIGKILL."""
            try:
                number, _ = receive(channel)
            except (EOFError, OSError):
                return finish()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            return None

        self._events.register(ended, selectors.EVENT_READ, finish)
        self._events.register(channel, selectors.EVENT_READ, told)
