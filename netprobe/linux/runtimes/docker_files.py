"""Docker's containers from its own files: what dockerd knew when it last wrote, readable while it is dead or
hangs.

Source: moby, daemon/container (config.v2.json, hostconfig.json below DATA-ROOT/containers/ID).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from netprobe.linux.files import Tree, component

from .container import SHORT_ID, Container, changed, with_owner
from .descriptions import Described, HostConfig
from .json import decoded

DATA_ROOT = "/var/lib/docker"
CONFIGURATION = "config.v2.json"
_Place = tuple[Tree, str, str]  # the data root in its tree, and a container's id


class DockerFiles:
    """The containers below the data roots that `roots` lists; those that cannot be read are left out.

    `apart` has the place of containers whose own mounts alone show where their data root is: it is asked for
    that container only.
    """

    def __init__(self, roots: Sequence[str] = (DATA_ROOT,), tree: Tree = Tree()) -> None:  # noqa: B008
        self._roots = [(tree, root) for root in roots]
        self.apart: dict[str, tuple[Tree, str]] = {}

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means.

        Only files that hold the name are taken apart: there may be a thousand.
        """
        wanted = os.fsencode(f'"/{name}"')
        short = SHORT_ID.fullmatch(name) is not None
        places = [
            each
            for each in self._places()
            if (short and each[2].startswith(name)) or wanted in _content(*each, CONFIGURATION)
        ]
        known = (_container(*each) for each in places)
        return [
            with_owner(each, self._name_of) for each in known if each is not None and each.is_called(name)
        ]

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        container = self._plain(identity)
        return with_owner(container, self._name_of) if container else None

    def all(self) -> Iterator[Container]:
        """Every container."""
        yield from (
            with_owner(each, self._name_of)
            for place in self._places()
            if (each := _container(*place)) is not None
        )

    def _places(self) -> Iterator[_Place]:
        for tree, root in self._roots:
            try:
                yield from ((tree, root, identity) for identity in tree.names(f"{root}/containers"))
            except OSError:
                continue
        yield from ((*place, identity) for identity, place in self.apart.items())

    def _plain(self, identity: str) -> Container | None:
        places = [*self._roots, *([self.apart[identity]] if identity in self.apart else [])]
        return next(
            (each for tree, root in places if (each := _container(tree, root, identity)) is not None), None
        )

    def _name_of(self, identity: str) -> str:
        owner = self._plain(identity)
        return owner.name if owner else ""


def _content(tree: Tree, root: str, identity: str, name: str) -> bytes:
    try:
        return tree.read(f"{root}/containers/{component(identity)}/{name}")
    except OSError:
        return b""


def _container(tree: Tree, root: str, identity: str) -> Container | None:
    """The container that the file below the folder of its id describes: of that id, and of no other."""
    found = decoded(_content(tree, root, identity, CONFIGURATION), Described)
    settings = (
        decoded(_content(tree, root, identity, "hostconfig.json") or b"{}", HostConfig) if found else None
    )
    if found is None or settings is None or found.id_on_disk != identity:
        return None
    found.host_config = settings
    return changed(found.container("docker"), owner=tree.owner or 0)
