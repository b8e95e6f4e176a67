"""The container runtimes as sources of names, loaded when the first name needs them: most questions are about plain namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from . import netns
from .names import Found

if TYPE_CHECKING:
    from .runtimes import Runtimes

KINDS = ("docker", "podman", "containerd", "lxc", "nspawn", "pod")
PODS = "pod"  # a pod is never meant by a name without the prefix
# Where there is none of these, no runtime has left a word about any container.
SIGNS = (
    "/var/lib/docker/containers",
    "/var/lib/containers/storage",
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/docker",
    "/run/k3s/containerd",
    "/run/systemd/machines",
    "/var/lib/lxc",
    "/var/lib/incus/containers",
    "/var/lib/lxd/containers",
    "/var/snap/lxd/common/lxd/containers",
)
CHOICES = ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST")


class Containers:
    """The containers of the machine whose file system is seen at `root`."""

    def __init__(self, root: str = "", environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = os.environ if environment is None else environment
        self.sources: Sequence[ContainerKind] = tuple(ContainerKind(kind, kind != PODS, self) for kind in KINDS)

    @cached_property
    def runtimes(self) -> Runtimes:
        """What knows them."""
        from .runtimes import Runtimes  # 15 ms

        return Runtimes(self._root, self._environment)

    def are_likely(self) -> bool:
        """Whether there is any sign of a runtime, or the user has named one. Asks nobody."""
        return any(self._environment.get(name) for name in CHOICES) or any(os.path.lexists(self._root + sign) for sign in SIGNS)

    def heard(self) -> tuple[str, ...]:
        """What a person should know about the asking, as far as it is new: which engine did not answer."""
        return self.runtimes.heard() if "runtimes" in self.__dict__ else ()

    def living_in(self, network: netns.Identity) -> Iterator[Found]:
        """The containers whose own network namespace this is, the one first that the others share it with."""
        yield from self.runtimes.living_in(network)

    def hosts_of(self, network: netns.Identity) -> Iterator[Found]:
        """The containers that have a process in this network namespace although it is not theirs: they made it inside."""
        yield from self.runtimes.hosts_of(network)

    def all(self) -> Iterator[Found]:
        """Every container that runs."""
        for source in self.sources:
            yield from source.all()


@dataclass(slots=True)
class ContainerKind:
    """One kind of container as a source of names (`NameSource`)."""

    kind: str
    bare: bool
    _containers: Containers

    def find(self, name: str) -> Sequence[Found]:
        """The containers that this name means; one that does not run is found as well, and says so when it is opened."""
        return self._containers.runtimes.source(self.kind).find(name)

    def remembered(self, name: str) -> Sequence[Found]:
        """The same as far as files tell: no engine is asked, and /proc is not searched."""
        return self._containers.runtimes.source(self.kind).remembered(name) if self._containers.are_likely() else ()

    def all(self) -> Iterable[Found]:
        """Every container that runs."""
        return self._containers.runtimes.source(self.kind).all()
