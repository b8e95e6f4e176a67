"""What traffic has left behind, forgotten: learned neighbours, and learned addresses of bridges.

It is learned anew when something has changed. Of stations beyond what can be read nobody could tell then
that they would answer, so that what is known of these stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Namespace, Snapshot
from netprobe.model.lookup import all_but, among, where

_LEARNED = ("reachable", "stale", "delay", "probe", "failed", "incomplete")


def without_learned(snapshot: Snapshot) -> Snapshot:
    """The snapshot in which no namespace has learned anything of another one in it."""
    macs = {link.mac for namespace in snapshot.namespaces.values() for link in namespace.links}
    return replace(
        snapshot, namespaces={name: _fresh(each, macs) for name, each in snapshot.namespaces.items()}
    )


_BY_HAND = {"static": False, "local": False, "remote": None}


def _fresh(namespace: Namespace, macs: set[str]) -> Namespace:
    """A namespace without entries that were learned of a station with one of these MACs, or of none."""
    heard = among(where(namespace.neighbours, proxy=False), state=_LEARNED)
    seen = among(where(namespace.fdb, static=False, local=False, remote=None), mac=macs)
    return replace(
        namespace,
        neighbours=all_but(namespace.neighbours, among(heard, mac={None, *macs})),
        fdb=all_but(namespace.fdb, seen),
    )
