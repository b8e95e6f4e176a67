"""All runtimes of a machine: who knows a name, and whose a network namespace is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netprobe.linux import netns

from .census import Census
from .client import Client
from .container import Container
from .containerd import Containerd, Tasks
from .docker_memory import DockerMemory
from .engine import Engine
from .lxc import Lxc
from .nspawn import Nspawn
from .podman_memory import PodmanMemory
from .pods import Pods
from .sockets import docker_sockets, podman_sockets
from .source import ContainerNames, FoundContainer, Runtime, found_container, seniority


class Registry:
    """All runtimes of the machine whose file system is seen at `root`. Making it looks at nothing.

    What a person should know about the asking, such as an engine that does not answer, is `heard`.
    """

    def __init__(self, root: str = "", environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._remarks: list[str] = []
        self.census = Census()
        tasks = Tasks(self.census, root)
        docker = Client("docker", lambda: docker_sockets(environment, root), self._remarks)
        podman = Client("podman", lambda: podman_sockets(environment, root), self._remarks)
        self._engines = {
            "docker": Engine("docker", docker, DockerMemory(self.census, root)),
            "podman": Engine("podman", podman, PodmanMemory(self.census, root)),
        }
        self._pods = Pods(tasks, self.census)
        known: Sequence[Runtime] = (*self._engines.values(), Containerd(tasks), Lxc(self.census, root), Nspawn(root), self._pods)
        self._runtimes = {runtime.kind: runtime for runtime in known}
        self._sources = {runtime.kind: ContainerNames(runtime, self.census) for runtime in known}

    def source(self, kind: str) -> ContainerNames:
        """The containers of one kind."""
        return self._sources[kind]

    def glanced(self, kind: str, name: str) -> Sequence[Container]:
        """What an engine of this kind says of a name, if it says so at once."""
        return self._engines[kind].glanced(name)

    def heard(self) -> tuple[str, ...]:
        """What is new since it was asked last: which engine did not answer, or may not be asked, and what was done instead."""
        new = tuple(self._remarks)
        self._remarks.clear()
        return new

    def living_in(self, network: netns.Identity) -> Iterator[FoundContainer]:
        """The containers whose own network namespace this is, the one first that the others share it with."""
        known = [container for each in self.census.living_in(network) if (container := self._described(each.runtime, each.identity))]
        found = [found_container(container) for container in sorted(known, key=lambda each: seniority(each, self.census))]
        yield from (each for each in found if each.identity() == network)

    def hosts_of(self, network: netns.Identity) -> Iterator[FoundContainer]:
        """The containers that have a process in this network namespace although it is not theirs: they made it inside."""
        for each in self.census.living_in(network):
            container = self._described(each.runtime, each.identity)
            found = found_container(container) if container else None
            if found is not None and found.identity() not in (None, network):
                yield found

    def _described(self, runtime: str, identity: str) -> Container | None:
        """What the runtimes know of a container, the pod that it is the sandbox of first; with the process it has now."""
        kinds = [runtime] if runtime in self._runtimes else ["docker", "podman"] if not runtime else []
        pod = self._pods.identified(identity) if runtime in ("containerd", "crio") else None
        known = pod or next((found for kind in kinds if (found := self._runtimes[kind].identified(identity)) is not None), None)
        return replace(known, pid=known.pid or self.census.first(identity)) if known else None
