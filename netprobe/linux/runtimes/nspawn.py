"""systemd-nspawn's containers, as systemd-machined registers them. Source: systemd, src/machine/machine.c (/run/systemd/machines)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .container import Container

FOLDER = "/run/systemd/machines"


class Nspawn:
    """The registered machines that are containers. One that does not run is not registered."""

    kind = "nspawn"

    def __init__(self, root: str = "") -> None:
        self._folder = Path(root + FOLDER)

    def named(self, name: str) -> Sequence[Container]:
        """The container of this name."""
        return [found] if "/" not in name and (found := self.identified(name)) is not None else []

    def sought(self, name: str) -> Sequence[Container]:  # noqa: ARG002 - a runtime's signature
        """Nothing more: machined registers each in one place."""
        return ()

    def identified(self, identity: str) -> Container | None:
        """The container of this name, which is its id."""
        try:
            lines = (self._folder / identity).read_text(errors="surrogateescape").splitlines()
        except (OSError, ValueError):
            return None
        state = {key: value for key, _, value in (line.partition("=") for line in lines)}
        pid = state.get("LEADER", "")
        if state.get("CLASS") != "container" or not pid.isdigit():
            return None
        return Container("nspawn", identity, identity, int(pid))

    def all(self) -> Iterator[Container]:
        """Every container."""
        try:  # unit:NAME is a link from the unit to its machine
            names = sorted(entry.name for entry in self._folder.iterdir() if not entry.name.startswith("unit:"))
        except OSError:
            return
        yield from (each for name in names if (each := self.identified(name)) is not None)
