"""Podman's containers from its own files. It has no daemon, and its API often is not switched on: this is the usual way to them.

Source: containers/storage (overlay-containers/containers.json), libpod (db.sql since Podman 4.8, conmon's pidfile below the run root).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .container import Container
from .descriptions import moment

STORAGE = "/var/lib/containers/storage"
RUN = "/run/containers/storage"
DRIVERS = ("overlay", "vfs", "btrfs", "zfs")
# libpod/define/containerstate.go
STATES = ("", "created", "initialized", "running", "stopped", "paused", "exited", "removing", "stopping")
_ROW = "SELECT c.JSON, s.JSON FROM ContainerConfig c JOIN ContainerState s ON s.ID = c.ID WHERE c.ID = ?"


@dataclass(frozen=True, slots=True)
class Store:
    """Where one Podman keeps its containers: the part that stays, and the part that a reboot clears."""

    storage: str = STORAGE
    run: str = RUN


class PodmanFiles:
    """The containers of `stores`; those that cannot be read are left out."""

    def __init__(self, stores: Sequence[Store] = (Store(),)) -> None:
        self.stores = list(stores)

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        return [_detailed(store, each) for store, each in self._plain() if each.is_called(name)]

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        return next((_detailed(store, each) for store, each in self._plain() if each.id == identity), None)

    def all(self) -> Iterator[Container]:
        """Every container."""
        yield from (_detailed(store, each) for store, each in self._plain())

    def _plain(self) -> Iterator[tuple[Store, Container]]:
        """Every container with its name and process, and nothing that costs more to find out."""
        for store in self.stores:
            for driver in DRIVERS:
                for entry in _entries(Path(store.storage, f"{driver}-containers", "containers.json")):
                    identity, names = str(entry.get("id") or ""), [str(name) for name in entry.get("names") or ()]
                    pid = _number(Path(store.run, f"{driver}-containers", identity, "userdata", "pidfile"))
                    yield store, Container("podman", identity, names[0] if names else identity[:12], pid, aliases=tuple(names[1:]))


def _entries(file: Path) -> Sequence[Mapping[str, Any]]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return ()
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else ()


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _detailed(store: Store, container: Container) -> Container:
    """`container` with what Podman's own database says of it; as it is where there is none or it cannot be read."""
    settings, state = _rows(store, container.id)
    if not state:
        return container
    word = STATES[number] if 0 <= (number := int(state.get("state") or 0)) < len(STATES) else ""
    ended = word in ("stopped", "exited", "removing")
    network, networks = _network(store, settings)
    return replace(
        container,
        pid=int(state.get("pid") or 0),
        state=word or container.state,
        network=network,
        networks=networks,
        exit_code=int(state.get("exitCode") or 0) if ended else None,
        ended=moment(str(state.get("finishedTime") or "")) if ended else None,
    )


def _network(store: Store, settings: Mapping[str, Any]) -> tuple[str, tuple[str, ...] | None]:
    """(what was asked for, the networks it is connected to), as `Container` has them (libpod, ContainerNetworkConfig)."""
    if settings.get("netNsCtr"):
        return f"container:{_name(store, str(settings['netNsCtr']))}", None
    if settings.get("createNetNS"):
        return str(settings.get("networkMode") or ""), tuple(settings.get("newNetworks") or ())
    namespaces = ((settings.get("spec") or {}).get("linux") or {}).get("namespaces") or ()
    return "none" if any(each.get("type") == "network" for each in namespaces) else "host", None


def _rows(store: Store, identity: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(settings, state) of one container as libpod stores them; both empty when its database is not there or busy."""
    file = Path(store.storage, "db.sql")
    if not file.exists():
        return {}, {}
    import sqlite3  # 5 ms that a machine without Podman should not pay
    from urllib.parse import quote

    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=0.2)) as database:
            row = database.execute(_ROW, (identity,)).fetchone()
        return (json.loads(row[0]), json.loads(row[1])) if row else ({}, {})
    except (sqlite3.Error, ValueError, TypeError):
        return {}, {}


def _name(store: Store, identity: str) -> str:
    return str(_rows(store, identity)[0].get("name") or identity[:12])
