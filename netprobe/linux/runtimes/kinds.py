"""The runtimes by kind, each made when it is first asked for: what a question does not need is not loaded.

What there is to know of one is its row in `model/runtime` and its module here, which has two functions:
`of(kinds)`, the `Runtime`, and `glance(kinds, name)`, the containers that a name means as far as the files at
the usual places tell: cheap enough to be asked each time. One that can be asked has `sockets` as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from netprobe.linux.files import Tree
from netprobe.model.runtime import BY_KIND, RUNTIMES

if TYPE_CHECKING:
    from .census import Census
    from .client import Client
    from .container import Container
    from .engine import Engine
    from .runtime import Runtime
    from .sockets import Sockets
    from .tasks import Tasks


class RuntimeModule(Protocol):
    """The module of a runtime."""

    def of(self, kinds: Kinds) -> Runtime:
        """The runtime of this machine."""
        ...

    def glance(self, kinds: Kinds, name: str) -> Sequence[Container]:
        """The containers that `name` means. No engine is asked."""
        ...


class EngineModule(RuntimeModule, Protocol):
    """The module of a runtime that can be asked."""

    def sockets(self, environment: Mapping[str, str], root: str) -> Sockets:
        """Where it is to be asked."""
        ...


def module_of(kind: str) -> RuntimeModule:
    """The module of the runtime of this kind."""
    return cast(RuntimeModule, import_module(f".{BY_KIND[kind].module}", __package__))


def engine_of(kind: str) -> EngineModule:
    """The module of one that has a `service`."""
    return cast(EngineModule, module_of(kind))


class Kinds:
    """The runtimes of the machine whose file system is seen at `root`.

    What the engines do not answer is added to `remarks`.
    """

    def __init__(self, root: str, environment: Mapping[str, str], remarks: list[str]) -> None:
        self.root = root
        self.tree = Tree(root or "/")
        self._environment = environment
        self._remarks = remarks
        self._made: dict[str, Runtime] = {}

    def runtime(self, kind: str) -> Runtime:
        """The one that knows containers of this kind."""
        if kind not in self._made:
            self._made[kind] = module_of(kind).of(self)
        return self._made[kind]

    def engine(self, kind: str) -> Engine:
        """The same of a runtime that can be asked."""
        return cast("Engine", self.runtime(kind))

    def glance(self, kind: str, name: str) -> Sequence[Container]:
        """The containers of this kind that `name` means, as far as the files at the usual places tell."""
        return module_of(kind).glance(self, name)

    @cached_property
    def census(self) -> Census:
        """Who lives where, from /proc."""
        from .census import Census

        return Census()

    @cached_property
    def tasks(self) -> Tasks:
        """What containerd has at work."""
        from .tasks import Tasks

        return Tasks(self.census, self.root)

    @cached_property
    def clients(self) -> Mapping[str, Client]:
        """Those who ask the engines."""
        from .client import Client

        return {
            each.kind: Client(
                each.kind, engine_of(each.kind).sockets(self._environment, self.root), self._remarks
            )
            for each in RUNTIMES
            if each.service
        }
