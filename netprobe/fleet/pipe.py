"""Frames over the standard input and output of a process: python3 on this machine, `kubectl exec -i`, or
`ssh` with a command that the host's own configuration forces.
"""

from __future__ import annotations

import errno
import inspect
import os
import select
import subprocess
import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

from . import agent
from .connection import SILENCE_S, AgentConnection, ConnectionLost

MOST_NOISE = 1 << 16  # bytes that a login shell may print before the agent speaks
CONNECT_S = 10.0
GRACE_S = 1.0  # for a process to end by itself once its input is closed
PIECE = 1 << 16
SLICE_S = 0.1  # how often one who waits to send looks whether it was closed meanwhile


def source() -> bytes:
    """The agent's one file."""
    return inspect.getsource(agent).encode()


@cache
def _compressed() -> bytes:
    return zlib.compress(source(), 9)


def sent(python: str = "python3") -> tuple[str, ...]:
    """The command that runs an agent which is sent to it: what `open_pipe` starts, alone or behind others."""
    size = len(_compressed())
    # reads the agent from the input and becomes it; the input goes on as frames
    program = (
        f"import os,zlib;s=b'';n={size}\n"
        "while len(s)<n:\n p=os.read(0,n-len(s))\n if not p:os._exit(1)\n s+=p\n"
        "n={'__name__':'netprobe_agent'}\n"
        "exec(compile(zlib.decompress(s),'netprobe_agent','exec'),n);n['serve']()"
    )
    return python, "-ISc", program


def open_pipe(
    host: str,
    command: Sequence[str],
    send_agent: bool = True,
    timeout: float = CONNECT_S,
    under_way: list[Pipe] | None = None,
) -> AgentConnection:
    """A connection to the agent that `command` runs; with `send_agent` it is one of `sent`. What is being
    connected is added to `under_way`, to be given up from another thread.

    Raises OSError when the command cannot be started, ConnectionLost when no agent answers in time.
    """
    attempts = [] if under_way is None else under_way
    return AgentConnection(host, lambda each: Pipe(each, command, send_agent, timeout, attempts))


def _not_taken() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"it did not take what it was sent within {SILENCE_S:.2g} s")


class Pipe:
    """A process and the thread that reads what it prints."""

    def __init__(
        self,
        connection: AgentConnection,
        command: Sequence[str],
        send_agent: bool,
        timeout: float,
        under_way: list[Pipe],
    ) -> None:
        self._connection = connection
        self._ready = threading.Event()
        self._said = b""
        self._errors = b""
        self._lock = threading.Lock()  # of the input: who writes to it or closes it
        self._is_closing = False
        under_way.append(self)
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._thread = threading.Thread(target=self._read, name=connection.host, daemon=True)
        self._thread.start()
        try:
            if send_agent:
                with suppress(BrokenPipeError):  # it has ended, and said why
                    self.send(_compressed())
            in_time = self._ready.wait(timeout)
            if why := connection.lost or ("" if in_time else f"no agent answers within {timeout:g} s"):
                raise ConnectionLost(errno.ECONNREFUSED, f"cannot reach {connection.host}: {why}", "network")
        except BaseException:
            self.close()
            raise

    def give_up(self) -> None:
        """Wait no longer for the connection to be made."""
        self._connection.lose("it was given up")
        self._is_closing = True
        self._ready.set()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError, ETIMEDOUT when they are not all taken within SILENCE_S, those that
        others send before among them.
        """
        end = time.monotonic() + SILENCE_S
        if not self._lock.acquire(timeout=SILENCE_S):
            raise _not_taken()
        try:
            self._write(memoryview(data), end)
        finally:
            self._lock.release()

    def _write(self, left: memoryview, end: float) -> None:
        fd, poll = self._input(), select.poll()
        poll.register(fd, select.POLLOUT)
        while left:
            if time.monotonic() > end:
                raise _not_taken()
            if poll.poll(SLICE_S * 1000):
                left = left[os.write(fd, left) :]
            self._input()

    def offer(self, data: bytes) -> bool:
        """Send PIPE_BUF bytes at most if nobody sends and there is room for them, which is all or none of
        them (pipe(7)); whether it did. Raises OSError.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return os.write(self._input(), data) == len(data)
        except BlockingIOError:
            return False
        finally:
            self._lock.release()

    def _input(self) -> int:
        """The descriptor of its input, under the lock. Raises BrokenPipeError where it is closed."""
        if self._is_closing or self._process.stdin is None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return self._process.stdin.fileno()

    def close(self) -> None:
        """End the process; it ends by itself at the end of its input. Who sends ends first: the number of
        the descriptor may be another file's afterwards.
        """
        assert self._process.stdin is not None
        self._is_closing = True
        with self._lock:
            self._process.stdin.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._thread is not threading.current_thread():
            self._thread.join(GRACE_S)

    def _read(self) -> None:
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout as out, process.stderr as err:
            poll, streams = select.poll(), {out.fileno(), err.fileno()}
            for fd in streams:
                poll.register(fd, select.POLLIN)
            while out.fileno() in streams:
                for fd, _ in poll.poll():
                    data = os.read(fd, PIECE)
                    if not data:
                        poll.unregister(fd)
                        streams.discard(fd)
                    elif fd == err.fileno():
                        self._errors = (self._errors + data)[-4096:]
                    else:
                        self._take(data)
            self._connection.lose(self._why())
            self._ready.set()

    def _take(self, data: bytes) -> None:
        if self._ready.is_set():
            self._connection.received(data)
            return
        self._said += data
        noise, preface, rest = self._said.partition(agent.PREFACE)
        if preface:
            self._ready.set()
            self._connection.received(rest)
        elif len(noise) > MOST_NOISE:
            self._process.kill()

    def _why(self) -> str:
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return "it closed the connection"
        lines = self._errors.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"its process ended with exit code {code}"
