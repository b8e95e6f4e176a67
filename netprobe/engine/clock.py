"""How long the parts of the line take; and the searches for the cause, one of the parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from netprobe.model import Moment, Timings

if TYPE_CHECKING:
    from .searches import Searched

SEARCH_S = 2.0
"""What all searches for the cause of one question may take of a processor. One takes some 20 ms, of the
longest in the tests some 300.
"""

# Parts in which nothing is read. The walk is none: it asks for more as long as it is told more.
_THOUGHT = {"search", "diagnose"}


def now() -> Moment:
    """The wall clock, for rules that look at it."""
    seconds = int(time.time())
    return Moment(seconds, time.localtime(seconds).tm_gmtoff)


class Clock(Struct):
    """How long each part of the line took, in ns; a part within another one counts to itself alone.

    `pauses` gives blocks in which nothing is read: their time is none of that for reading.
    """

    pauses: Callable[[], AbstractContextManager[None]] = nullcontext
    spent: dict[str, int] = {}
    _searches: Searched | None = None
    _thought: float = 0.0  # s of the processor, in parts in which nothing is read
    _since: float | None = None  # ... when the one began that goes on
    hurried: bool = False  # what a search asked for last was not read
    _until: float = SEARCH_S  # ... of which a search is to end
    _begun: float | None = None  # ... at which the first search began

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """The block is this part of the line."""
        since, before = time.monotonic_ns(), sum(self.spent.values())
        try:
            with self._thinking() if part in _THOUGHT else nullcontext():
                yield
        finally:
            within = sum(self.spent.values()) - before
            self.spent[part] = self.spent.get(part, 0) + time.monotonic_ns() - since - within

    @contextmanager
    def _thinking(self) -> Iterator[None]:
        """The block reads nothing. Those within another one are parts of that."""
        if self._since is not None:
            yield
            return
        self._since = time.thread_time()
        try:
            with self.pauses():
                yield
        finally:
            self._thought, self._since = self._all_thought(), None

    def _all_thought(self) -> float:
        return self._thought + (0.0 if self._since is None else time.thread_time() - self._since)

    def allow(self, part: float) -> None:
        """What comes now may take this part of what is left for all searches of the question."""
        now = self._all_thought()
        if self._begun is None:
            self._begun = now
        self._until = now + part * max(self._begun + SEARCH_S - now, 0.0)

    def left(self) -> float:
        """What is left of that, in s of the processor."""
        return self._until - self._all_thought()

    def searches(self) -> Searched:
        """The searches, measured; a healthy network needs none, and does not load them."""
        if self._searches is None:
            from .searches import Searched

            self._searches = Searched(lambda: self.of("search"), self.left)
        return self._searches

    def timings(self) -> Timings:
        """What a report says of it."""
        return Timings(**{f"{part}_ns": spent for part, spent in self.spent.items()})
