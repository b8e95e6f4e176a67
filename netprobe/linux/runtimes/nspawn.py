"""systemd-nspawn's containers, as systemd-machined registers them.

Source: systemd, src/machine/machine.c (/run/systemd/machines).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from netprobe.linux.files import Tree, component
from netprobe.model.runtime import BY_KIND

from .container import Container
from .kinds import Kinds

[FOLDER] = BY_KIND["nspawn"].folders
LARGEST = 1 << 16  # bytes


class Nspawn:
    """The registered machines that are containers. One that does not run is not registered."""

    kind = "nspawn"

    def __init__(self, root: str = "") -> None:
        self._tree = Tree(root or "/")

    def named(self, name: str) -> Sequence[Container]:
        """The container of this name."""
        return [found] if (found := self.identified(name)) is not None else []

    def sought(self, name: str) -> Sequence[Container]:  # noqa: ARG002 - a runtime's signature
        """Nothing more: machined registers each in one place."""
        return ()

    def identified(self, identity: str) -> Container | None:
        """The container of this name, which is its id."""
        try:
            lines = os.fsdecode(self._tree.read(f"{FOLDER}/{component(identity)}", LARGEST)).splitlines()
        except OSError:
            return None
        state = {key: value for key, _, value in (line.partition("=") for line in lines)}
        pid = state.get("LEADER", "")
        if state.get("CLASS") != "container" or not re.fullmatch("[0-9]{1,7}", pid):
            return None
        return Container("nspawn", identity, identity, int(pid))

    def all(self) -> Iterator[Container]:
        """Every container."""
        try:  # unit:NAME is a link from the unit to its machine
            names = [name for name in self._tree.names(FOLDER) if not name.startswith("unit:")]
        except OSError:
            return
        yield from (each for name in names if (each := self.identified(name)) is not None)


def of(kinds: Kinds) -> Nspawn:
    """systemd-nspawn of this machine."""
    return Nspawn(kinds.root)


def glance(kinds: Kinds, name: str) -> Sequence[Container]:
    """The containers that `name` means."""
    return of(kinds).named(name)
