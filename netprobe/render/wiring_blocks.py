"""A map as what a picture is made of: blocks (namespaces), nodes in them (interfaces, translation), edges.

Pictures of all kinds draw the same: svg, dot and mermaid. The texts are not escaped yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, filterfalse, pairwise, starmap
from operator import attrgetter

from msgspec import Struct

from netprobe.model.lookup import grouped
from netprobe.model.wiring import (
    SpaceGroup,
    WiredInterface,
    WiredSpace,
    WiredTranslation,
    WireEnd,
    Wiring,
)

from .escape import safe
from .pen import columns
from .wiring_words import (
    addresses,
    is_told,
    kind_of,
    meant,
    more,
    natural,
    space_notes,
    state_of,
    titled,
    told,
    unread,
)

LONGEST = 44  # columns of a line in a picture; what is longer is whole in its tooltip
MOST_ADDRESSES, MOST_RULES = 3, 6
_BRIEF = 34  # columns of two lines that are made one


class Node(Struct, frozen=True):
    """A box: its lines, the first one its name, with what stands `beside` it. `kind` is port, uplink, rule,
    or the interface's own.
    """

    key: str
    kind: str
    lines: tuple[str, ...]
    tip: str = ""
    state: str = ""
    end: WireEnd | None = None
    beside: str = ""

    @property
    def columns(self) -> int:
        """How wide its lines are."""
        beside = 2 + columns(self.beside) if self.beside else 0
        return max(columns(self.lines[0]) + beside, *map(columns, self.lines))

    @property
    def whole_lines(self) -> tuple[str, ...]:
        """Its lines, with what stands beside the first one in that."""
        return (f"{self.lines[0]}  {self.beside}".rstrip(), *self.lines[1:])


class Cluster(Struct, frozen=True):
    """A namespace with its nodes. `upstream` are the keys of the blocks that its default routes lead to;
    `home` is the machine's own namespace, `outside` what stands for a router that is no namespace here.
    """

    key: str
    title: str
    kind: str
    note: str = ""
    nodes: tuple[Node, ...] = ()
    upstream: tuple[str, ...] = ()
    home: bool = False
    outside: bool = False

    @property
    def columns(self) -> int:
        """How wide its title is."""
        return columns(self.title) + (2 + columns(self.note) if self.note else 0)


class Edge(Struct, frozen=True):
    """What joins two nodes: `kind` is that of the wire, or rule, gateway, more; of a path: path, beyond,
    stop.
    """

    near: str
    far: str
    kind: str


class Drawing(Struct, frozen=True):
    """All of a picture."""

    blocks: tuple[Cluster, ...]
    edges: tuple[Edge, ...]


def drawing(wiring: Wiring) -> Drawing:
    """What a picture of this map is made of."""
    maker = _Maker(wiring)
    groups = starmap(maker.group, enumerate(wiring.groups))
    seen = filterfalse(attrgetter("blind"), wiring.spaces)
    blocks = (*map(maker.block, seen), *groups, *maker.outside(), *_unread(wiring))
    return Drawing(blocks, tuple(maker.edges()))


def key_of(end: WireEnd) -> str:
    """The key of an interface's node."""
    return f"interface {end.namespace}/{end.interface}"


def cut_to(text: str, room: int = LONGEST) -> str:
    """The text, made safe, as far as it fits into so many columns."""
    text = safe(text)
    if columns(text) <= room:
        return text
    while columns(text) > room - 1:
        text = text[:-1]
    return f"{text}…"


class _Maker:
    """Makes the parts of one drawing."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        path = wiring.path
        self._stop = path.stop if path is not None else None
        self._mark = f"✗ {path.code or 'stops here'}" if path is not None else ""

    def block(self, space: WiredSpace) -> Cluster:
        """A namespace."""
        ends = sorted(told(space), key=self._place)
        nodes = (*map(self._node, ends), *_rules(space))
        notes = ", ".join(map(safe, space_notes(space)))
        return Cluster(
            _space_key(space.name),
            cut_to(space.name),
            space.kind,
            cut_to(notes),
            nodes,
            tuple(dict.fromkeys(_upstream(space))),
            home=space.kind == "host",
        )

    def _place(self, end: WireEnd) -> tuple[object, ...]:
        """The order of a namespace's nodes: bridge by bridge, each behind its ports; the way out last."""
        master = self._wiring.master(end)
        leads_out = bool(getattr(self._wiring.at(end), "gateways", ()))
        return leads_out, natural((master or end).interface), master is None, natural(end.interface)

    def _node(self, end: WireEnd) -> Node:
        interface = self._wiring.at(end) or WiredInterface(end.interface)
        is_port = self._wiring.master(end) is not None
        kind = "port" if is_port else interface.kind
        name, *lines = (cut_to(titled(interface)), *map(cut_to, filter(None, _details(interface))))
        is_brief = len(lines) == 1 and columns(name + lines[0]) <= _BRIEF
        beside = lines.pop() if is_brief else ""
        if end == self._stop:
            lines.append(cut_to(self._mark))
        state = "down" * bool(state_of(interface))
        kind = "uplink" if interface.is_uplink else kind
        return Node(key_of(end), kind, (name, *lines), _tip(interface), state, end, beside)

    def group(self, number: int, group: SpaceGroup) -> Cluster:
        """Namespaces that are shown as one."""
        said = cut_to(more(group, self._wiring).partition(" (")[0])
        node = Node(f"more {number}", "more", (cut_to(f"{group.first} … {group.last}"),))
        return Cluster(f"group {number}", said, "more", nodes=(node,))

    def outside(self) -> Iterator[Cluster]:
        """The routers that default routes lead to and that are no namespaces here."""
        hops = {_hop(end, via): via for end, via in self._ways_out()}
        for key, via in hops.items():
            node = Node(key, "outside", (safe(via),))
            yield Cluster(f"gateway {key}", "", "outside", nodes=(node,), outside=True)

    def _ways_out(self) -> Iterator[tuple[WireEnd, str]]:
        """The interfaces whose default routes lead to no namespace here, and the next hops."""
        for end, each in chain.from_iterable(space.ends for space in self._wiring.spaces):
            for hop in each.gateways:
                if hop.namespace is None and hop.via is not None:
                    yield end, hop.via

    def edges(self) -> Iterator[Edge]:
        """All that joins nodes, the path last: it lies over the rest."""
        for wire in self._wiring.wires:
            yield Edge(key_of(wire.near), key_of(wire.far), wire.kind)
        for end, via in self._ways_out():
            yield Edge(key_of(end), _hop(end, via), "gateway")
        for number, group in enumerate(self._wiring.groups):
            yield from (Edge(f"more {number}", key_of(end), "more") for end in group.at)
        yield from chain.from_iterable(map(_of_rules, self._wiring.spaces))
        yield from self._of_path()

    def _of_path(self) -> Iterator[Edge]:
        path = self._wiring.path
        if path is None:
            return
        onward = (*path.ends[-1:], *path.beyond)
        for kind, ends in (("path", path.ends), ("beyond", onward)):
            known = map(key_of, filter(self._is_there, ends))
            yield from (Edge(one, other, kind) for one, other in pairwise(known))

    def _is_there(self, end: WireEnd) -> bool:
        interface = self._wiring.at(end)
        return interface is not None and is_told(interface)


def _upstream(space: WiredSpace) -> Iterator[str]:
    """The namespaces that the default routes of one lead to."""
    for hop in chain.from_iterable(map(attrgetter("gateways"), space.interfaces)):
        if hop.namespace is not None:
            yield _space_key(hop.namespace)


def _unread(wiring: Wiring) -> Iterator[Cluster]:
    """What could not be read, a box for each reason."""
    for why, whats in unread(wiring).items():
        listed = ", ".join(whats)
        node = Node(f"unread {why}", "blind", (cut_to(listed),), "\n".join(whats))
        yield Cluster(f"blind {why}", cut_to(f"not read: {why}"), "blind", nodes=(node,))


def _details(interface: WiredInterface) -> Iterator[str]:
    """What is said of an interface below its name; "" for what does not apply."""
    yield from kind_of(interface, plugged=True).split(", ")
    yield state_of(interface)
    yield interface.unseen or ""
    yield f'"{interface.alias}"' * bool(interface.alias)
    shown = addresses(interface)
    yield from shown[:MOST_ADDRESSES]
    left = len(shown) - MOST_ADDRESSES
    yield f"{left} more addresses" * (left > 0)


def _rules(space: WiredSpace) -> Iterator[Node]:
    """Translation as boxes: the rules of one kind that are about one way together."""
    for (kind, leaves), rules in _by_way(space).items():
        left = len(rules) - MOST_RULES
        lines = (kind, *(cut_to(meant(each)) for each in rules[:MOST_RULES]), f"{left} more" * (left > 0))
        tip = "\n".join(f"{each.kind} {meant(each)}: {each.rule}" for each in rules)
        yield Node(_rule_key(space, kind, leaves), "rule", tuple(filter(None, lines)), tip)


def _of_rules(space: WiredSpace) -> Iterator[Edge]:
    """From the interfaces whose packets are translated through the rules to where they go."""
    for (kind, leaves), rules in _by_way(space).items():
        here = _rule_key(space, kind, leaves)
        for name in dict.fromkeys(chain.from_iterable(map(attrgetter("inside"), rules))):
            yield Edge(key_of(space.end(name)), here, "rule")
        for name in dict.fromkeys(chain.from_iterable(map(attrgetter("leaves"), rules))):
            yield Edge(here, key_of(space.end(name)), "rule")


def _hop(end: WireEnd, via: str) -> str:
    return f"hop {end.namespace} {via}"


def _space_key(name: str) -> str:
    return f"space {name}"


def _rule_key(space: WiredSpace, kind: str, leaves: str) -> str:
    return f"rule {space.name} {kind} {leaves}"


def _by_way(space: WiredSpace) -> dict[tuple[str, str], tuple[WiredTranslation, ...]]:
    """The rules of one kind that lead out of one interface, or take in by one, together."""
    return grouped(space.translations, _way)


def _way(rule: WiredTranslation) -> tuple[str, str]:
    return rule.kind, " ".join(rule.leaves if rule.of_source else rule.inside)


def _tip(interface: WiredInterface) -> str:
    """All that is known of an interface, for the one who points at it."""
    facts = (titled(interface), kind_of(interface), state_of(interface), *addresses(interface))
    return "\n".join(filter(None, (*facts, interface.alias)))
