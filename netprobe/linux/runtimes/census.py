"""Who lives in which namespace, from /proc alone: the processes, the containers they belong to, and what their keepers call those.

It takes about 20 us a process, so it is taken only when a name cannot be resolved or a namespace cannot be named without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from netprobe.linux import netns

from .cgroups import container_of
from .process import PROC, Process

GOOD_FOR_S = 1.0  # how long a census is taken as the present


@dataclass(frozen=True, slots=True)
class Resident:
    """A process of a container, the network namespace that it is in, and when it started, in clock ticks since boot."""

    pid: int
    runtime: str
    identity: str
    network: netns.Identity | None
    started: int = 0


@dataclass(slots=True)
class _Taken:
    at: float
    residents: dict[str, list[Resident]] = field(default_factory=dict)
    keepers: dict[str, Keeper] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keeper:
    """What the process beside a container was started with: conmon's -n NAME, -p PIDFILE and --exit-dir, a shim's -namespace."""

    pid: int
    program: str
    options: Mapping[str, str]


class Census:
    """The containers of a machine by their processes. Taken when first asked for, and anew once it is older than a second."""

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._last: _Taken | None = None

    def residents(self, identity: str) -> Sequence[Resident]:
        """The processes of the container with this id, oldest first."""
        return self._present().residents.get(identity, ())

    def containers(self) -> Mapping[str, Sequence[Resident]]:
        """The processes of each container, by its id."""
        return self._present().residents

    def living_in(self, network: netns.Identity) -> Iterator[Resident]:
        """Each container that has a process in this network namespace: the oldest such process."""
        for residents in self._present().residents.values():
            yield from [resident for resident in residents if resident.network == network][:1]

    def keeper(self, identity: str) -> Keeper | None:
        """The process beside the container with this id: conmon, or a containerd shim."""
        return self._present().keepers.get(identity)

    def keepers(self) -> Mapping[str, Keeper]:
        """The process beside each container, by the container's id."""
        return self._present().keepers

    def first(self, identity: str) -> int:
        """The first process of the container with this id: 1 in a PID namespace of its own, else the oldest; 0 without any."""
        residents = self.residents(identity)
        return next((resident.pid for resident in residents if self._is_init(resident.pid)), residents[0].pid if residents else 0)

    def _present(self) -> _Taken:
        now = time.monotonic()
        if self._last is None or now - self._last.at > GOOD_FOR_S:
            self._last = _Taken(now)
            self._take(self._last)
        return self._last

    def _take(self, taken: _Taken) -> None:
        for entry in os.scandir(self._proc):
            if not entry.name.isdigit():
                continue
            try:
                with Process(int(entry.name), self._proc) as process:
                    self._count(taken, process)
            except OSError:  # it has ended
                continue
        for residents in taken.residents.values():
            residents.sort(key=lambda resident: (resident.started, resident.pid))

    def _count(self, taken: _Taken, process: Process) -> None:
        cgroup = process.read("cgroup")
        container = container_of(cgroup)
        if container is not None:
            resident = Resident(process.pid, *container, process.identity(), process.started)
            taken.residents.setdefault(container[1], []).append(resident)
        if container is None or "conmon" in cgroup:
            found = keeper_of(process.pid, process.read("cmdline"))
            if found is not None:
                taken.keepers[found[0]] = found[1]

    def _is_init(self, pid: int) -> bool:
        try:
            with Process(pid, self._proc) as process:
                numbers = [line.split()[1:] for line in process.read("status").splitlines() if line.startswith("NSpid:")]
        except OSError:
            return False
        return bool(numbers) and len(numbers[0]) > 1 and numbers[0][-1] == "1"


def keeper_of(pid: int, cmdline: str) -> tuple[str, Keeper] | None:
    """(container id, keeper) of a command line that is a conmon's or a containerd shim's; None for any other."""
    program, *arguments = cmdline.split("\0")
    base = os.path.basename(program)
    if base != "conmon" and not base.startswith("containerd-shim"):
        return None
    options = {name.lstrip("-"): value for name, value in pairwise(arguments) if name.startswith("-")}
    identity = options.get("c") if base == "conmon" else options.get("id")
    return (identity, Keeper(pid, base, options)) if identity else None
