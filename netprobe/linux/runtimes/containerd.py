"""containerd's tasks, from the folder that each has while it runs: Kubernetes, nerdctl, ctr, k3s, and Docker itself.

Source: containerd, core/runtime/v2/bundle.go: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID with config.json and init.pid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from .census import Census
from .container import Container
from .process import PROC

_TASKS = "io.containerd.runtime.v2.task"
STATES = ("/run/containerd", "/run/docker/containerd/daemon", "/var/run/docker/containerd/daemon", "/run/k3s/containerd")
DOCKERS = "moby"  # the namespace of Docker's own containers, whose names containerd does not know
NAME = "nerdctl/name"


@dataclass(frozen=True, slots=True)
class Task:
    """A running task: the folder of its bundle, its containerd namespace and its id."""

    folder: Path
    namespace: str
    id: str

    @property
    def pid(self) -> int:
        """Its first process, 0 when it is just going."""
        try:
            return int((self.folder / "init.pid").read_text())
        except (OSError, ValueError):
            return 0

    def annotations(self) -> Mapping[str, str]:
        """What its maker wrote on it."""
        return annotations_of(self.folder / "config.json")


class _Bundle(Struct):
    """The part of an OCI runtime configuration that tells who a container is."""

    annotations: Mapping[str, str] | None = None


def annotations_of(configuration: Path) -> Mapping[str, str]:
    """The annotations in an OCI runtime configuration; none when it cannot be read."""
    try:
        return msgspec.json.decode(configuration.read_bytes(), type=_Bundle).annotations or {}
    except (OSError, msgspec.MsgspecError):
        return {}


class Tasks:
    """The tasks of every containerd of the machine: at the usual places, and where a shim that runs has its bundle."""

    def __init__(self, census: Census, root: str = "") -> None:
        self._census = census
        self._states = [Path(root + state, _TASKS) for state in STATES]

    def usual(self) -> Iterator[Task]:
        """Those at the usual places."""
        seen = set()
        for state in self._states:
            for folder in _folders(state):
                if folder.name not in seen:
                    seen.add(folder.name)
                    yield Task(folder, folder.parent.name, folder.name)

    def all(self) -> Iterator[Task]:
        """Those at the usual places, then those of other shims."""
        seen = set()
        for task in self.usual():
            seen.add(task.id)
            yield task
        for identity, keeper in self._census.keepers().items():
            if identity not in seen and keeper.program.startswith("containerd-shim"):
                yield Task(Path(f"{PROC}/{keeper.pid}/cwd"), keeper.options.get("namespace", ""), identity)


def _folders(state: Path) -> Sequence[Path]:
    try:
        return sorted(state.glob("*/*/"))
    except OSError:
        return ()


class Containerd:
    """Containers of containerd by id, and by the name that nerdctl gave them. One that does not run has left no trace here."""

    kind = "containerd"

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means, of a containerd with the usual folder."""
        return _called(name, self._tasks.usual())

    def sought(self, name: str) -> Sequence[Container]:
        """The same by their shims, wherever those work."""
        return _called(name, self._tasks.all())

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        return next((_container(task) for task in self._tasks.all() if task.id == identity), None)

    def all(self) -> Iterator[Container]:
        """Every container but Docker's, which has better names."""
        yield from (_container(task) for task in self._tasks.all() if task.namespace != DOCKERS)


def _called(name: str, tasks: Iterable[Task]) -> Sequence[Container]:
    return [each for each in map(_container, tasks) if each.pid and each.is_called(name)]


def _container(task: Task) -> Container:
    name = "" if task.namespace == DOCKERS else task.annotations().get(NAME, "")
    return Container("containerd", task.id, name or task.id, task.pid)
