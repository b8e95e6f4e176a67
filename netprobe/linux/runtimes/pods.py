"""Kubernetes pods, from what the container runtimes write down for themselves: no API server and no kubelet
is asked.

Sources: containerd (pkg/cri/annotations), CRI-O (pkg/annotations), dockershim's labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .census import Census
from .container import Container
from .descriptions import named
from .kinds import Kinds
from .process import PROC
from .tasks import Tasks, annotations_of

_CONTAINERD = (
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.cri.sandbox-name",
)
_CRIO = ("io.kubernetes.cri-o.ContainerType", "io.kubernetes.pod.namespace", "io.kubernetes.pod.name")
KUBERNETES = "k8s.io"  # the kubelet's namespace in containerd


class Pods:
    """Pods by `namespace/name`.

    A pod's network namespace is that of its sandbox, the first container of it.
    """

    kind = "pod"

    def __init__(self, tasks: Tasks, census: Census, proc: str = PROC) -> None:
        self._tasks = tasks
        self._census = census
        self._proc = proc

    def named(self, name: str) -> Sequence[Container]:
        """The pods of this name, written `namespace/name`."""
        return [each for each in self.all() if each.is_called(name)]

    def sought(self, name: str) -> Sequence[Container]:  # noqa: ARG002 - a runtime's signature
        """Nothing more: pods are always sought."""
        return ()

    def identified(self, identity: str) -> Container | None:
        """The pod whose sandbox has this whole id."""
        return next((each for each in self.all() if each.id == identity), None)

    def all(self) -> Iterator[Container]:
        """Every pod that runs."""
        for task in self._tasks.all():
            if task.namespace == KUBERNETES:
                yield from _pod(task.id, task.pid, task.annotations(), task.owner)
        for identity, residents in self._census.containers().items():
            if residents[0].runtime == "crio":
                owner = residents[0].owner
                yield from _pod(
                    identity, self._census.first(identity, owner), self._crio(identity, owner), owner
                )

    def _crio(self, identity: str, owner: int) -> Mapping[str, str]:
        """The annotations of a CRI-O container: conmon was started with the folder of its configuration."""
        keeper = self._census.keeper(identity)
        bundle = keeper.options.get("b") if keeper and keeper.owner == owner else None
        return (
            annotations_of(keeper.tree("root", self._proc), f"{bundle}/config.json")
            if keeper and bundle
            else {}
        )


def of(kinds: Kinds) -> Pods:
    """The pods of this machine."""
    return Pods(kinds.tasks, kinds.census)


def glance(kinds: Kinds, name: str) -> Sequence[Container]:  # noqa: ARG001 - a runtime's signature
    """Nothing: a pod is sought among all that runs."""
    return ()


def _pod(identity: str, pid: int, annotations: Mapping[str, str], owner: int) -> Iterator[Container]:
    """The pod whose sandbox has these annotations; nothing for another container."""
    for kind, namespace, name in (_CONTAINERD, _CRIO):
        if annotations.get(kind) == "sandbox" and pid:
            words = (named(annotations.get(key, ""), identity) for key in (namespace, name))
            yield Container("pod", identity, "/".join(words), pid, owner=owner)
