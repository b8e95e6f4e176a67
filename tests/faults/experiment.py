"""One experiment: a world with the fault's network, asked while it works, broken for real, asked again. The rest of the room judges.

Each experiment has a world of its own, so no neighbour entry, tracked connection or half-undone change of another is left in it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.peers import answers
from live.asking import Done, run

from netprobe.lab import commands
from netprobe.lab.build import build
from netprobe.lab.faults import Fault
from netprobe.lab.private import LAB_FOLDER
from netprobe.lab.topology import Topology

CAPTURE = "broken.pcapng"


@dataclass(frozen=True)
class Outcome:
    """What came out: netprobe's answers and the real programs', before and after. `seconds` is what the diagnosis took."""

    healthy: Done
    worked: tuple[int, int]
    broken: Done
    failed: tuple[int, int]
    why: Done
    capture: bytes = field(repr=False)
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        """The report of the broken network."""
        return self.broken.report


def perform(fault: Fault) -> Outcome:
    """The experiment. Only inside a private world of its own. Raises CannotLook where the fault cannot be made."""
    topology = fault.network.topology
    make(topology)
    fault.prepare()
    healthy = ask(fault.probe, "--captures", "none")
    worked = answers(fault.probe, topology)
    fault.inject()
    why = ask(("why", *fault.probe[1:])) if fault.probe[0] == "trace" else None  # first: packets leave traces, a learned MTU for one
    started = time.monotonic()
    broken = ask(fault.probe, "-w", CAPTURE)
    seconds = time.monotonic() - started
    failed = answers(fault.probe, topology)
    return Outcome(healthy, worked, broken, failed, why or broken, Path(CAPTURE).read_bytes() if Path(CAPTURE).exists() else b"", seconds)


def make(topology: Topology) -> None:
    """Build a network here, and stand in a folder of its own."""
    folder = Path(LAB_FOLDER, "work")
    folder.mkdir()
    os.chdir(folder)
    commands.prepare_path()
    build(topology)


def ask(probe: tuple[str, ...], *options: str) -> Done:
    return Done(*run((*probe, "-o", "json", *options)))
