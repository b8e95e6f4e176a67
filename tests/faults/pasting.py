"""A fault is made, netprobe asked, and what it says pasted into the shell it was started from, until it says nothing to paste."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

from faults.experiment import ask, make

from netprobe.lab.faults import Fault

ROUNDS = 3  # a blocker behind a blocker


@dataclass(frozen=True)
class Round:
    """What was said, which of its lines were pasted, and what the shell said to each that it refused."""

    code: int
    cause: dict[str, Any]
    pasted: tuple[str, ...]
    refused: tuple[str, ...]


def paste(fault: Fault) -> tuple[Round, ...]:
    """The rounds; the last one has nothing pasted. Only inside a private world of its own."""
    make(fault.network.topology)
    fault.prepare()
    fault.inject()
    rounds: list[Round] = []
    while len(rounds) < ROUNDS + 1:
        done = ask(fault.probe, "--captures", "none")
        causes = done.report["causes"]
        cause = causes[0] if causes and done.code != 0 else {}
        lines = [line for line in cause.get("fix", ()) if not line.startswith("#")] if len(rounds) < ROUNDS else []
        refused = [said for line in lines if (said := _typed(line))]
        rounds.append(Round(done.code, cause, tuple(lines), tuple(refused)))
        if not lines:
            break
    return tuple(rounds)


def _typed(line: str) -> str:
    """What a shell says to a line that fails; "" for one that works."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=20)
    return "" if done.returncode == 0 else f"{line}: {done.stderr.strip() or done.returncode}"
