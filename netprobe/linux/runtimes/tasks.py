"""containerd's tasks, from the folder that each has while it runs:

Kubernetes, nerdctl, ctr, k3s, and Docker itself.

Source: containerd, core/runtime/v2/bundle.go: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID with
config.json and init.pid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from netprobe.linux.files import Tree

from .census import Census
from .descriptions import PID_MAX
from .json import decoded

_TASKS = "io.containerd.runtime.v2.task"
STATES = (
    "/run/containerd",
    "/run/docker/containerd/daemon",
    "/var/run/docker/containerd/daemon",
    "/run/k3s/containerd",
)
LARGEST_PIDFILE = 64  # bytes


@dataclass(frozen=True, slots=True)
class Task:
    """A running task: the folder of its bundle in a tree, its containerd namespace and its id."""

    tree: Tree
    folder: str
    namespace: str
    id: str

    @property
    def pid(self) -> int:
        """Its first process, 0 when it is just going."""
        try:
            pid = int(self.tree.read(f"{self.folder}/init.pid", LARGEST_PIDFILE))
        except (OSError, ValueError):
            return 0
        return pid if 0 < pid <= PID_MAX else 0

    def annotations(self) -> Mapping[str, str]:
        """What its maker wrote on it."""
        return annotations_of(self.tree, f"{self.folder}/config.json")

    @property
    def owner(self) -> int:
        """The user whose word all this is; 0: root's or that of who asks."""
        return self.tree.owner or 0


class _Bundle(Struct):
    """The part of an OCI runtime configuration that tells who a container is."""

    annotations: Mapping[str, str] | None = None


def annotations_of(tree: Tree, configuration: str) -> Mapping[str, str]:
    """The annotations in an OCI runtime configuration; none when it cannot be read."""
    try:
        bundle = decoded(tree.read(configuration), _Bundle)
    except OSError:
        return {}
    return bundle.annotations or {} if bundle is not None else {}


class Tasks:
    """The tasks of every containerd of the machine: at the usual places, and where a shim that runs has its
    bundle.
    """

    def __init__(self, census: Census, root: str = "") -> None:
        self._census = census
        self._tree = Tree(root or "/")

    def usual(self) -> Iterator[Task]:
        """Those at the usual places."""
        seen = set()
        for state in STATES:
            for namespace in self._folders(f"{state}/{_TASKS}"):
                for identity in self._folders(f"{state}/{_TASKS}/{namespace}"):
                    if identity not in seen:
                        seen.add(identity)
                        yield Task(
                            self._tree, f"{state}/{_TASKS}/{namespace}/{identity}", namespace, identity
                        )

    def all(self) -> Iterator[Task]:
        """Those at the usual places, then those of other shims."""
        seen = set()
        for task in self.usual():
            seen.add(task.id)
            yield task
        for identity, keeper in self._census.keepers().items():
            if identity not in seen and keeper.program.startswith("containerd-shim"):
                yield Task(keeper.tree("cwd"), "", keeper.options.get("namespace", ""), identity)

    def _folders(self, folder: str) -> Sequence[str]:
        try:
            return self._tree.names(folder)
        except OSError:
            return ()
