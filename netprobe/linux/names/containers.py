"""The container runtimes as sources of names, loaded when the first name needs them: most questions are about
plain namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from netprobe.linux import apart, files, netns
from netprobe.model.runtime import BY_KIND, RUNTIMES

from .names import Found

if TYPE_CHECKING:
    from netprobe.linux.runtimes.container import Container
    from netprobe.linux.runtimes.registry import Registry
    from netprobe.model.engines import ContainerEngines, EngineNetwork

PODS = "pod"


class Containers:
    """The containers of the machine whose file system is seen at `root`."""

    def __init__(self, root: str = "", environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = os.environ if environment is None else environment
        self.sources: Sequence[ContainerKind] = tuple(
            ContainerKind(each.kind, each.bare, self) for each in RUNTIMES
        )

    @cached_property
    def registry(self) -> Registry:
        """Who knows them."""
        from netprobe.linux.runtimes.registry import Registry  # 15 ms

        return Registry(self._root, self._environment)

    def remembered(self, kind: str, name: str) -> Sequence[Found]:
        """Containers of this kind with this name, as far as the usual files tell; an engine that the user
        chose is asked in passing.
        """
        found: Sequence[Container] = ()
        if any(self._environment.get(variable) for variable in BY_KIND[kind].chosen_by):
            found = self.registry.glanced(kind, name)
        elif self._has_signs(kind):
            from netprobe.linux.runtimes.kinds import Kinds

            found = Kinds(self._root, self._environment, []).glance(kind, name)
        return _found(found)

    def find(self, kind: str, name: str) -> Sequence[Found]:
        """Containers of this kind with this name, where it is asked or has left files; one that does not run
        is found as well.
        """
        asked = self._has_signs(kind) or self.registry.is_addressed(kind)
        return _found(self.registry.named(kind, name)) if asked or kind == PODS else ()

    def _has_signs(self, kind: str) -> bool:
        tree = files.Tree(self._root or "/")
        return any(tree.exists(sign) for sign in BY_KIND[kind].folders)

    def sought(self, kind: str, name: str) -> Sequence[Found]:
        """The same, wherever it is: by the processes of the machine."""
        return _found(self.registry.sought(kind, name))

    def running(self, kind: str) -> Iterator[Found]:
        """Every container of this kind that runs."""
        yield from self.registry.running(kind)

    def heard(self) -> tuple[str, ...]:
        """What a person should know about the asking, as far as it is new: which engine did not answer."""
        return (*(self.registry.heard() if "registry" in self.__dict__ else ()), *apart.heard())

    def networks(self) -> Iterator[EngineNetwork]:
        """The networks of the engines that are here, as far as an interface of the host stands for one."""
        if any(map(self._has_signs, ("docker", "podman"))) or "registry" in self.__dict__:
            yield from self.registry.networks()

    def engines(self) -> ContainerEngines:
        """What the engines that are here say of their containers and networks."""
        return self.registry.engines()

    def living_in(self, network: netns.Identity) -> Iterator[Found]:
        """The containers whose own network namespace this is, the one first that the others share it with."""
        yield from self.registry.living_in(network)

    def hosts_of(self, network: netns.Identity) -> Iterator[Found]:
        """The containers that have a process in this network namespace although it is not theirs: they made
        it inside.
        """
        yield from self.registry.hosts_of(network)

    def all(self) -> Iterator[Found]:
        """Every container that runs."""
        for source in self.sources:
            yield from source.all()


class ContainerKind(Struct):
    """One kind of container as a source of names (`NameSource`)."""

    kind: str
    bare: bool
    _containers: Containers

    def find(self, name: str) -> Sequence[Found]:
        """The containers that this name means; one that does not run is found as well, and says so when it is
        opened.
        """
        return self._containers.find(self.kind, name)

    def remembered(self, name: str) -> Sequence[Found]:
        """The same as far as files tell: no engine is asked, and /proc is not searched."""
        return self._containers.remembered(self.kind, name)

    def sought(self, name: str) -> Sequence[Found]:
        """The same, wherever it is: by the processes of the machine."""
        return self._containers.sought(self.kind, name)

    def all(self) -> Iterable[Found]:
        """Every container that runs."""
        return self._containers.running(self.kind)


def _found(containers: Sequence[Container]) -> Sequence[Found]:
    """What stands for `containers` among the names."""
    if not containers:
        return ()
    from netprobe.linux.runtimes.found import FoundContainer

    return [FoundContainer(each) for each in containers]
