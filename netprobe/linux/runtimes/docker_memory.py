"""Docker without Docker: its files at the usual place, or wherever the mounts of a container that runs show
them to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.linux.files import Tree

from .census import Census
from .container import Container, changed
from .docker_files import DockerFiles
from .mounts import mounts, source_of
from .process import MOUNTS, PROC, Process, whose

_MOUNTED = ("/etc/hostname", "/etc/resolv.conf", "/etc/hosts")  # each is a file DATA-ROOT/containers/ID/...


class DockerMemory:
    """Docker's containers, read from disk and /proc. `root` is where the host's file system is seen."""

    def __init__(self, census: Census, root: str = "") -> None:
        self._census = census
        self._files = DockerFiles(tree=Tree(root or "/"))
        self._searched: set[str] = set()

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means, of a Docker with the usual data root."""
        return [self._present(each) for each in self._files.named(name)]

    def sought(self, name: str) -> Sequence[Container]:
        """The same, wherever the files are of containers that run."""
        self._found_more()
        return self.named(name)

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = self._files.identified(identity)
        if found is None and self._found_more():
            found = self._files.identified(identity)
        return self._present(found) if found else None

    def all(self) -> Iterator[Container]:
        """Every container."""
        self._found_more()
        yield from (self._present(each) for each in self._files.all())

    def _present(self, container: Container) -> Container:
        """`container` with the process that it has now: the files are as old as the daemon's last word."""
        if container.pid and _is_of(container):
            return container
        pid = self._census.first(container.id, container.owner)
        ended = container.pid and not pid
        return changed(container, pid=pid, state="exited" if ended else container.state)

    def _found_more(self) -> bool:
        """Look at containers that no known data root has; whether that showed the files of one."""
        before = len(self._files.apart)
        for identity, residents in self._census.containers().items():
            if residents[0].runtime not in ("docker", "") or identity in self._searched:
                continue
            self._searched.add(identity)
            if self._files.identified(identity) is None:
                owner = residents[0].owner
                place = _data_root(self._census.first(identity, owner), identity, owner)
                self._files.apart |= {identity: place} if place else {}
        return len(self._files.apart) > before


def _is_of(container: Container) -> bool:
    try:
        with Process(container.pid) as process:
            return process.names(container.id, owner=container.owner)
    except OSError:
        return False


def _data_root(pid: int, identity: str, owner: int) -> tuple[Tree, str] | None:
    """Where the files of this container are, as its shim sees them: that is the `owner`'s, and lives where
    the daemon does.
    """
    try:
        with Process(pid) as process, Process(process.parent) as shim:
            if whose(shim.user) != owner or not shim.is_outside or shim.group is not None:
                return None
            inner, outer = mounts(process.read("mountinfo", MOUNTS)), mounts(shim.read("mountinfo", MOUNTS))
            found = [source_of(inner, point, outer) for point in _MOUNTED]
            folder = f"/containers/{identity}/"
            path = next((path for path in found if path and folder in path), None)
            tree = Tree(f"{PROC}/{shim.pid}/root", owner or None, foreign=owner != 0)
            return (tree, path.partition(folder)[0]) if path else None
    except OSError:
        return None
