"""Words of a fix that only its reader knows, supposed for a look at what else is in the way. Pure.

Nothing is said of them, nor of what comes of the fix: any that would do on the segment stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

from netprobe.model import Command, InterfaceAddress, Link, Namespace, Snapshot
from netprobe.model.lookup import sole, where
from netprobe.predict import prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import Unread
from netprobe.predict.fixes import GATEWAY, INTERFACE
from netprobe.predict.view import Ground, Lacking

from .repair.segment import own_addresses, stations, unfiltered, usual_length

_LENGTH = "LENGTH"


def supposed(snapshot: Snapshot, commands: tuple[Command, ...], name: str | None) -> tuple[Command, ...]:
    """The commands of namespace `name`, with an interface that is up, the usual length, and the router beside
    where they leave these open; as they are where nothing is known that would do.
    """
    try:
        return tuple(_filled(snapshot, each, snapshot.at(each.namespace or name)) for each in commands)
    except (Lacking, Unread):
        return commands


def _filled(snapshot: Snapshot, command: Command, here: Namespace) -> Command:
    if command.lacks(INTERFACE.name):
        for link in sole(where(here.outward, up=True, master=None)):
            command = command.filled(INTERFACE.name, link.name)
    said = dict(pairwise(command.words))
    links = where(here.outward, up=True, name=said["dev"]) if "dev" in said else where(here.outward, up=True)
    if command.lacks(_LENGTH):
        address = said.get("add", "").partition("/")[0]
        near = (own for there, end in _beside(snapshot, here, links) for own in there.addresses_of(end))
        usual = usual_length(near, address)
        command = command.filled(_LENGTH, str(usual[0])) if usual is not None else command
    if command.lacks(GATEWAY.name):
        version = 6 if "-6" in command.words else 4
        gateway = next(_routers(snapshot, here, links, version), None)
        command = command.filled(GATEWAY.name, gateway.address) if gateway is not None else command
    return command


def _routers(
    snapshot: Snapshot, here: Namespace, links: tuple[Link, ...], version: int
) -> Iterator[InterfaceAddress]:
    """The addresses of the routers beside: those on the segment, then those that are of a network there, for
    a router answers for all of its own.
    """
    near = [each for each in _beside(snapshot, here, links) if is_router(each[0], version)]
    yield from chain.from_iterable(own_addresses(there, end, version) for there, end in near)
    for own in where(chain.from_iterable(there.addresses for there, _ in near), scope="global"):
        if own.version == version and prefix.neighbours_of(own.address, here.addresses):
            yield own


def _beside(snapshot: Snapshot, here: Namespace, links: tuple[Link, ...]) -> Iterator[tuple[Namespace, Link]]:
    """The other stations of the segments of some interfaces."""
    ground = Ground(unfiltered(snapshot), ask=False)
    for link in links:
        for name, end in stations(ground, here.name, link):
            if name != here.name:
                yield snapshot[name], end
