"""A connection to the agent of one host: questions go out as frames, answers come in any order.

What a host sends is its own word: a frame that does not fit makes the connection lost, and so does silence. A
lost connection says why and answers every further question with that; it says nothing of any packet.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from .agent import Frames, Malformed, framed
from .pulse import PULSE

PATIENCE_S = 10.0  # for an answer, unless the caller has less
# after which a host that owes an answer is lost; over 64 kbit/s one packet of ssh takes 4 s (32 KiB)
SILENCE_S = 5.0
BEAT_S = 1.0  # how often a host is asked whether it is there: well within its agent's lease


class ConnectionLost(OSError):
    """There is no connection to the host, or none any more; `strerror` says to which, and why.

    `kind` is what a person can do something about: "" for one that was there, else what kept it from being
    made: "network", "login" (ssh does not let us in), "key unknown", "key changed" (the host's), "python"
    (there is none), "old python", "become" (not without a password), or "mitogen" (it is not installed here).
    """

    def __init__(self, code: int, text: str, kind: str = "") -> None:
        super().__init__(code, text)
        self.kind = kind


class ByteChannel(Protocol):
    """What carries bytes to an agent. What comes back it hands to `AgentConnection.received` and `lose`."""

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError."""
        ...

    def offer(self, data: bytes) -> bool:
        """Send a few bytes if that takes no waiting; whether it did. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of the process, the threads and the descriptors. Harmless when repeated."""
        ...


class Pending:
    """A question under way."""

    def __init__(self, host: str, verb: str, end: float, forget: Callable[[], object]) -> None:
        self._host, self._verb, self._end, self._forget = host, verb, end, forget
        self._done = threading.Event()
        self._value: Any = None
        self._error: OSError | None = None

    def settle(self, value: Any = None, error: OSError | None = None) -> None:
        """The answer, or what stands for it."""
        self._value, self._error = value, error
        self._done.set()

    def result(self) -> Any:
        """What the agent answers.

        Raises OSError: the agent's, ETIMEDOUT when it has not answered in time, ConnectionLost.
        """
        if not self._done.wait(max(0.0, self._end - time.monotonic())):
            self._forget()
            raise TimeoutError(errno.ETIMEDOUT, f"{self._host} did not answer {self._verb} in time")
        if self._error is not None:
            raise self._error
        return self._value


class AgentConnection:
    """A host that can be asked, from any thread. `lost` says why it cannot any more, and is "" while it can.

    `open_channel` is given the connection, to tell it what comes, and returns the channel. Raises OSError.
    """

    def __init__(self, host: str, open_channel: Callable[[AgentConnection], ByteChannel]) -> None:
        self.host = host
        self.lost = ""
        self.heard = time.monotonic()  # when bytes came last
        self._beat = self.heard
        self._lock = threading.Lock()
        self._frames = Frames()
        self._pending: dict[int, Pending] = {}
        self._numbers = count(1)
        self._unsent = b""  # a beat that the channel did not take yet
        self._late: set[int] = set()  # questions whose answers nobody waits for any more
        self._channel: ByteChannel | None = None
        self._channel = open_channel(self)
        PULSE.add(self)
        if self.lost:  # while it was opened
            self._release()

    def __enter__(self) -> AgentConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the agent and release all that the connection holds here. Harmless when repeated."""
        self.lose("it was closed")
        self._release()

    def call(self, verb: str, *arguments: Any, timeout: float = PATIENCE_S) -> Any:
        """What the agent answers to a verb. Raises as `Pending.result`."""
        return self.begin(verb, *arguments, timeout=timeout).result()

    def begin(self, verb: str, *arguments: Any, timeout: float = PATIENCE_S) -> Pending:
        """Ask now, and hear the answer later: a connection that is lost says so then. Raises Malformed for
        what cannot be sent.
        """
        pending, data = self._noted(verb, arguments, timeout)
        try:
            if self.lost or self._channel is None:
                pending.settle(error=self._loss())
            else:
                self._channel.send(data)
        except OSError as error:
            self.lose(error.strerror or str(error))
        return pending

    def _noted(self, verb: str, arguments: tuple[Any, ...], timeout: float) -> tuple[Pending, bytes]:
        """A question that is about to be sent, and its frame."""
        number, now = next(self._numbers), time.monotonic()
        data = framed([number, verb, list(arguments)])
        pending = Pending(self.host, verb, now + timeout, lambda: self._forget(number))
        with self._lock:
            if not self._pending:
                self.heard = now  # silence is counted from the first question that is not answered
            if not self.lost:
                self._pending[number] = pending
        return pending, data

    def received(self, data: bytes) -> None:
        """Bytes have come from the host."""
        if self.lost:
            return
        self.heard = time.monotonic()
        try:
            for answer in self._frames.feed(data):
                self._take(answer)
        except Malformed as error:
            self.lose(f"it said what no agent says ({error})")

    def _take(self, answer: Any) -> None:
        match answer:
            case [int(number), True, value]:
                error = None
            case [int(number), False, int(code), str(text)] if 0 < code < 4096:
                value, error = None, OSError(code, text or os.strerror(code))
            case _:
                raise Malformed("no answer")
        with self._lock:
            pending = self._pending.pop(number, None)
            if pending is None and number not in self._late:
                raise Malformed("an answer to no question")
            self._late.discard(number)
        if pending is not None:
            pending.settle(value, error)

    def _forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        with self._lock:
            if self._pending.pop(number, None) is not None:
                self._late.add(number)

    def lose(self, why: str) -> None:
        """There is no connection any more: all who wait for an answer hear it. The first reason stays."""
        with self._lock:
            self.lost = self.lost or why
            waiting, self._pending = list(self._pending.values()), {}
        for pending in waiting:
            pending.settle(error=self._loss())

    def _loss(self) -> ConnectionLost:
        return ConnectionLost(errno.ENOTCONN, f"the connection to {self.host} is lost: {self.lost}")

    def beat(self, now: float) -> None:
        """Called often: ask an idle host whether it is there, and give up one that is silent for too long."""
        with self._lock:
            is_owing = bool(self._pending)
        if is_owing and now - self.heard > SILENCE_S:
            self.lose(f"it was silent for {SILENCE_S:.0f} s")
        if self.lost:  # beside: to end a process may take long, and other hosts wait for their beat
            PULSE.remove(self)
            threading.Thread(target=self._release, daemon=True).start()
        elif now - self._beat > BEAT_S and self._is_asked():
            self._beat = now

    def _is_asked(self) -> bool:
        """Whether it could be asked without waiting: other hosts wait for their beat. What could not be sent
        is owed from now on, and sent later.
        """
        try:
            self._unsent = self._unsent or self._noted("clock", (), SILENCE_S)[1]
            if self._channel is None or not self._channel.offer(self._unsent):
                return False
        except OSError as error:
            self.lose(error.strerror or str(error))
        self._unsent = b""
        return True

    def _release(self) -> None:
        PULSE.remove(self)
        if self._channel is not None:
            self._channel.close()
