"""Podman's containers from its files, or from conmon, the process that Podman leaves beside each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netprobe.linux.files import Tree

from .census import Census, Keeper
from .container import WHOLE_ID, Container, changed
from .descriptions import named
from .podman_files import PodmanFiles, Store
from .process import Process

_STORE = re.compile(r"(/.*)/[a-z0-9]+-containers/[0-9a-f]{64}/userdata(?:/pidfile)?")


class PodmanMemory:
    """Podman's containers, read from disk and /proc. `root` is where the host's file system is seen."""

    def __init__(self, census: Census, root: str = "") -> None:
        self._census = census
        self._files = PodmanFiles([Store(tree=Tree(root or "/"))])

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means, of root's Podman with the usual storage."""
        return [_present(each) for each in self._files.named(name)]

    def sought(self, name: str) -> Sequence[Container]:
        """The same by conmon: every user's, wherever the storage is."""
        return [each for each in self._kept() if each.is_called(name)]

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = self._files.identified(identity)
        return _present(found) if found else self._kept_as(identity)

    def all(self) -> Iterator[Container]:
        """Every container."""
        known = [_present(each) for each in self._files.all()]
        yield from known
        yield from (each for each in self._kept() if each.id not in {one.id for one in known})

    def _kept(self) -> Iterator[Container]:
        for identity in self._census.keepers():
            found = self._kept_as(identity)
            if found is not None:
                yield found

    def _kept_as(self, identity: str) -> Container | None:
        keeper = self._census.keeper(identity)
        if keeper is None or keeper.program != "conmon" or not WHOLE_ID.fullmatch(identity):
            return None
        residents = self._census.residents(identity)
        if any(each.runtime == "crio" or each.owner != keeper.owner for each in residents):
            return None
        store = _store_of(keeper)
        detailed = PodmanFiles([store]).identified(identity) if store else None
        plain = detailed or Container(
            "podman", identity, named(keeper.options.get("n", ""), identity), owner=keeper.owner
        )
        # rootless: perhaps without a group
        return _present(changed(plain, pid=self._census.first(identity, keeper.owner) or plain.pid))


def _present(container: Container) -> Container:
    """`container` without the process that it had: conmon's pidfile outlives it."""
    if not container.pid:
        return container
    try:
        with Process(container.pid) as process:
            if process.names(container.id, owner=container.owner):
                return container
    except OSError:
        pass
    return changed(
        container, pid=0, state="exited" if container.state in ("running", "paused") else container.state
    )


def _store_of(keeper: Keeper) -> Store | None:
    """Where the container's Podman keeps its files, as conmon sees the file system."""
    bundle, pidfile = (_STORE.fullmatch(keeper.options.get(option, "")) for option in ("b", "p"))
    if bundle is None or pidfile is None:
        return None
    return Store(bundle[1], pidfile[1], keeper.tree("root"))
