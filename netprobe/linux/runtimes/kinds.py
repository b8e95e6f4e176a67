"""The runtimes by kind, each made when it is first asked for: what a question does not need is not loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .census import Census
    from .client import Client
    from .containerd import Tasks
    from .engine import Engine
    from .runtime import Memory, Runtime


class Kinds:
    """The runtimes of the machine whose file system is seen at `root`.

    What the engines do not answer is added to `remarks`.
    """

    def __init__(self, root: str, environment: Mapping[str, str], remarks: list[str]) -> None:
        self._root = root
        self._environment = environment
        self._remarks = remarks
        self._made: dict[str, Runtime] = {}

    def runtime(self, kind: str) -> Runtime:
        """The one that knows containers of this kind."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def _make(self, kind: str) -> Runtime:
        if kind in ("docker", "podman"):
            return self.engine(kind)
        if kind == "containerd":
            from .containerd import Containerd

            return Containerd(self._tasks)
        if kind == "lxc":
            from .lxc import Lxc

            return Lxc(self.census, self._root)
        if kind == "nspawn":
            from .nspawn import Nspawn

            return Nspawn(self._root)
        from .pods import Pods

        return Pods(self._tasks, self.census)

    @cached_property
    def census(self) -> Census:
        """Who lives where, from /proc."""
        from .census import Census

        return Census()

    @cached_property
    def clients(self) -> Mapping[str, Client]:
        """Those who ask Docker and Podman."""
        from .client import Client
        from .sockets import docker_sockets, podman_sockets

        finders = {"docker": docker_sockets, "podman": podman_sockets}
        return {
            kind: Client(kind, find(self._environment, self._root), self._remarks)
            for kind, find in finders.items()
        }

    def engine(self, kind: str) -> Engine:
        """Docker or Podman."""
        from .engine import Engine

        return Engine(kind, self.clients[kind], lambda: self._memory(kind))

    def _memory(self, kind: str) -> Memory:
        if kind == "docker":
            from .docker_memory import DockerMemory

            return DockerMemory(self.census, self._root)
        from .podman_memory import PodmanMemory

        return PodmanMemory(self.census, self._root)

    @cached_property
    def _tasks(self) -> Tasks:
        from .containerd import Tasks

        return Tasks(self.census, self._root)
