"""Podman's containers from its own files. It has no daemon, and its API often is not switched on: this is the usual way to them.

Source: containers/storage (overlay-containers/containers.json), libpod (db.sql since Podman 4.8, conmon's pidfile below the run root).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct, field

from .container import Container, changed
from .descriptions import NEVER, moment

STORAGE = "/var/lib/containers/storage"
RUN = "/run/containers/storage"
DRIVERS = ("overlay", "vfs", "btrfs", "zfs")
# libpod/define/containerstate.go
STATES = ("", "created", "initialized", "running", "stopped", "paused", "exited", "removing", "stopping")
_ROW = "SELECT c.JSON, s.JSON FROM ContainerConfig c JOIN ContainerState s ON s.ID = c.ID WHERE c.ID = ?"


class _Entry(Struct):
    """A container in containers.json."""

    id: str
    names: tuple[str, ...] | None = ()


class _Linux(Struct):
    namespaces: tuple[Mapping[str, str], ...] | None = ()


class _Spec(Struct):
    linux: _Linux | None = None


class _Settings(Struct, rename="camel"):
    """How it was made (libpod, ContainerConfig)."""

    name: str = ""
    spec: _Spec | None = None
    sharer: str = field(default="", name="netNsCtr")
    own: bool = field(default=False, name="createNetNS")
    network_mode: str = ""
    new_networks: Mapping[str, object] | None = None


class _State(Struct, rename="camel"):
    """How it is (libpod, ContainerState)."""

    state: int = 0
    pid: int = 0
    exit_code: int = 0
    finished_time: str = NEVER


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
                    names = [*(entry.names or ()), entry.id[:12]]
                    pid = _number(Path(store.run, f"{driver}-containers", entry.id, "userdata", "pidfile"))
                    yield store, Container("podman", entry.id, names[0], pid, aliases=tuple(names[1:-1]))


def _entries(file: Path) -> Sequence[_Entry]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[_Entry, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _detailed(store: Store, container: Container) -> Container:
    """`container` with what Podman's own database says of it; as it is where there is none or it cannot be read."""
    rows = _rows(store, container.id)
    if rows is None:
        return container
    settings, state = rows
    word = STATES[state.state] if 0 <= state.state < len(STATES) else ""
    ended = word in ("stopped", "exited", "removing")
    network, networks = _network(store, settings)
    return changed(
        container,
        pid=state.pid,
        state=word or container.state,
        network=network,
        networks=networks,
        exit_code=state.exit_code if ended else None,
        ended=moment(state.finished_time) if ended else None,
    )


def _network(store: Store, settings: _Settings) -> tuple[str, tuple[str, ...] | None]:
    """(what was asked for, the networks it is connected to), as `Container` has them (libpod, ContainerNetworkConfig)."""
    if settings.sharer:
        owner = _rows(store, settings.sharer)
        return f"container:{owner[0].name if owner else settings.sharer[:12]}", None
    if settings.own:
        return settings.network_mode, tuple(settings.new_networks or ())
    namespaces = (settings.spec.linux.namespaces or ()) if settings.spec and settings.spec.linux else ()
    return "none" if any(each.get("type") == "network" for each in namespaces) else "host", None


def _rows(store: Store, identity: str) -> tuple[_Settings, _State] | None:
    """(settings, state) of one container as libpod stores them; None when its database is not there, busy or of another make."""
    file = Path(store.storage, "db.sql")
    if not file.exists():
        return None
    import sqlite3  # 5 ms that a machine without Podman should not pay
    from urllib.parse import quote

    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=0.2)) as database:
            row = database.execute(_ROW, (identity,)).fetchone()
        return (msgspec.json.decode(row[0], type=_Settings), msgspec.json.decode(row[1], type=_State)) if row else None
    except (sqlite3.Error, msgspec.MsgspecError, TypeError):
        return None
