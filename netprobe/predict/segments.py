"""Which interfaces are joined by cables, bridges and tunnels, without a router between them."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model.wiring import Wire, WireEnd


def segments_of(wires: Iterable[Wire]) -> dict[WireEnd, int]:
    """Each interface that is joined to another, with the number of its segment, from 0 in the order in which
    they are met. A VLAN counts as joined to what it stands on, a VRF and its members do as well: frames go
    from one to the other.
    """
    parents: dict[WireEnd, WireEnd] = {}
    for wire in wires:
        one, other = (_root(parents, end) for end in (wire.near, wire.far))
        parents[other] = one
    numbers: dict[WireEnd, int] = {}
    return {end: numbers.setdefault(_root(parents, end), len(numbers)) for end in list(parents)}


def _root(parents: dict[WireEnd, WireEnd], end: WireEnd) -> WireEnd:
    """The one that stands for all that are joined to an interface; the way to it is made shorter."""
    parents.setdefault(end, end)
    while parents[end] != end:
        parents[end] = parents[parents[end]]
        end = parents[end]
    return end
