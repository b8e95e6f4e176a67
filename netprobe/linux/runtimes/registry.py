"""From names to containers and from network namespaces to the containers they belong to, over all runtimes of
a machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netprobe.linux import netns
from netprobe.linux.files import Tree
from netprobe.model.engines import ContainerEngines, EngineNetwork
from netprobe.model.runtime import kinds_of

from .cgroups import Group
from .container import Container, changed
from .found import FoundContainer
from .kinds import Kinds
from .networks import podman_networks

_MOST = 64  # stopped containers of an engine whose ports are asked for, 1 ms each


class Registry:
    """The containers of the machine whose file system is seen at `root`. Making it looks at nothing."""

    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        self._remarks: list[str] = []
        self._root = root
        self._kinds = Kinds(root, environment, self._remarks)

    def heard(self) -> tuple[str, ...]:
        """What a person should know about the asking, as far as it is new: which engine did not answer, what
        was done instead.
        """
        new = tuple(self._remarks)
        self._remarks.clear()
        return new

    # from names to containers

    def is_addressed(self, kind: str) -> bool:
        """Whether there is an engine of this kind to ask, or the user named one that cannot be asked."""
        return kind in self._kinds.clients and self._kinds.clients[kind].is_addressed

    def named(self, kind: str, name: str) -> Sequence[Container]:
        """The containers of this kind that `name` means, as an engine says or the usual files tell."""
        return self._kinds.runtime(kind).named(name)

    def glanced(self, kind: str, name: str) -> Sequence[Container]:
        """The same by an engine alone, and only if it answers at once."""
        return self._kinds.engine(kind).glanced(name)

    def sought(self, kind: str, name: str) -> Sequence[Container]:
        """The same among those that show in /proc, wherever their engines and files are."""
        return self._kinds.runtime(kind).sought(name)

    def running(self, kind: str) -> Iterator[FoundContainer]:
        """Every container of this kind that runs, the owners of a network before those that share it."""
        for each in sorted(self._kinds.runtime(kind).all(), key=self._seniority):
            pid = each.pid or self._kinds.census.first(each.id, each.owner)
            if pid:
                yield FoundContainer(changed(each, pid=pid))

    def networks(self) -> Iterator[EngineNetwork]:
        """The networks of Docker and Podman, as they say, and as Podman's files tell."""
        yield from podman_networks(Tree(self._root or "/"))
        for client in self._kinds.clients.values():
            yield from client.networks()

    def engines(self) -> ContainerEngines:
        """What the engines that answer say of their containers and networks; not those of other users, who
        may say what they like.
        """
        clients = self._kinds.clients.values()
        found = (each for client in clients for each in client.publishing(_MOST))
        containers = (each.told for each in found if not each.owner)
        return ContainerEngines(tuple(dict.fromkeys(containers)), tuple(dict.fromkeys(self.networks())))

    # from namespaces to containers

    def living_in(self, network: netns.Identity) -> Iterator[FoundContainer]:
        """The containers whose own network namespace this is, the one first that the others share it with."""
        residents = self._kinds.census.living_in(network)
        known = [
            container for each in residents if (container := self._described(each.runtime, each.identity))
        ]
        found = [FoundContainer(container) for container in sorted(known, key=self._seniority)]
        yield from (each for each in found if each.identity() == network)

    def hosts_of(self, network: netns.Identity) -> Iterator[FoundContainer]:
        """The containers that have a process in this network namespace although it is not theirs: they made
        it inside.
        """
        for each in self._kinds.census.living_in(network):
            container = self._described(each.runtime, each.identity)
            found = FoundContainer(container) if container else None
            if found is not None and found.identity() not in (None, network):
                yield found

    def of_group(self, group: Group) -> Container | None:
        """The container that this control group is of."""
        return self._described(group.runtime, group.identity)

    def _described(self, runtime: str, identity: str) -> Container | None:
        """What the runtimes know of a container, with the process it has now; of a pod's sandbox, the pod."""
        known = next(
            (
                found
                for kind in kinds_of(runtime)
                if (found := self._kinds.runtime(kind).identified(identity)) is not None
            ),
            None,
        )
        return (
            changed(known, pid=known.pid or self._kinds.census.first(identity, known.owner))
            if known
            else None
        )

    def _seniority(self, container: Container) -> tuple[bool, bool, int]:
        """Sorts root's before others', and those that own their network before those that share it: they say
        so, or started earlier.
        """
        residents = self._kinds.census.residents(container.id)
        return (
            container.owner != 0,
            container.network.startswith("container:"),
            residents[0].started if residents else 0,
        )
