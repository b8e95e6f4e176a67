"""The networks of Docker and Podman, and the interface of the host that stands for each.

Source: Docker Engine API (NetworkList), moby libnetwork/drivers/bridge (a bridge is called br- and the first
12 digits of its network's id, unless the option com.docker.network.bridge.name says otherwise); netavark's
files, which Podman keeps below /etc/containers/networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from netprobe.linux.files import Tree
from netprobe.model.engines import EngineNetwork

from .container import WHOLE_ID
from .json import decoded

BRIDGE_NAME = "com.docker.network.bridge.name"
PODMAN_FILES = "/etc/containers/networks"
PODMAN_SIGN = "/var/lib/containers/storage"
PODMAN_DEFAULT = EngineNetwork("podman", "podman", "podman0")  # which is in no file
MOST = 4096  # files of networks


class ListedNetwork(Struct, rename="pascal"):
    """An entry of Docker's answer to /networks."""

    name: str = ""
    id: str = ""
    driver: str = ""
    options: Mapping[str, str] | None = None
    internal: bool = False

    def network(self) -> EngineNetwork | None:
        """The network, where it has an interface on the host: a bridge, or what its macvlans stand on."""
        options = self.options or {}
        if self.driver in ("macvlan", "ipvlan"):
            parent = options.get("parent", "")
            return EngineNetwork("docker", self.name, parent) if parent else None
        if self.driver != "bridge" or not WHOLE_ID.fullmatch(self.id):
            return None
        return EngineNetwork(
            "docker", self.name, options.get(BRIDGE_NAME) or f"br-{self.id[:12]}", self.internal
        )


class PodmanNetwork(Struct):
    """A network of Podman's, in its API and in its files (containers/common, libnetwork/types.Network)."""

    name: str = ""
    network_interface: str = ""
    internal: bool = False

    def network(self) -> EngineNetwork | None:
        """The network, where it has an interface on the host."""
        has_both = self.name and self.network_interface
        return EngineNetwork("podman", self.name, self.network_interface, self.internal) if has_both else None


def podman_networks(tree: Tree) -> Iterator[EngineNetwork]:
    """The networks of root's Podman; none where there is no Podman."""
    if not tree.exists(PODMAN_SIGN):
        return
    yield PODMAN_DEFAULT
    yield from _in_files(tree)


def _in_files(tree: Tree) -> Iterator[EngineNetwork]:
    try:
        names = tree.names(PODMAN_FILES, MOST)
    except OSError:
        return
    for name in names:
        try:
            read = decoded(tree.read(f"{PODMAN_FILES}/{name}"), PodmanNetwork)
        except OSError:
            continue
        yield from filter(None, (read and read.network(),))
