"""containerd's containers, each a task: by the name that nerdctl gave them, or by their id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .container import Container
from .descriptions import named
from .kinds import Kinds
from .tasks import Task, Tasks

DOCKERS = "moby"  # the namespace of Docker's own containers, whose names containerd does not know
NAME = "nerdctl/name"


class Containerd:
    """Containers of containerd by id, and by the name that nerdctl gave them.

    One that does not run has left no trace here.
    """

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
        return next(
            (_container(task) for task in self._tasks.all() if task.id == identity and task.pid), None
        )

    def all(self) -> Iterator[Container]:
        """Every container but Docker's, which has better names."""
        yield from (_container(task) for task in self._tasks.all() if task.namespace != DOCKERS)


def of(kinds: Kinds) -> Containerd:
    """containerd of this machine."""
    return Containerd(kinds.tasks)


def glance(kinds: Kinds, name: str) -> Sequence[Container]:
    """The containers that `name` means."""
    return of(kinds).named(name)


def _called(name: str, tasks: Iterable[Task]) -> Sequence[Container]:
    return [each for each in map(_container, tasks) if each.pid and each.is_called(name)]


def _container(task: Task) -> Container:
    name = "" if task.namespace == DOCKERS else task.annotations().get(NAME, "")
    return Container(
        "containerd", task.id, named(name, task.id) if name else task.id, task.pid, owner=task.owner
    )
