"""How long the parts of the line take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from netprobe.model import Timings


@dataclass(slots=True)
class Clock:
    """How long each part of the line took, in ns."""

    spent: dict[str, int] = field(default_factory=dict)

    def add(self, part: str, since: int) -> None:
        """`part` took from `since` (monotonic, ns) until now, beside what it took before."""
        self.spent[part] = self.spent.get(part, 0) + time.monotonic_ns() - since

    def timings(self) -> Timings:
        """What a report says of it."""
        return Timings(*(self.spent.get(part, 0) for part in ("snapshot", "predict", "observe", "diagnose")))
