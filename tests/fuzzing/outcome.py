"""What a fuzz run found: command lines that ended in a bug or beyond the contract, the slowest, and the memory they took."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

LIMIT_S = 5  # a case that takes longer hangs
LIMIT_BYTES = 200_000_000  # of memory, the interpreter's own included
CONTRACT = frozenset({0, 1, 2, 3, 4})  # how a command may end that has nothing to write but its answer
SHOWN = 20


@dataclass
class Outcome:
    """What came of the cases so far."""

    cases: int = 0
    failures: list[str] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    slowest_s: float = 0.0
    slowest: str = ""

    def run(self, name: str, argv: Sequence[str], allowed: frozenset[int] = CONTRACT) -> None:
        """One command line in this process. A code that is not `allowed`, and one that hangs, is a failure."""
        began = time.monotonic()
        code, told = answer(argv)
        self.took(name, time.monotonic() - began)
        self.codes[code] = self.codes.get(code, 0) + 1
        if code not in allowed:
            self.failures.append(f"{name}: exit {code}: {told.strip().splitlines()[:1]}")

    def check(self, name: str, question: Callable[[], object], expected: tuple[type[Exception], ...]) -> None:
        """One function call; any exception but the `expected` ones is a failure."""
        began = time.monotonic()
        try:
            question()
        except expected:
            pass
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(f"{name}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
        self.took(name, time.monotonic() - began)

    def took(self, name: str, seconds: float) -> None:
        """Count a case, and remember the slowest."""
        self.cases += 1
        if seconds > self.slowest_s:
            self.slowest_s, self.slowest = seconds, name
        if seconds > LIMIT_S:
            self.failures.append(f"{name}: took {seconds:.1f} s")

    @property
    def peak_bytes(self) -> int:
        """The most memory that this program ever had; ru_maxrss would count who started it, too. proc_pid_status(5)."""
        found = re.search(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    @property
    def passed(self) -> bool:
        """Whether nothing is to be mended."""
        return not self.failures and self.peak_bytes <= LIMIT_BYTES

    def __str__(self) -> str:
        codes = ", ".join(f"{count} x exit {code}" for code, count in sorted(self.codes.items()))
        lines = [f"{self.cases} cases ({codes or 'function calls'}), {len(self.failures)} failures"]
        lines += [f"  {failure}" for failure in self.failures[:SHOWN]]
        lines += [f"slowest {self.slowest_s:.2f} s: {self.slowest}", f"peak {self.peak_bytes / 1e6:.0f} MB of {LIMIT_BYTES / 1e6:.0f}"]
        return "\n".join(lines)


class Hang(BaseException):
    """Raised where a case takes far too long; no `except Exception` of the program can hide it."""


def answer(argv: Sequence[str]) -> tuple[int, str]:
    """Exit code and stderr of one command line of netprobe, run in this process; -1 when it had to be stopped."""
    from netprobe.cli import run_line

    streams = sys.stdout, sys.stderr
    errors = io.BytesIO()
    sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape", write_through=True)
    sys.stderr = io.TextIOWrapper(errors, "utf-8", errors="backslashreplace", write_through=True)
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(4 * LIMIT_S)
    try:
        return run_line(list(argv)), os.fsdecode(errors.getvalue())
    except Hang:
        return -1, f"stopped after {4 * LIMIT_S} s"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        sys.stdout, sys.stderr = streams


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise Hang
