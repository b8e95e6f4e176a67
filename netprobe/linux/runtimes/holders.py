"""The processes that hold a socket, by its inode: proc_pid_fd(5)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from netprobe.linux import deadline, files
from netprobe.model.report import HELD

from .cgroups import Group
from .process import Process

if TYPE_CHECKING:
    from .registry import Registry

SOON_S = 0.3  # for all processes of the machine: a host of thousands has tens of thousands of descriptors
MOST = 4  # that are told: the workers of one server
STILL = ", which is {}: the kernel takes connections for it, and nobody answers what is sent"


class Holder(Struct, frozen=True):
    """A process, its command line, the control group of the container that it belongs to, and whether it was
    stopped by a signal.
    """

    pid: int
    command: tuple[str, ...]
    group: Group | None = None
    is_stopped: bool = False

    @property
    def program(self) -> str:
        """The name of its program."""
        return os.path.basename(self.command[0]) if self.command else "a process"


def holders(inodes: Collection[int]) -> tuple[Holder, ...]:
    """The first processes that hold one of these sockets, as far as they may be looked into and in time."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found: list[Holder] = []
    with deadline.within(SOON_S), suppress(TimeoutError):
        for pid in sorted(int(name) for name in files.entries("/proc") if name.isdigit()):
            deadline.check()
            with suppress(OSError):
                found += _of_process(pid, wanted)
            if len(found) == MOST:
                break
    return tuple(found)


def _of_process(pid: int, wanted: Collection[str]) -> Iterator[Holder]:
    if any(link in wanted for link in _links(pid)):
        with Process(pid) as process:
            yield Holder(pid, tuple(filter(None, process.command)), process.group, process.is_stopped)


def _links(pid: int) -> Iterator[str]:
    for name in files.entries(f"/proc/{pid}/fd"):
        with suppress(OSError):
            yield files.link(f"/proc/{pid}/fd/{name}")


def led_to(command: tuple[str, ...]) -> tuple[str, str] | None:
    """The address and port that a docker-proxy hands its connections to, in its own words
    (moby/cmd/docker-proxy).
    """
    given = dict(pairwise(command))
    address, port = given.get("-container-ip"), given.get("-container-port")
    is_proxy = bool(command) and os.path.basename(command[0]) == "docker-proxy"
    return (address, port) if is_proxy and address and port else None


def sentence(holder: Holder, what: str, registry: Registry | None) -> str:
    """Who holds `what`: the program, its container, and where it leads if it is a docker-proxy."""
    container = registry.of_group(holder.group) if registry is not None and holder.group is not None else None
    inside = f" in the container {container.name}" if container is not None else ""
    end = led_to(holder.command)
    onward = f", which leads to {end[0]} port {end[1]} (`netprobe ls {end[0]}` says whose)" if end else ""
    paused = container is not None and container.state == "paused"
    still = STILL.format("paused" if paused else "stopped") if paused or holder.is_stopped else ""
    return f"{what}{HELD}{holder.program} (pid {holder.pid}){inside}{still}{onward}"
