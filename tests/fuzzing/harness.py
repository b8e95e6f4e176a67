"""Cases of hostile input, one after the other: which of them crash, how long the slowest takes, how much memory they need."""

from __future__ import annotations

import resource
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

SLOWEST = 5.0  # seconds that one case may take
MEMORY = 200 << 10  # KiB that the whole process may have had


@dataclass(frozen=True)
class Case:
    """So many inputs that are tried together, with a name under which they can be made again."""

    name: str
    inputs: int
    run: Callable[[], None]


@dataclass
class Tally:
    """What came of the cases."""

    inputs: int = 0
    crashes: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slowest_name: str = ""
    peak_kib: int = 0

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        slow = [f"{self.slowest_name} took {self.slowest:.1f} s"] if self.slowest > SLOWEST else []
        large = [f"{self.peak_kib} KiB of memory"] if self.peak_kib > MEMORY else []
        return [*self.crashes, *slow, *large]

    def __str__(self) -> str:
        slowest = f"slowest {self.slowest:.2f} s ({self.slowest_name})"
        return f"{self.inputs} inputs: {len(self.crashes)} crashes, {slowest}, peak {self.peak_kib / 1024:.0f} MiB"


def survey(cases: Iterable[Case]) -> Tally:
    """Run all cases. A case that raises is a crash; one that expects an error of netprobe catches it itself."""
    tally = Tally()
    for case in cases:
        since = time.monotonic()
        try:
            case.run()
        except Exception:
            tally.crashes.append(f"{case.name}\n{traceback.format_exc()}")
        took = time.monotonic() - since
        if took > tally.slowest:
            tally.slowest, tally.slowest_name = took, case.name
        tally.inputs += case.inputs
    tally.peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return tally


def portions(count: int, size: int) -> Iterator[int]:
    """`count` inputs in cases of `size`, the last one smaller."""
    while count > 0:
        yield min(size, count)
        count -= size
