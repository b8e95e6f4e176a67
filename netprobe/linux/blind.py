"""What could not be read, in the place of what was asked for: known as that, so that nobody asks again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from netprobe.model import (
    AskConnection,
    AskedRoute,
    AskedSet,
    AskEngines,
    AskRoute,
    AskSet,
    Blind,
    Chain,
    FindBare,
    FindMacvlans,
    FindOthers,
    FindPeer,
    FindWire,
    FoundConnection,
    FoundMacvlans,
    FoundPeer,
    LookBehind,
    Need,
    ReadChain,
    ReadNamespace,
    RouteAnswer,
    SeenBehind,
    Snapshot,
)
from netprobe.model.engines import ContainerEngines

from . import namespace


def reason(error: Exception) -> str:
    """What the kernel said, without the number and the file that Python adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def without_table(
    snapshot: Snapshot, table: namespace.LargeTable, name: str, queries: Sequence[Any], why: str
) -> Snapshot:
    """`snapshot` where a table with very many entries could not be looked into."""
    known = snapshot[name]
    lost = replace(known, unread={**known.unread, table.part: why})
    blind = Blind(f"{table.called} of {name}", why)
    snapshot = replace(snapshot.with_namespace(lost), blind=(*snapshot.blind, blind))
    return table.put(snapshot, name, (), queries)


def blinded(snapshot: Snapshot, need: Need, why: str) -> Snapshot:
    """`snapshot` with `need` as what could not be read, and why, so that nobody asks again; and a blind spot
    that says so.
    """
    if isinstance(need, ReadNamespace):
        return snapshot.with_namespace(namespace.unread(need.name, why))
    if isinstance(need, FindPeer):
        blind = Blind(f"the namespace that {need.namespace} calls nsid {need.nsid}", why)
        return replace(
            snapshot,
            peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, None, why)),
            blind=(*snapshot.blind, blind),
        )
    if isinstance(need, FindBare):
        return replace(snapshot, blind=(*snapshot.blind, Blind("namespaces without a cable", why)))
    if isinstance(need, FindOthers):
        return replace(snapshot, blind=(*snapshot.blind, Blind("namespaces beside the way", why)))
    if isinstance(need, AskEngines):
        return replace(snapshot, engines=ContainerEngines())
    if isinstance(need, FindMacvlans):
        blind = Blind(f"the macvlans on interface {need.index} of {need.namespace}", why)
        found = FoundMacvlans(need.namespace, need.index, why=why)
        return replace(snapshot, macvlans=(*snapshot.macvlans, found), blind=(*snapshot.blind, blind))
    assert not isinstance(need, FindWire)  # which says so itself
    if isinstance(need, LookBehind):
        unseen = SeenBehind(need.namespace, need.nsid, need.index, why=why)
        return replace(snapshot, behind=(*snapshot.behind, unseen))
    for table in namespace.LARGE_TABLES:
        if isinstance(need, table.need):
            return without_table(snapshot, table, need.namespace, [need.query], why)
    blind = Blind(f"the kernel's answer in {need.namespace}", why)
    snapshot = replace(snapshot, blind=(*snapshot.blind, blind))
    if isinstance(need, AskSet):
        return namespace.with_answer(snapshot, need, AskedSet(need.query, False, error=why))
    if isinstance(need, ReadChain):
        return namespace.with_chain(snapshot, need, Chain(need.query.chain, unread=why))
    if isinstance(need, AskConnection):
        return replace(
            snapshot, connections=(*snapshot.connections, FoundConnection(need.namespace, need.flow, why=why))
        )
    assert isinstance(need, AskRoute)
    asked = AskedRoute(need.namespace, need.query, RouteAnswer(), why)
    return replace(snapshot, answers=(*snapshot.answers, asked))
