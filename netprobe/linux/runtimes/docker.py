"""Docker: asked by its API, else known by its files and its shims."""

from __future__ import annotations

from collections.abc import Sequence

from .container import Container
from .engine import Engine
from .kinds import Kinds
from .sockets import docker_sockets as sockets

__all__ = ["glance", "of", "sockets"]


def of(kinds: Kinds) -> Engine:
    """Docker of this machine."""
    from .docker_memory import DockerMemory

    return Engine("docker", kinds.clients["docker"], lambda: DockerMemory(kinds.census, kinds.root))


def glance(kinds: Kinds, name: str) -> Sequence[Container]:
    """The containers that `name` means, as its usual folder tells."""
    from .docker_files import DockerFiles

    return DockerFiles(tree=kinds.tree).named(name)
