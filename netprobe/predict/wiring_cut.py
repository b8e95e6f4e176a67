"""A map cut to some endpoints: what is connected with them.

That is the segment of each of their interfaces - all that cables, bridges and tunnels join to it -, and from
there the way out: the segments that default routes lead through, namespace by namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.model.lookup import grouped
from netprobe.model.wiring import WayOut, WiredInterface, WiredSpace, WiredTranslation, WireEnd, Wiring

from .segments import segments_of

Wanted = tuple[str, str | None]  # a namespace, and one interface of it or all


def cut(wiring: Wiring, wanted: Sequence[Wanted], asked: tuple[str, ...]) -> Wiring:
    """What is connected with these; `asked`: as they were written."""
    segments = segments_of(wiring.wires)
    joined = grouped(segments, segments.__getitem__)
    waiting = list(chain.from_iterable(map(partial(_ends, wiring), wanted)))
    kept: set[WireEnd] = set()
    while waiting:
        end = waiting.pop()
        if end not in kept:
            together = joined.get(segments.get(end, -1), (end,))
            kept.update(together)
            waiting += chain.from_iterable(map(partial(_ways_out, wiring), together))
    return _with_only(wiring, kept, {name for name, _ in wanted}, asked)


def _ends(wiring: Wiring, wanted: Wanted) -> Iterator[WireEnd]:
    name, one = wanted
    for end, _ in _of(wiring, name):
        if one in (None, end.interface):
            yield end


def _of(wiring: Wiring, name: str | None) -> Iterator[tuple[WireEnd, WiredInterface]]:
    """The interfaces of a namespace; none of one that is not on the map."""
    space = wiring.space(name or "")
    return space.ends if space is not None else iter(())


def _ways_out(wiring: Wiring, end: WireEnd) -> Iterator[WireEnd]:
    """Where packets go on from the namespaces that are the next hop of an interface: out of the interfaces of
    their default routes.
    """
    here = wiring.at(end)
    hops: tuple[WayOut, ...] = here.gateways if here is not None else ()
    for hop in hops:
        for way, onward in _of(wiring, hop.namespace):
            if onward.gateways:
                yield way


def _with_only(wiring: Wiring, kept: set[WireEnd], asked_for: set[str], asked: tuple[str, ...]) -> Wiring:
    narrow = [_narrowed(each, kept) for each in wiring.spaces]
    spaces = tuple(each for each in narrow if each.interfaces or each.name in asked_for)
    wires = tuple(wire for wire in wiring.wires if {wire.near, wire.far} <= kept)
    return replace(wiring, spaces=spaces, wires=wires, asked=asked)


def _narrowed(space: WiredSpace, kept: set[WireEnd]) -> WiredSpace:
    """A namespace with the interfaces that are kept, and the rules that are about them."""
    there = tuple(each for end, each in space.ends if end in kept)
    names = {each.name for each in there}
    about = tuple(filter(partial(_is_about, names), space.translations))
    return replace(space, interfaces=there, translations=about)


def _is_about(names: set[str], rule: WiredTranslation) -> bool:
    """Whether a rule translates between interfaces that are kept; one that names none is about all."""
    told = list(filter(None, (rule.inside, rule.leaves)))
    return not any(map(names.isdisjoint, told))
