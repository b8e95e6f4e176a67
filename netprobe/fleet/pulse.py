"""One thread that looks after all connections: it runs while there are any, and closes them when the program
ends.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Protocol

TICK_S = 0.25


class Beating(Protocol):
    """What wants to be called again and again."""

    def beat(self, now: float) -> None:
        """Called every TICK_S, with time.monotonic()."""
        ...

    def lose(self, why: str) -> None:
        """Its beat has failed: it is not called any more."""
        ...

    def close(self) -> None:
        """The program ends."""
        ...


class Pulse:
    """Calls `beat` of everything that was added, until it is removed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: set[Beating] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def add(self, member: Beating) -> None:
        """Call `beat` of this one from now on."""
        with self._lock:
            self._members.add(member)
            if self._thread is None or not self._thread.is_alive():
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="netprobe fleet", daemon=True)
                self._thread.start()

    def remove(self, member: Beating) -> None:
        """No more. Harmless when repeated."""
        with self._lock:
            self._members.discard(member)
            if not self._members:
                self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(TICK_S)
            with self._lock:
                if not self._members:
                    self._thread = None
                    return
                self._wake.clear()
                members = list(self._members)
            for member in members:
                self._look_after(member)

    def _look_after(self, member: Beating) -> None:
        """A fault of one costs the others nothing."""
        try:
            if threading.main_thread().is_alive():
                member.beat(time.monotonic())
            else:
                member.close()
        except Exception as error:
            self.remove(member)
            with suppress(Exception):
                member.lose(f"it could not be asked whether it is there ({error!r:.80})")


PULSE = Pulse()
