"""What traffic has left behind, forgotten: learned neighbours, and learned addresses of bridges.

It is learned anew when something has changed. Of stations beyond what can be read nobody could tell then
that they would answer, so that what is known of these stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import FdbEntry, Namespace, Neighbour, Snapshot

_LEARNED = ("reachable", "stale", "delay", "probe", "failed", "incomplete")


def without_learned(snapshot: Snapshot) -> Snapshot:
    """The snapshot in which no namespace has learned anything of another one in it."""
    macs = {link.mac for namespace in snapshot.namespaces.values() for link in namespace.links}
    return replace(
        snapshot, namespaces={name: _fresh(each, macs) for name, each in snapshot.namespaces.items()}
    )


def _fresh(namespace: Namespace, macs: set[str]) -> Namespace:
    neighbours = tuple(each for each in namespace.neighbours if not _is_heard(each, macs))
    fdb = tuple(each for each in namespace.fdb if each.mac not in macs or not _is_from_a_frame(each))
    return replace(namespace, neighbours=neighbours, fdb=fdb)


def _is_heard(entry: Neighbour, macs: set[str]) -> bool:
    """Whether an entry was learned of a station with one of these MACs, or of none."""
    return entry.state in _LEARNED and not entry.proxy and (entry.mac is None or entry.mac in macs)


def _is_from_a_frame(entry: FdbEntry) -> bool:
    return not entry.static and not entry.local and entry.remote is None
