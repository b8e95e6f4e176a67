"""Podman's containers from its own files.

It has no daemon, and its API often is not switched on: this is the usual way to them.

Source: containers/storage (overlay-containers/containers.json), libpod (db.sql since Podman 4.8, conmon's
pidfile below the run root).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from msgspec import Struct, field, structs

from netprobe.linux.files import Tree

from .container import WHOLE_ID, Container, changed
from .database import Database
from .descriptions import LONGEST, NEVER, PID_MAX, moment, named
from .json import decoded
from .process import whose

STORAGE = "/var/lib/containers/storage"
RUN = "/run/containers/storage"
LARGEST_LIST, LARGEST_PIDFILE = 16 << 20, 64  # bytes
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


class _ContainerState(Struct, rename="camel"):
    """How it is (libpod, ContainerState)."""

    state: int = 0
    pid: int = 0
    exit_code: int = 0
    finished_time: str = NEVER


@dataclass(frozen=True, slots=True)
class Store:
    """Where one Podman keeps its containers: the part that stays, and the part that a reboot clears, both
    paths in `tree`.
    """

    storage: str = STORAGE
    run: str = RUN
    tree: Tree = Tree()  # noqa: RUF009 - a value


class PodmanFiles:
    """The containers of `stores`; those that cannot be read are left out."""

    def __init__(self, stores: Sequence[Store] = (Store(),)) -> None:
        self.stores = list(stores)

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        return [
            each
            for store in self.stores
            for each in _chosen(store, lambda container: container.is_called(name))
        ]

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = (
            each
            for store in self.stores
            for each in _chosen(store, lambda container: container.id == identity)
        )
        return next(found, None)

    def all(self) -> Iterator[Container]:
        """Every container."""
        for store in self.stores:
            yield from _chosen(store, lambda container: True)  # noqa: ARG005


def _chosen(store: Store, is_meant: Callable[[Container], bool]) -> Sequence[Container]:
    """The containers of a store that are meant, with all that is known of them.

    Nothing is read of the others.
    """
    try:
        raw = store.tree.together(lambda: [structs.astuple(each) for each in _detailed(store, is_meant)])
    except OSError:
        return ()
    owner = whose(store.tree.owner) if store.tree.owner is not None else 0
    return [changed(Container(*each), owner=owner) for each in raw]


def _detailed(store: Store, is_meant: Callable[[Container], bool]) -> Iterator[Container]:
    plain = [each for each in _plain(store) if is_meant(each)]
    with Database(store.tree, f"{store.storage}/db.sql") if plain else nullcontext() as database:
        for each in plain:
            found = changed(each, pid=_pid(store, each.id))
            yield _described(found, database) if database is not None else found


def _plain(store: Store) -> Iterator[Container]:
    """Every container with its name, and nothing that costs more to find out."""
    for driver in DRIVERS:
        try:
            data = store.tree.read(f"{store.storage}/{driver}-containers/containers.json", LARGEST_LIST)
        except OSError:
            continue
        for entry in decoded(data, tuple[_Entry, ...]) or ():
            if WHOLE_ID.fullmatch(entry.id):
                names = [named(name, entry.id) for name in entry.names or ()] or [entry.id[:12]]
                yield Container("podman", entry.id, names[0], aliases=tuple(names[1:]))


def _pid(store: Store, identity: str) -> int:
    """The process in conmon's pidfile; 0 where there is none."""
    for driver in DRIVERS:
        with suppress(OSError, ValueError):
            return int(
                store.tree.read(
                    f"{store.run}/{driver}-containers/{identity}/userdata/pidfile", LARGEST_PIDFILE
                )
            )
    return 0


def _described(container: Container, database: Database) -> Container:
    """`container` with what Podman's own database says of it; as it is where that cannot be read."""
    rows = _rows(database, container.id)
    if rows is None:
        return container
    settings, state = rows
    word = STATES[state.state] if 0 <= state.state < len(STATES) else ""
    ended = word in ("stopped", "exited", "removing")
    network, networks = _network(database, settings)
    return changed(
        container,
        pid=state.pid if 0 <= state.pid <= PID_MAX else 0,
        state=word or container.state,
        network=network,
        networks=networks,
        exit_code=state.exit_code if ended and abs(state.exit_code) < 1 << 31 else None,
        ended=moment(state.finished_time) if ended else None,
    )


def _network(database: Database, settings: _Settings) -> tuple[str, tuple[str, ...] | None]:
    """(what was asked for, the networks it is connected to), as `Container` has them (libpod,
    ContainerNetworkConfig).
    """
    if settings.sharer:
        owner = _rows(database, settings.sharer)
        return f"container:{named(owner[0].name, settings.sharer) if owner else settings.sharer[:12]}", None
    if settings.own:
        return settings.network_mode[:LONGEST], tuple(settings.new_networks or ())
    namespaces = (settings.spec.linux.namespaces or ()) if settings.spec and settings.spec.linux else ()
    return "none" if any(each.get("type") == "network" for each in namespaces) else "host", None


def _rows(database: Database, identity: str) -> tuple[_Settings, _ContainerState] | None:
    """(settings, state) of one container as libpod stores them; None when its database is not there, busy or
    of another make.
    """
    row = database.row(_ROW, identity)
    if row is None or len(row) != 2:
        return None
    settings, state = decoded(row[0], _Settings), decoded(row[1], _ContainerState)
    return (settings, state) if settings is not None and state is not None else None
