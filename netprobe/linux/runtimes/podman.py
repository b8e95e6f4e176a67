"""Podman: asked by its API where that listens, else known by its files and its conmon."""

from __future__ import annotations

from collections.abc import Sequence

from .container import Container
from .engine import Engine
from .kinds import Kinds
from .sockets import podman_sockets as sockets

__all__ = ["glance", "of", "sockets"]


def of(kinds: Kinds) -> Engine:
    """Podman of this machine."""
    from .podman_memory import PodmanMemory

    return Engine("podman", kinds.clients["podman"], lambda: PodmanMemory(kinds.census, kinds.root))


def glance(kinds: Kinds, name: str) -> Sequence[Container]:
    """The containers that `name` means, as root's usual store tells."""
    from .podman_files import PodmanFiles, Store

    return PodmanFiles([Store(tree=kinds.tree)]).named(name)
