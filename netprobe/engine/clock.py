"""How long the parts of the line take; and the searches for the cause, one of the parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from netprobe.model import Moment, Timings

if TYPE_CHECKING:
    from .searches import Searched


def now() -> Moment:
    """The wall clock, for rules that look at it."""
    seconds = int(time.time())
    return Moment(seconds, time.localtime(seconds).tm_gmtoff)


class Clock(Struct):
    """How long each part of the line took, in ns; a part within another one counts to itself alone."""

    spent: dict[str, int] = {}
    _searches: Searched | None = None

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """The block is this part of the line."""
        since, before = time.monotonic_ns(), sum(self.spent.values())
        try:
            yield
        finally:
            within = sum(self.spent.values()) - before
            self.spent[part] = self.spent.get(part, 0) + time.monotonic_ns() - since - within

    def searches(self) -> Searched:
        """The searches, measured; a healthy network needs none, and does not load them."""
        if self._searches is None:
            from .searches import Searched

            self._searches = Searched(lambda: self.of("search"))
        return self._searches

    def timings(self) -> Timings:
        """What a report says of it."""
        return Timings(**{f"{part}_ns": spent for part, spent in self.spent.items()})
