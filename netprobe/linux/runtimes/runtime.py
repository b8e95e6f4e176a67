"""What a container runtime is to netprobe: who can tell which containers a name means.

Nothing here is believed unproved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from .container import Container


class Memory(Protocol):
    """What a runtime leaves on disk and in /proc: readable although its daemon is dead, or there is none."""

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means, as far as the usual files tell."""
        ...

    def sought(self, name: str) -> Sequence[Container]:
        """The containers that `name` means among those that show in /proc, wherever their files are."""
        ...

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        ...

    def all(self) -> Iterable[Container]:
        """Every container; those that run may come without their `pid`."""
        ...


class Runtime(Memory, Protocol):
    """A runtime may be asked as well: then `named` has its answer, or its memory where it has none."""

    kind: str
