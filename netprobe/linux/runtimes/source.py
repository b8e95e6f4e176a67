"""Runtimes as sources of names: a container's name becomes the network namespace of its first process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from netprobe.errors import WrongQuestion
from netprobe.linux import netns
from netprobe.linux.names import Found

from .census import Census
from .container import Container, absence, label, remarks
from .process import PROC, Process, open_network

INITIAL_USER_NAMESPACE = "user:[4026531837]"  # include/linux/proc_ns.h, PROC_USER_INIT_INO


class Runtime(Protocol):
    """Who knows containers of one `kind`. Nothing that it says is believed before the kernel has confirmed it."""

    kind: str

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        ...

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        ...

    def all(self) -> Iterable[Container]:
        """Every container; those that run may come without their `pid`."""
        ...


@dataclass(frozen=True, slots=True)
class FoundContainer(Found):
    """A container's namespace. It is opened by its first process, which is held and checked to be the container's."""

    container: Container = field(kw_only=True)

    @property
    def is_own(self) -> bool:
        """Whether the runtime says that it has a network of its own."""
        return self.container.network not in ("", "host")

    @property
    def way_in(self) -> str:
        """For a rootless engine's container: into its user namespace first, where its owner has every capability.

        Into its network namespace as well, because from the host's one goes there and never back.
        """
        own, its = (_user_namespace(pid) for pid in ("self", self.pid))
        if its in ("", INITIAL_USER_NAMESPACE):
            return ""
        return f"nsenter --target {self.pid} " + ("--net" if own == its else "--user --net --preserve-credentials")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    @property
    def precise(self) -> str:
        """The way to write it when another container has its name as well."""
        return self.container.text_by_id

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not ordinary about its network, in sentences."""
        return remarks(self.container)

    def open(self) -> int:
        """A descriptor of the namespace. Raises WrongQuestion for a container that does not run, NotPermitted or CannotLook."""
        if self.pid is None:
            message, hint = absence(self.container)
            raise WrongQuestion(message, hint)
        return open_network(self.pid, self.container.id, self.text)

    def identity(self) -> netns.Identity | None:
        """Which namespace it is; None for a container that does not run or may not be looked into."""
        if self.pid is None:
            return None
        try:
            with Process(self.pid) as process:
                return process.identity() if process.names(self.container.id) else None
        except OSError:
            return None


def _user_namespace(pid: int | str | None) -> str:
    try:
        return str(Path(f"{PROC}/{pid}/ns/user").readlink())
    except OSError:
        return ""


def found_container(container: Container) -> FoundContainer:
    """What stands for `container` among the names."""
    pid = container.pid or None
    return FoundContainer(container.runtime, container.name, f"{PROC}/{pid}/ns/net", pid, note=label(container), container=container)


class ContainerNames:
    """The containers of one runtime as a source of names."""

    def __init__(self, runtime: Runtime, census: Census) -> None:
        self._runtime = runtime
        self._census = census

    def find(self, name: str) -> Sequence[Found]:
        """The containers that this name means; one that does not run is found as well, and says so when it is opened."""
        return [found_container(each) for each in self._runtime.named(name)]

    def all(self) -> Iterator[Found]:
        """Every container that runs."""
        for each in sorted(self._runtime.all(), key=lambda each: seniority(each, self._census)):
            pid = each.pid or self._census.first(each.id)
            if pid:
                yield found_container(replace(each, pid=pid))


def seniority(container: Container, census: Census) -> tuple[bool, int]:
    """Sorts those that own their network before those that share it: they say so, or have started earlier."""
    residents = census.residents(container.id)
    return container.network.startswith("container:"), residents[0].started if residents else 0
