"""What `netprobe ls` lists: the namespaces of a machine, and the wire that leads to each."""

from __future__ import annotations

from msgspec import Struct


class SpaceInterface(Struct, frozen=True, gc=False):
    """An interface as listed.

    `addresses` with their prefix lengths; `peer` the far end of a veth ("host/vethX").

    `bridge` is the bridge that the interface is a port of, `peer_bridge` that of the far end: where a
    container is plugged in.
    """

    name: str
    kind: str = ""
    up: bool = True
    addresses: tuple[str, ...] = ()
    peer: str | None = None
    bridge: str | None = None
    peer_bridge: str | None = None


class Space(Struct, frozen=True, gc=False):
    """A namespace as listed: the name netprobe calls it by, what kind of name that is (netns, host, pid,
    docker, ...).

    `names` are all ways to write it. `note` is what a person should know ("paused"); `blind` why it could not
    be looked into. `typed` is how to write it in a command, where that is not its name alone.
    """

    name: str
    kind: str
    names: tuple[str, ...] = ()
    inode: int = 0
    interfaces: tuple[SpaceInterface, ...] = ()
    note: str = ""
    blind: str | None = None
    typed: str = ""
