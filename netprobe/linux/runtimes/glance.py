"""Whether a container has the name of a namespace, as far as the files at the usual places tell: cheap enough
to ask each time.
"""

from __future__ import annotations

from collections.abc import Sequence

from .container import Container


def glance(kind: str, name: str, root: str = "") -> Sequence[Container]:
    """The containers of this kind that `name` means.

    No engine is asked; only LXC's, when it has one of that name, are sought in /proc.
    """
    if kind == "docker":
        from netprobe.linux.files import Tree

        from .docker_files import DockerFiles

        return DockerFiles(tree=Tree(root or "/")).named(name)
    if kind == "podman":
        from netprobe.linux.files import Tree

        from .podman_files import PodmanFiles, Store

        return PodmanFiles([Store(tree=Tree(root or "/"))]).named(name)
    if kind == "nspawn":
        from .nspawn import Nspawn

        return Nspawn(root).named(name)
    return _from_proc(kind, name, root)


def _from_proc(kind: str, name: str, root: str) -> Sequence[Container]:
    """Of the kinds whose files do not tell all: what is at the usual places, and runs."""
    from .census import Census

    if kind == "lxc":
        from .lxc import Lxc

        return Lxc(Census(), root).named(name)
    if kind == "containerd":
        from .containerd import Containerd, Tasks

        return Containerd(Tasks(Census(), root)).named(name)
    return ()
