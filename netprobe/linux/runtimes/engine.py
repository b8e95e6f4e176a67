"""Docker and Podman: asked by their API, else known by what they left on disk and in /proc."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from .api import LIMIT_S
from .client import Client
from .container import Container

GLANCE_S = 0.25


class Memory(Protocol):
    """Where an engine keeps its containers on disk: readable although it is dead."""

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        ...

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        ...

    def all(self) -> Iterable[Container]:
        """Every container."""
        ...


class Engine:
    """One kind of engine: `kind` is docker or podman."""

    def __init__(self, kind: str, client: Client, memory: Memory) -> None:
        self.kind = kind
        self._client = client
        self._memory = memory

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        return self._asked(name) or self._memory.named(name)

    def glanced(self, name: str) -> Sequence[Container]:
        """The same for a question whose answer is good to have, not needed: an engine that hangs is not waited for."""
        return self._asked(name, GLANCE_S)

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = self._asked(identity)
        return found[0] if found else self._memory.identified(identity)

    def all(self) -> Sequence[Container]:
        """Every container, those of an engine that answers without their `pid`."""
        found = {each.id: each for each in self._client.listed()}
        for each in self._memory.all():
            found.setdefault(each.id, each)
        names = {each.id: each.name for each in found.values()}
        return [_with_owner(each, lambda identity: names.get(identity, "")) for each in found.values()]

    def _asked(self, name: str, limit_s: float = LIMIT_S) -> list[Container]:
        found = {each.id: each for each in self._client.described(name, limit_s) if each.is_called(name)}
        return [_with_owner(each, self._name_of) for each in found.values()]

    def _name_of(self, identity: str) -> str:
        return next((each.name for each in self._client.described(identity)), "")


def _with_owner(container: Container, name_of: Callable[[str], str]) -> Container:
    """`container` with the name of the one whose network it shares in the place of that one's id."""
    kind, _, identity = container.network.partition(":")
    if kind != "container" or len(identity) != 64:
        return container
    return replace(container, network=f"container:{name_of(identity) or identity[:12]}")
