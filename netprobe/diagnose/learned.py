"""What traffic has left behind, forgotten: learned neighbours, and learned addresses of bridges.

It is learned anew when something has changed. Of stations beyond what can be read nobody could tell then
that they would answer, so that what is known of these stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Namespace, Snapshot

_LEARNED = ("reachable", "stale", "delay", "probe", "failed", "incomplete")


def without_learned(snapshot: Snapshot) -> Snapshot:
    """The snapshot in which no namespace has learned anything of another one in it."""
    macs = {link.mac for namespace in snapshot.namespaces.values() for link in namespace.links}
    return replace(
        snapshot, namespaces={name: _fresh(each, macs) for name, each in snapshot.namespaces.items()}
    )


def _fresh(namespace: Namespace, macs: set[str]) -> Namespace:
    neighbours = tuple(
        n for n in namespace.neighbours if n.state not in _LEARNED or n.proxy or n.mac not in (None, *macs)
    )
    fdb = tuple(e for e in namespace.fdb if e.static or e.local or e.remote is not None or e.mac not in macs)
    return replace(namespace, neighbours=neighbours, fdb=fdb)
