"""A map as a tree: each namespace with its bridges, their ports, and who is behind each port.

A station - a namespace with nothing but the interfaces that are shown where they are plugged in - has no
paragraph of its own. What is on the way of a highlighted path has its number in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model.lookup import first, gathered
from netprobe.model.wiring import SpaceGroup, Wire, WiredInterface, WiredSpace, WireEnd, Wiring

from .pen import BOLD, CYAN, DIM, GREEN, LEAF, RED, YELLOW, Pen, behind
from .terminal import WIDEST, Terminal
from .wiring_words import (
    addresses,
    joined_end,
    kind_of,
    more,
    natural,
    path_words,
    space_notes,
    state_of,
    titled,
    told,
    translated,
    unread,
    way_out,
)

_GAP = 2
_DENSE = 40  # columns below which a level takes one column
_ROOMY = 18  # columns with which a line that goes on is indented
# by whether the terminal is one for ASCII, and whether it is the last of its level
_BRANCH = {(False, False): "├─ ", (False, True): "└─ ", (True, False): "|- ", (True, True): "`- "}
_ONWARD = {(False, False): "│  ", (False, True): "   ", (True, False): "|  ", (True, True): "   "}
Part = tuple[str, str]  # a text and its colour


class _Twig(Struct):
    """A line of the tree, as parts side by side, and what hangs below it."""

    parts: tuple[Part, ...]
    below: tuple[_Twig, ...] = ()


def wiring_text(wiring: Wiring, terminal: Terminal) -> str:
    """The map for a terminal."""
    pen = Pen(terminal)
    tree = _Tree(wiring, pen)
    twigs = list(chain(_of_path(wiring), tree.spaces(), tree.unconnected(), _not_read(wiring)))
    blocks = ["\n".join(_drawn(twig, pen)) for twig in twigs]
    return "\n\n".join(blocks or ["nothing that could be shown"]) + "\n"


def wiring_quiet(wiring: Wiring, terminal: Terminal) -> str:
    """The answer of the path that lies over the map; without one the names of the namespaces."""
    names = [space.name for space in sorted(wiring.spaces, key=_place)]
    rows = [path_words(wiring)] if wiring.path is not None else names
    return "".join(Pen(terminal).plain(row) + "\n" for row in rows)


def _of_path(wiring: Wiring) -> Iterator[_Twig]:
    """The answer that lies over the map, and its way."""
    path = wiring.path
    if path is not None:
        colour = GREEN if path.verdict.value == "reachable" else RED
        way = " → ".join(map(joined_end, path.ends))
        yield _Twig(((path_words(wiring), colour),), (_Twig(((way or "no interface on the way", ""),)),))


def _not_read(wiring: Wiring) -> Iterator[_Twig]:
    """What could not be read, once for each reason."""
    for why, whats in unread(wiring).items():
        said = f"not read: {why}; `netprobe doctor` says what helps"
        yield _Twig(((said, YELLOW),), (_Twig(((", ".join(whats), ""),)),))


class _Tree:
    """Makes the twigs of one map."""

    def __init__(self, wiring: Wiring, pen: Pen) -> None:
        self._wiring, self._pen = wiring, pen
        self._groups = gathered(chain.from_iterable(map(_placed, wiring.groups)))
        path = wiring.path
        on_path = (*path.ends, *path.beyond) if path is not None else ()
        self._step = {end: number for number, end in reversed([*enumerate(on_path, 1)])}
        self._stop = path.stop if path is not None else None
        self._stations = set(first(filter(self._is_station, wiring.spaces), lambda space: space.name))

    def spaces(self) -> Iterator[_Twig]:
        """A twig for each namespace that is more than a station."""
        for space in sorted(self._wiring.spaces, key=_place):
            if not space.blind and space.name not in self._stations:
                yield self._space(space)

    def unconnected(self) -> Iterator[_Twig]:
        """Groups that are connected to nothing."""
        return map(self._group, (group for group in self._wiring.groups if not group.at))

    def _group(self, group: SpaceGroup) -> _Twig:
        return _Twig(((more(group, self._wiring), DIM),))

    def _is_station(self, space: WiredSpace) -> bool:
        """Whether all there is to say of a namespace is said where its interfaces are plugged in."""
        ends = list(told(space))
        if space.translations or space.blind or space.kind == "host":
            return False
        return bool(ends) and all(map(self._is_plugged, ends))

    def _is_plugged(self, end: WireEnd) -> bool:
        """Whether an interface is shown where it is plugged in - at the port of a bridge, on what it stands
        on, at the end of a cable to a namespace that has more than this one -, and nothing hangs on it.
        """
        if self._wiring.above(end) or self._wiring.joined(end, "tunnel") or end in self._groups:
            return False
        ends = [wire.far for wire in self._wiring.touching(end)]
        return any(map(partial(self._shows, end.namespace), ends))

    def _shows(self, name: str, other: WireEnd) -> bool:
        """Whether an interface of the namespace `name` is shown at its `other` end: in a namespace that has
        more, or at a port.
        """
        if other.namespace == name:
            return False
        return bool(self._wiring.beneath(other)) or self._weight(other.namespace) > self._weight(name)

    def _weight(self, name: str) -> int:
        """How much there is to tell of a namespace."""
        space = self._wiring.space(name)
        return len(list(told(space))) + (space.kind == "host") if space is not None else 0

    def _space(self, space: WiredSpace) -> _Twig:
        head = ((space.name, BOLD), *((each, DIM) for each in space_notes(space)))
        roots = sorted(filter(self._is_root, told(space)), key=self._order)
        below = tuple(chain(map(self._interface, roots), _rules(space)))
        return _Twig(head if below else (*head, ("no interface besides lo", DIM)), below)

    def _is_root(self, end: WireEnd) -> bool:
        """Whether an interface hangs below no other one of its namespace."""
        return not any(map(_is_local, self._wiring.beneath(end)))

    def _order(self, end: WireEnd) -> tuple[bool, bool, list[tuple[int, str]]]:
        """Bridges and what else has something below it come first, the way out last."""
        interface = self._wiring.at(end)
        leads_out = interface is not None and bool(interface.gateways)
        return leads_out, not self._wiring.above(end), natural(end.interface)

    def _interface(self, end: WireEnd, seen: frozenset[WireEnd] = frozenset()) -> _Twig:
        """An interface, where its cable leads, and what hangs below it; `seen` are those above it."""
        interface = self._wiring.at(end) or WiredInterface(end.interface)
        parts = (*self._named(end, titled(interface)), *self._facts(end, interface))
        hanging = sorted(filter(self._hangs, self._wiring.above(end)), key=_of_near)
        below = [self._hanging(end, wire.near, seen | {end}) for wire in hanging if wire.near not in seen]
        return _Twig(parts, (*below, *map(self._group, self._groups.get(end, ()))))

    def _hangs(self, wire: Wire) -> bool:
        """Whether an interface is shown here; one that is a port as well hangs below its bridge."""
        return wire.kind != "on" or not self._is_beside(wire)

    def _hanging(self, end: WireEnd, other: WireEnd, seen: frozenset[WireEnd]) -> _Twig:
        """What is plugged into an interface or stands on it; of another namespace its name comes first."""
        if other.namespace == end.namespace:
            return self._interface(other, seen)
        return _Twig((*self._named(other, joined_end(other)), *self._station(other)))

    def _named(self, end: WireEnd, name: str, lead: str = "") -> Iterator[Part]:
        """The name of an interface, behind its number on the path, and `lead` before both."""
        colour = RED if end == self._stop else GREEN
        if end in self._step:
            yield f"{lead}[{self._step[end]}]", colour
            lead = ""
        yield f"{lead}{name}", CYAN
        if end == self._stop:
            yield "stops here", RED

    def _facts(self, end: WireEnd, interface: WiredInterface) -> Iterator[Part]:
        far = self._wiring.joined(end, "cable")
        yield kind_of(interface, plugged=bool(far)), ""
        yield from _common(interface)
        lonely = interface.kind == "bridge" and not self._wiring.above(end) and end not in self._groups
        yield "no port" * lonely, DIM
        yield from map(self._on, self._wiring.beneath(end))
        yield from ((f"tunnel to {joined_end(other)}", "") for other in self._wiring.joined(end, "tunnel"))
        for other in far:
            yield from self._named(other, joined_end(other), self._pen.glyph("── ", "-- "))
            yield from self._station(other)
        yield interface.unseen or "", DIM

    def _on(self, wire: Wire) -> Part:
        """What an interface stands on, where that is not what it hangs below."""
        if wire.kind != "on":
            return "", ""
        if not _is_local(wire):
            return f"on {joined_end(wire.far)}", ""
        return f"over {wire.far.interface}" * self._is_beside(wire), ""

    def _is_beside(self, wire: Wire) -> bool:
        """Whether an interface hangs below its bridge, and not below what it stands on."""
        return _is_local(wire) and len(self._wiring.beneath(wire.near)) > 1

    def _station(self, end: WireEnd) -> Iterator[Part]:
        """What is said of the far end of a cable: of a station all there is, of another namespace what tells
        the ends apart.
        """
        interface, space = self._wiring.at(end), self._wiring.space(end.namespace)
        if interface is None or space is None:
            return
        yield kind_of(interface, plugged=True), ""
        if space.name not in self._stations:
            yield from ((each, LEAF) for each in addresses(interface))
            return
        gateways = tuple(each for each in interface.gateways if each.namespace is None)
        yield from _common(replace(interface, gateways=gateways))
        yield from ((each, DIM) for each in space_notes(space))


def _placed(group: SpaceGroup) -> Iterator[tuple[WireEnd, SpaceGroup]]:
    return ((end, group) for end in group.at)


def _place(space: WiredSpace) -> tuple[bool, list[tuple[int, str]]]:
    """The machine's own namespace first, the others as people count."""
    return space.kind != "host", natural(space.name)


def _rules(space: WiredSpace) -> Iterator[_Twig]:
    """The rules that translate."""
    rules = [_Twig(((translated(each), ""), (each.rule, DIM))) for each in space.translations]
    if rules:
        yield _Twig((("NAT", BOLD),), tuple(rules))


def _common(interface: WiredInterface) -> Iterator[Part]:
    """What is said of an interface wherever it stands."""
    yield state_of(interface), RED
    yield from ((each, LEAF) for each in addresses(interface))
    yield way_out(interface.gateways), ""
    yield f'"{interface.alias}"' * bool(interface.alias), DIM


def _is_local(wire: Wire) -> bool:
    return wire.near.namespace == wire.far.namespace


def _of_near(wire: Wire) -> list[tuple[int, str]]:
    return natural(wire.near.interface)


def _drawn(twig: _Twig, pen: Pen) -> list[str]:
    """The lines of a twig and of all below it."""
    return [*_flowed(twig, pen, "", ""), *_below(twig, pen, "")]


def _below(twig: _Twig, pen: Pen, indent: str) -> Iterator[str]:
    """The lines of what hangs below a twig; on a narrow terminal a level takes one column."""
    step = 1 if (pen.width or WIDEST) < _DENSE else 3
    for each in twig.below:
        last = each is twig.below[-1]
        branch = _BRANCH[pen.terminal.ascii, last][:step]
        onward = _ONWARD[pen.terminal.ascii, last][:step]
        yield from _flowed(each, pen, indent + branch, indent + onward)
        yield from _below(each, pen, indent + onward)


def _flowed(twig: _Twig, pen: Pen, first: str, later: str) -> Sequence[str]:
    """The parts of a twig side by side as far as there is room, behind the lines of the tree."""
    hanging = pen.glyph("│", "|") if twig.below else " " * bool(later)
    width = pen.width and pen.width - len(later) - 1
    inner = Pen(replace(pen.terminal, width=width))
    rows = inner.flowed(list(filter(_says, twig.parts)), _GAP, "  " * ((width or WIDEST) > _ROOMY))
    return behind(first, later + hanging, rows)


def _says(part: Part) -> bool:
    return bool(part[0])
