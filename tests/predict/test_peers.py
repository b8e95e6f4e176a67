"""Both ends of a cable name each other: what is told of all at once is told of what has come since, too."""

from __future__ import annotations

from netprobe.model import FoundPeer, Link, LinkRef, Namespace, Snapshot
from netprobe.predict.peers import mutual


def router(n: int) -> Namespace:
    """The n-th of routers in a row: nsid 0 is the one before, nsid 1 the one behind."""
    up, down = (Link(index, f"v{index}", "veth", link=LinkRef(5 - index, index - 2)) for index in (3, 2))
    return Namespace(f"r{n}", links=(down, up))


def grown(snapshot: Snapshot, n: int) -> Snapshot:
    asked = FoundPeer(f"r{n - 1}", 1, f"r{n}")
    return Snapshot({**snapshot.namespaces, f"r{n}": router(n)}, (*snapshot.peers, asked))


def test_who_leads_back_is_told_as_each_comes() -> None:
    at_once = step_by_step = Snapshot({"r0": router(0)})
    for n in range(1, 5):
        at_once = grown(at_once, n)
        step_by_step = mutual(grown(step_by_step, n), [f"r{n}"])
    everybody = mutual(at_once)
    assert {*step_by_step.peers} == {*everybody.peers}
    assert FoundPeer("r3", 0, "r2") in step_by_step.peers
    assert len(everybody.peers) == 8
