"""Who is at the other end of a cable, told from either side: both ends of a veth pair name each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from netprobe.model import FoundPeer, Link, Namespace, Snapshot
from netprobe.model.lookup import among, column, gathered, indexed


def mutual(snapshot: Snapshot, fresh: Collection[str] | None = None) -> Snapshot:
    """The snapshot with each veth's far end known from both sides, where one side was asked. `fresh`: what
    has come since that was last done is of these namespaces; None: it was not done yet.

    If `host` says that its veth leads to eth0 of `blue`, then what `blue` calls the other end of eth0 is
    `host`.
    """
    known = {(found.namespace, found.nsid): found.peer for found in snapshot.peers}
    names: Iterable[str] = snapshot.namespaces if fresh is None else _around(snapshot, fresh)
    told = dict.fromkeys(_deduced(snapshot, known, names))
    return replace(snapshot, peers=(*snapshot.peers, *told)) if told else snapshot


def _around(snapshot: Snapshot, fresh: Collection[str]) -> Iterable[str]:
    """These namespaces, and those that are known to lead there."""
    leading = column(among(snapshot.peers, peer=fresh), "namespace")
    return filter(snapshot.__contains__, dict.fromkeys((*fresh, *leading)))


def _deduced(
    snapshot: Snapshot, known: dict[tuple[str, int], str | None], names: Iterable[str]
) -> Iterator[FoundPeer]:
    for name in names:
        for nsid, cables in indexed(_by_far_namespace, snapshot[name].links).items():
            there = snapshot.get(known.get((name, nsid)))
            back = _called_there(there, cables) if there is not None else None
            if there is not None and back is not None and (there.name, back) not in known:
                yield FoundPeer(there.name, back, name)


def _by_far_namespace(links: tuple[Link, ...]) -> dict[int, tuple[Link, ...]]:
    """The cables that lead to each other namespace, by what it is called here."""
    return gathered((link.far_end[0], link) for link in links if link.far_end is not None)


def _called_there(there: Namespace, cables: Iterable[Link]) -> int | None:
    """What the namespace of some cables is called at their far ends; None where these lead elsewhere."""
    for near in cables:
        far = there.link(near.far_end[1]) if near.far_end is not None else None
        if far is not None and far.far_end is not None and far.far_end[1] == near.index:
            return far.far_end[0]
    return None
