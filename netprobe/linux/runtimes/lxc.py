"""LXC's containers (and those of Incus and LXD, which use it): running ones by their control group, others by
their folder.

Source: lxc, src/lxc/cgroups/cgfsng.c (lxc.payload.NAME), lxc.container.conf(5) for the folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.linux.files import Tree, component
from netprobe.model.runtime import BY_KIND

from .census import Census
from .container import Container
from .kinds import Kinds

FOLDERS = BY_KIND["lxc"].folders


class Lxc:
    """LXC's containers: their name is their id."""

    kind = "lxc"

    def __init__(self, census: Census, root: str = "") -> None:
        self._census = census
        self._tree = Tree(root or "/")

    def named(self, name: str) -> Sequence[Container]:
        """The container of this name, running or not, if it has one of the usual folders."""
        if not self._is_defined(name):
            return []
        running = self.identified(name)
        return [
            running
            if running is not None and not running.owner
            else Container("lxc", name, name, state="stopped")
        ]

    def sought(self, name: str) -> Sequence[Container]:
        """The container of this name if it runs, wherever its folder is."""
        running = self.identified(name)
        return [running] if running is not None else []

    def identified(self, identity: str) -> Container | None:
        """The running container of this name."""
        residents = self._census.residents(identity)
        ours = bool(residents) and residents[0].runtime == "lxc"
        if not ours:
            return None
        owner = residents[0].owner
        return Container("lxc", identity, identity, self._census.first(identity, owner), owner=owner)

    def all(self) -> Iterator[Container]:
        """Every container that runs."""
        yield from (each for name in self._census.containers() if (each := self.identified(name)) is not None)

    def _is_defined(self, name: str) -> bool:
        try:
            return any(self._tree.is_directory(f"{folder}/{component(name)}") for folder in FOLDERS)
        except OSError:
            return False


def of(kinds: Kinds) -> Lxc:
    """LXC of this machine."""
    return Lxc(kinds.census, kinds.root)


def glance(kinds: Kinds, name: str) -> Sequence[Container]:
    """The containers that `name` means."""
    return of(kinds).named(name)
