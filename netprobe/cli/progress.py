"""How far it is, for a person who waits: one line on a terminal's standard error, once something takes longer
than a second, and gone at the end.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event, Thread

SILENT_S = 1.0  # who is done by then says nothing of how far it is
STEP_S = 0.2


class Progress:
    """Says `what` is going on and for how long; who counts calls it with what is done, of how much.

    `finishing` is what is going on when all is done. It writes from a thread of its own, which holds no lock
    of Python's: others fork meanwhile.
    """

    def __init__(self, what: str, unit: str = "", finishing: str = "") -> None:
        self._what, self._unit, self._finishing = what, unit, finishing
        self._since = time.monotonic()
        self._shown = False
        self._over: Event | None = None
        self._thread: Thread | None = None

    def __call__(self, done: int, total: int) -> None:
        """So much is done."""
        counted = f"{done:,} of {total:,} {self._unit}"
        self._what = self._finishing if self._finishing and done >= total else counted

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from threading import Event, Thread

            self._over = Event()
            self._thread = Thread(target=self._tell, args=(self._over,), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._over is not None and self._thread is not None:
            self._over.set()
            self._thread.join()
            if self._shown:
                _write("\r\x1b[K")

    def _tell(self, over: Event) -> None:
        wait = SILENT_S
        while not over.wait(wait):
            self._shown, wait = True, STEP_S
            _write(f"\r{self._what}, {time.monotonic() - self._since:.0f} s\x1b[K")


def _write(text: str) -> None:
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode("ascii", "replace"))
