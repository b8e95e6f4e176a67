"""Who lives in which namespace, from /proc alone: the processes, the containers they belong to, and what
their keepers call those.

It takes about 20 us a process, so it is taken only when a name cannot be resolved or a namespace cannot be
named without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from netprobe.linux import files, netns
from netprobe.linux.files import Tree

from .cgroups import group_of
from .process import PROC, Process, commands, home, whose, whose_group

GOOD_FOR_S = 1.0  # how long a census is taken as the present


@dataclass(frozen=True, slots=True)
class Resident:
    """A process of a container, the network namespace that it is in, and when it started, in clock ticks
    since boot.

    `owner`: the user whose word it is that it belongs to this container; 0: root's or that of who asks.
    """

    pid: int
    runtime: str
    identity: str
    network: netns.Identity | None
    started: int = 0
    owner: int = 0


@dataclass(slots=True)
class _Taken:
    at: float
    residents: dict[str, list[Resident]] = field(default_factory=dict)
    keepers: dict[str, Keeper] = field(default_factory=dict)
    # (process, user) of keepers that are not root's
    others: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Keeper:
    """What the process beside a container was started with: conmon's -n NAME, -p PIDFILE and --exit-dir, a
    shim's -namespace.

    `owner`: the user whom it runs as, and for whose containers it speaks; 0: root or who asks.
    """

    pid: int
    program: str
    options: Mapping[str, str]
    owner: int = 0

    def tree(self, link: str, proc: str = PROC) -> Tree:
        """The files beneath its `root` or working directory (`cwd`): root's own, or those that belong to its
        user.
        """
        return Tree(f"{proc}/{self.pid}/{link}", self.owner or None, foreign=self.owner != 0)


class Census:
    """The containers of a machine by their processes.

    Taken when first asked for, and anew once it is older than a second.
    """

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

    def first(self, identity: str, owner: int = 0) -> int:
        """The first process of the container with this id: 1 in a PID namespace of its own, else the oldest;
        0 without any.

        Only of a container of the user `owner`: what others say about their processes does not count.
        """
        residents = [resident for resident in self.residents(identity) if resident.owner == owner]
        return next(
            (resident.pid for resident in residents if self._is_init(resident.pid)),
            residents[0].pid if residents else 0,
        )

    def _present(self) -> _Taken:
        now = time.monotonic()
        if self._last is None or now - self._last.at > GOOD_FOR_S:
            self._last = _Taken(now)
            self._take(self._last)
        return self._last

    def _take(self, taken: _Taken) -> None:
        for name in files.entries(self._proc):
            if not name.isdigit():
                continue
            try:
                with Process(int(name), self._proc) as process:
                    self._count(taken, process)
            except OSError:  # it has ended
                continue
        lines = commands([pid for pid, _ in taken.others], self._proc)
        for (pid, owner), line in zip(taken.others, lines, strict=True):
            self._keep(taken, pid, line, owner)
        for identity, residents in taken.residents.items():
            owner = min(resident.owner for resident in residents)  # root's word before that of others
            taken.residents[identity] = [resident for resident in residents if resident.owner == owner]
            taken.residents[identity].sort(key=lambda resident: (resident.started, resident.pid))

    def _count(self, taken: _Taken, process: Process) -> None:
        group = _group_of(process.read("cgroup"), home(self._proc))
        if group is not None:
            named, owner = (
                (process.pid, group.runtime, group.identity),
                whose_group(group.path, group.hierarchy),
            )
            taken.residents.setdefault(group.identity, []).append(
                Resident(*named, process.identity(), process.started, owner)
            )
        elif process.is_keeper and process.user is not None:
            if process.user == 0:
                self._keep(taken, process.pid, process.command, 0)
            else:
                taken.others.append((process.pid, whose(process.user)))

    @staticmethod
    def _keep(taken: _Taken, pid: int, command: Sequence[str], owner: int) -> None:
        found = keeper_of(pid, command, owner)
        if found is not None and owner <= taken.keepers.get(found[0], found[1]).owner:
            taken.keepers[found[0]] = found[1]

    def _is_init(self, pid: int) -> bool:
        try:
            with Process(pid, self._proc) as process:
                return process.is_init
        except OSError:
            return False


_group_of = lru_cache(maxsize=1024)(group_of)  # all of a service, and most of the kernel's threads, have one


def keeper_of(pid: int, command: Sequence[str], owner: int = 0) -> tuple[str, Keeper] | None:
    """(container id, keeper) of a command line that is a conmon's or a containerd shim's; None for any
    other.
    """
    if not command:
        return None
    program, *arguments = command
    base = os.path.basename(program)
    if base != "conmon" and not base.startswith("containerd-shim"):
        return None
    options = {name.lstrip("-"): value for name, value in pairwise(arguments) if name.startswith("-")}
    identity = options.get("c") if base == "conmon" else options.get("id")
    return (identity, Keeper(pid, base, options, owner)) if identity else None
