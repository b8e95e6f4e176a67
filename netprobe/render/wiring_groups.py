"""A map of very many namespaces, made readable: of those that are wired alike the first few are shown, and
the others as one group ("297 more of front").
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import partial
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from netprobe.model.lookup import gathered
from netprobe.model.wiring import SpaceGroup, Wire, WiredSpace, WireEnd, Wiring

from .wiring_words import natural, told

MOST = 50  # namespaces that are all shown
SHOWN = 3  # of those that are wired alike, where there are more
Anchors = tuple[WireEnd, ...]  # where a station is plugged in
_ACTIVE = ("port", "member", "tunnel")  # wires of what passes packets on


def grouped(wiring: Wiring, most: int = MOST) -> Wiring:
    """The same map with groups, where it has more namespaces than `most`."""
    if len(wiring.spaces) <= most:
        return wiring
    alike = gathered(_stations(wiring, _apart(wiring)))
    groups: list[SpaceGroup] = []
    hidden: set[str] = set()
    for anchors, names in sorted(alike.items(), key=repr):
        rest = sorted(names, key=natural)[SHOWN:]
        if len(rest) > 1:
            hidden.update(rest)
            groups.append(SpaceGroup(len(rest), anchors, rest[0], rest[-1]))
    return _without(wiring, hidden, tuple(groups))


def _apart(wiring: Wiring) -> frozenset[str]:
    """The namespaces that somebody asked about: none of them is one of many."""
    path = wiring.path
    on_path = (*path.ends, *path.beyond) if path is not None else ()
    asked = (text.partition("/")[0] for text in wiring.asked)
    return frozenset((*map(attrgetter("namespace"), on_path), *asked))


def _stations(wiring: Wiring, apart: Set[str]) -> Iterator[tuple[Anchors, str]]:
    """The stations, by what they are plugged into."""
    for space in wiring.spaces:
        wires = list(chain.from_iterable(map(wiring.touching, told(space))))
        if space.name not in apart and _is_plain(space, wires):
            anchors = map(partial(_anchor, wiring), wires)
            yield tuple(sorted(anchors, key=repr)), space.name


def _is_plain(space: WiredSpace, wires: list[Wire]) -> bool:
    """Whether a namespace is a station: each of its interfaces has one wire, which leads out of it; what
    passes packets on, translates them or cannot be looked into is none.
    """
    if space.blind or space.translations or space.kind == "host":
        return False
    return len(wires) == len(list(told(space))) and not any(map(_is_active, wires))


def _is_active(wire: Wire) -> bool:
    return wire.kind in _ACTIVE or wire.near.namespace == wire.far.namespace


def _anchor(wiring: Wiring, wire: Wire) -> WireEnd:
    """The bridge that a wire leads to, or else what is at its far end."""
    return wiring.master(wire.far) or wire.far


def _without(wiring: Wiring, hidden: Set[str], groups: tuple[SpaceGroup, ...]) -> Wiring:
    """The map without these namespaces, their wires, and the ports that lead to nothing else."""
    gone = set(chain.from_iterable(map(partial(_leaving, wiring, hidden), wiring.wires)))
    wires = tuple(wire for wire in wiring.wires if gone.isdisjoint((wire.near, wire.far)))
    kept = (space for space in wiring.spaces if space.name not in hidden)
    return replace(wiring, spaces=tuple(map(partial(_narrowed, gone), kept)), wires=wires, groups=groups)


def _leaving(wiring: Wiring, hidden: Set[str], wire: Wire) -> Iterator[WireEnd]:
    """The interfaces that go with the namespaces at a wire: theirs, and ports that have no other use."""
    for near, far in ((wire.near, wire.far), (wire.far, wire.near)):
        if near.namespace in hidden:
            yield near
            port = wiring.master(far) is not None and len(wiring.touching(far)) == _OF_A_PORT
            yield from (far,) * port


_OF_A_PORT = 2  # wires: to the bridge and to the station


def _narrowed(gone: Set[WireEnd], space: WiredSpace) -> WiredSpace:
    kept = tuple(each for end, each in space.ends if end not in gone)
    return replace(space, interfaces=kept) if len(kept) < len(space.interfaces) else space
