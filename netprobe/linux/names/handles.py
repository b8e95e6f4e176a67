"""The namespaces opened in one run: held open, called by one name each, closed together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netprobe.kernel.elsewhere import Place
from netprobe.linux import netns


class Handles(Mapping[str, Place]):
    """Display name -> descriptor, here or on another host. Two names of one namespace are one entry; the
    first name it got stays. `prefix` stands before every name that is made up here.

    While a descriptor is held its namespace cannot vanish, nor its inode number be given to another.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._fds: dict[str, Place] = {}
        self._names: dict[netns.Identity, str] = {}

    def __getitem__(self, name: str) -> Place:
        return self._fds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fds)

    def __len__(self) -> int:
        return len(self._fds)

    def name_of(self, identity: netns.Identity) -> str | None:
        """The name under which this namespace is already open, or None."""
        return self._names.get(identity)

    def add(self, fd: Place, names: Iterable[str]) -> str:
        """Take over `fd` and return its name: the one it has, else the first of `names` that is free."""
        identity = netns.identity(fd)
        known = self._names.get(identity)
        if known is not None:
            netns.close(fd)
            return known
        name = next((name for name in names if name not in self._fds), f"{self._prefix}netns-{identity[1]}")
        self._fds[name], self._names[identity] = fd, name
        return name

    def close(self) -> None:
        """Close every descriptor; closing twice does nothing."""
        for fd in self._fds.values():
            netns.close(fd)
        self._fds.clear()
        self._names.clear()
