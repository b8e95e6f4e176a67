"""Docker and Podman: asked by their API, else known by what they left on disk and in /proc."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from .api import LIMIT_S
from .client import Client
from .container import Container, with_owner

if TYPE_CHECKING:
    from .runtime import Memory

GLANCE_S = 0.25


class Engine:
    """One kind of engine: `kind` is docker or podman. `remember` makes its memory, when that is needed."""

    def __init__(self, kind: str, client: Client, remember: Callable[[], Memory]) -> None:
        self.kind = kind
        self._client = client
        self._remember = remember

    @cached_property
    def memory(self) -> Memory:
        """What it left behind."""
        return self._remember()

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        return self._asked(name) or self.memory.named(name)

    def glanced(self, name: str) -> Sequence[Container]:
        """The same for a question whose answer is good to have, not needed: an engine that hangs is not
        waited for.
        """
        return self._asked(name, GLANCE_S)

    def sought(self, name: str) -> Sequence[Container]:
        """The containers that `name` means among those of other engines of this kind."""
        return self.memory.sought(name)

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = self._asked(identity)
        return found[0] if found else self.memory.identified(identity)

    def all(self) -> Sequence[Container]:
        """Every container, those of an engine that answers without their `pid`."""
        found = {each.id: each for each in self._client.listed()}
        for each in self.memory.all():
            found.setdefault(each.id, each)
        names = {each.id: each.name for each in found.values()}
        return [with_owner(each, lambda identity: names.get(identity, "")) for each in found.values()]

    def _asked(self, name: str, limit_s: float = LIMIT_S) -> list[Container]:
        found = {each.id: each for each in self._client.described(name, limit_s) if each.is_called(name)}
        return [with_owner(each, self._name_of) for each in found.values()]

    def _name_of(self, identity: str) -> str:
        return next((each.name for each in self._client.described(identity) if each.id == identity), "")
