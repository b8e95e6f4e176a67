"""Where everything of a map stands in a picture: own, simple, and the same for the same wiring.

Rules of this file. The namespace that most cables lead to (the host, where it is there) is the root; the
others stand in columns to its left and right, one further out for each cable between: what the root's default
route leads to, and whatever routes, to the right; stations to the left. Inside a namespace there are up to
four columns as well: ports, bridges and what carries addresses, translation, the way out. Order and height
come from what is plugged in: a port stands beside its station, a bridge in the middle of its ports.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, filterfalse, repeat
from operator import attrgetter
from statistics import fmean

from msgspec import Struct, field

from netprobe.model.lookup import gathered, grouped

from .wiring_blocks import Cluster, Edge, Node
from .wiring_words import natural

LINE, PAD, ADVANCE = 16, 7, 7.25  # pixels: a line of text, around it, a column
TITLE, FRAME = 24, 12  # of a namespace: its title, around its nodes
NODE_GAP, BLOCK_GAP, RANK_GAP, COLUMN_GAP = 10, 14, 44, 84
OUTER, MIDDLE, RULES, INNER = 0, 1, 2, 3  # the columns of a namespace, from left to right
_FIXED = {"bridge": MIDDLE, "rule": RULES}  # what stands there wherever its cables lead


class Rect(Struct):
    """A rectangle in pixels."""

    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height


class Layout(Struct):
    """The places of blocks and nodes by their keys, and the size of it all."""

    blocks: dict[str, Rect] = field(default_factory=dict)
    nodes: dict[str, Rect] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def laid_out(blocks: Sequence[Cluster], edges: Sequence[Edge]) -> Layout:
    """The places of all, part by part: what nothing joins stands below each other."""
    made = Layout()
    alone: list[Cluster] = []
    for part in _parts(blocks, edges):
        if len(part) == 1 and len(part[0].nodes) <= 1:
            alone += part
            continue
        _Part(part, edges, made).place()
        made.height += BLOCK_GAP * 2
    _in_rows(alone, made)
    return made


def _in_rows(alone: Sequence[Cluster], made: Layout) -> None:
    """What is connected to nothing, side by side below the rest."""
    wide = max(made.width, 640.0)
    x, y, tallest = 0.0, made.height, 0.0
    for block in alone:
        width, height = _least_width(block), TITLE + sum(map(_height, block.nodes)) + FRAME
        if x and x + width > wide:
            x, y, tallest = 0.0, y + tallest + BLOCK_GAP, 0.0
        made.blocks[block.key] = Rect(x, y, width, height)
        for node in block.nodes:
            made.nodes[node.key] = Rect(x + FRAME, y + TITLE, _width(node), _height(node))
        x, tallest = x + width + BLOCK_GAP, max(tallest, height)
        made.width = max(made.width, x - BLOCK_GAP)
    made.height = y + tallest


def _width(node: Node) -> float:
    return node.columns * ADVANCE + 2 * PAD


def _height(node: Node) -> float:
    return len(node.lines) * LINE + 2 * PAD - 4


def _least_width(block: Cluster) -> float:
    inner = max(map(_width, block.nodes), default=0.0)
    return max(inner, block.columns * ADVANCE) + 2 * FRAME


def _parts(blocks: Sequence[Cluster], edges: Sequence[Edge]) -> list[list[Cluster]]:
    """The blocks that are joined with each other, the largest part first."""
    beside = _beside(blocks, _among(edges, _homes(blocks)))
    left = {block.key: block for block in blocks}
    parts: list[list[Cluster]] = []
    while left:
        waiting = deque([next(iter(left))])
        parts.append([])
        while waiting:
            block = left.pop(waiting.popleft(), None)
            if block is not None:
                parts[-1].append(block)
                waiting += beside[block.key]
    return sorted(parts, key=lambda part: (-len(part), natural(part[0].key)))


def _homes(blocks: Iterable[Cluster]) -> dict[str, str]:
    """The block of each node."""
    return {node.key: block.key for block in blocks for node in block.nodes}


def _among(edges: Iterable[Edge], nodes: Collection[str]) -> list[Edge]:
    """The edges between these nodes."""
    return [edge for edge in edges if edge.near in nodes and edge.far in nodes]


def _both_ways(edge: Edge) -> tuple[tuple[str, str], tuple[str, str]]:
    return (edge.near, edge.far), (edge.far, edge.near)


def _beside(blocks: Iterable[Cluster], edges: Iterable[Edge]) -> dict[str, list[str]]:
    """The blocks next to each block, in order."""
    blocks = list(blocks)
    home = _homes(blocks)
    found: dict[str, dict[str, None]] = {block.key: {} for block in blocks}
    for near, far in chain.from_iterable(map(_both_ways, edges)):
        found[home[near]][home[far]] = None
    return {key: [other for other in others if other != key] for key, others in found.items()}


class _Part:
    """One part of the picture, placed below what is there."""

    def __init__(self, blocks: Sequence[Cluster], edges: Sequence[Edge], made: Layout) -> None:
        self.made, self.top = made, made.height
        self.blocks = {block.key: block for block in blocks}
        self.home = _homes(blocks)
        self.edges = _among(edges, self.home)
        self.beside = _beside(blocks, self.edges)
        pairs = list(chain.from_iterable(map(_both_ways, self.edges)))
        self.touching = gathered(pairs)
        self.root = min(blocks, key=self._rootedness).key
        self.column = self._columns()
        self.leading = gathered((self._direction(pair), pair) for pair in pairs)
        nodes = list(chain.from_iterable(map(attrgetter("nodes"), blocks)))
        self.order = {node.key: at for at, node in enumerate(nodes)}
        self.rank = {node.key: self._rank(node) for node in nodes}

    def _rootedness(self, block: Cluster) -> tuple[bool, bool, int, list[tuple[int, str]]]:
        """The root is what has the least of this."""
        return block.outside, not block.home, -len(self.beside[block.key]), natural(block.key)

    def place(self) -> None:
        """Give each block and node its place."""
        self._stacked(1)
        wishes = self._stacked(-1)
        self._place_block(self.blocks[self.root], wishes, self.top)
        self._level(-1)
        self._level(1)
        self._set_across()
        self.made.height = max(self.made.blocks[key].bottom for key in self.blocks)

    # columns

    def _columns(self) -> dict[str, int]:
        """Each block's column: 0 for the root's, one further out with each step from it."""
        column = {self.root: 0}
        waiting = deque([self.root])
        while waiting:
            key = waiting.popleft()
            for other in filterfalse(column.__contains__, self.beside[key]):
                side = self._side(other) if key == self.root else _sign(column[key])
                column[other] = column[key] + side
                waiting.append(other)
        return column

    def _direction(self, pair: tuple[str, str]) -> tuple[str, int]:
        """From which block an edge leads into which column."""
        near, far = map(self.home.__getitem__, pair)
        return near, self.column[far]

    def _side(self, key: str) -> int:
        """1 for what stands right of the root: what it routes to, and what routes itself; else -1."""
        block = self.blocks[key]
        if block.outside or key in self.blocks[self.root].upstream:
            return 1
        routes_there = self.root in block.upstream
        return 1 if len(self.beside[key]) > 1 and not routes_there else -1

    def _rank(self, node: Node) -> int:
        """In which column of its namespace a node stands, from the left."""
        if node.kind in _FIXED:
            return _FIXED[node.kind]
        homes = map(self.home.__getitem__, self.touching.get(node.key, ()))
        sides = {_sign(self.column[home] - self.column[self.home[node.key]]) for home in homes}
        if 1 in sides:
            return INNER
        return OUTER if -1 in sides else {"port": OUTER, "uplink": INNER}.get(node.kind, MIDDLE)

    # heights

    def _stacked(self, side: int) -> dict[str, float]:
        """Place the blocks of one side, from the outermost column inwards; the wishes that follow for what
        they are plugged into. They are levelled when that has its place.
        """
        wishes: dict[str, float] = {}
        for column in self._sequence(side):
            top = self.top
            for key in column:
                self._place_block(self.blocks[key], wishes, top)
                top = self.made.blocks[key].bottom + BLOCK_GAP
            wishes = self._wishes(column, side)
        return wishes

    def _sequence(self, side: int) -> list[list[str]]:
        """The columns of one side, the outermost first, each from top to bottom as what it is plugged into
        stands.
        """
        rank = {self.root: 0}
        columns = gathered((column * side, key) for key, column in self.column.items())
        found: list[list[str]] = []
        for distance in range(1, max(columns) + 1):
            here = sorted(columns[distance], key=lambda key: (self._attached(key, rank), natural(key)))
            rank |= {key: at for at, key in enumerate(here)}
            found.insert(0, here)
        return found

    def _attached(self, key: str, rank: Mapping[str, int]) -> tuple[int, int]:
        """The first place that a block is plugged into: of the block, and within it."""
        nodes = map(attrgetter("key"), self.blocks[key].nodes)
        ends = chain.from_iterable(map(self.touching.get, nodes, repeat(())))
        inner = (end for end in ends or () if self.home[end] in rank and self.home[end] != key)
        return min(((rank[self.home[end]], self.order[end]) for end in inner), default=(0, 0))

    def _wishes(self, blocks: Iterable[str], side: int) -> dict[str, float]:
        """Where the nodes one column further in would like to stand: beside what is plugged into them."""
        pairs = chain.from_iterable(self._inward(key, side) for key in blocks)
        heights = gathered((inner, self.made.nodes[outer].middle) for outer, inner in pairs)
        return {key: fmean(those) for key, those in heights.items()}

    def _inward(self, key: str, side: int) -> tuple[tuple[str, str], ...]:
        """The edges from a block to what stands one column further in, as their two nodes."""
        return self.leading.get((key, self.column[key] - side), ())

    def _place_block(self, block: Cluster, wishes: Mapping[str, float], top: float) -> None:
        """Set the heights of a block's nodes, and the block around them."""
        stack = _Stack(self.made, self.rank, top + TITLE)
        facing_out = INNER if self.column[block.key] > 0 else OUTER
        outer = [n for n in block.nodes if n.key in wishes and self.rank[n.key] == facing_out]
        stack.fill(sorted(outer, key=lambda node: wishes[node.key]), wishes)
        for rank in (OUTER, MIDDLE, RULES, INNER):
            level = [
                node for node in block.nodes if self.rank[node.key] == rank and node.key not in stack.placed
            ]
            means = self._means(level, stack.placed)
            last = max(means.values(), default=0.0)
            by_height = level if rank == INNER else sorted(level, key=lambda node: means.get(node.key, last))
            stack.fill(by_height, means)
        rects = list(map(self.made.nodes.__getitem__, stack.placed)) or [Rect(0, top + TITLE)]
        highest = min(rect.y for rect in rects) - TITLE
        lowest = max(rect.bottom for rect in rects) + FRAME
        self.made.blocks[block.key] = Rect(0.0, highest, 0.0, lowest - highest)

    def _means(self, nodes: Iterable[Node], placed: Mapping[str, float]) -> dict[str, float]:
        """Of each node the middle of what it is joined to in its own namespace, as far as that is placed."""
        found = {}
        for node in nodes:
            there = list(filter(placed.__contains__, self.touching.get(node.key, ())))
            if there:
                found[node.key] = fmean(map(placed.__getitem__, there))
        return found

    def _level(self, side: int) -> None:
        """Move the blocks of one side, from the root outwards, so that their cables are level with what they
        are plugged into, as far as there is room.
        """
        for column in reversed(self._sequence(side)):
            top = self.top
            for key in column:
                self._move(key, max(self._slope(key), top - self.made.blocks[key].y))
                top = self.made.blocks[key].bottom + BLOCK_GAP

    def _slope(self, key: str) -> float:
        """How much higher a block stands than what it is plugged into, one column further in."""
        nodes, pairs = self.made.nodes, self._inward(key, _sign(self.column[key]))
        slopes = [nodes[inner].middle - nodes[outer].middle for outer, inner in pairs]
        return fmean(slopes) if slopes else 0.0

    def _move(self, key: str, by: float) -> None:
        """Move a block with all that is in it."""
        self.made.blocks[key].y += by
        for node in self.blocks[key].nodes:
            self.made.nodes[node.key].y += by

    # widths

    def _set_across(self) -> None:
        """Set where blocks and their columns begin; those on the left side end where their column does."""
        x = 0.0
        for column, keys in sorted(gathered((at, key) for key, at in self.column.items()).items()):
            widths = {key: self._block_width(self.blocks[key]) for key in keys}
            widest = max(widths.values())
            for key, width in widths.items():
                self._set_block(self.blocks[key], x + (widest - width) * (column < 0), width)
            x += widest + COLUMN_GAP
        self.made.width = max(self.made.width, x - COLUMN_GAP)

    def _levels(self, block: Cluster) -> dict[int, tuple[Node, ...]]:
        """The nodes of a block by their columns, from left to right."""
        return dict(sorted(grouped(block.nodes, lambda node: self.rank[node.key]).items()))

    def _block_width(self, block: Cluster) -> float:
        return max(_across(self._levels(block).values()), block.columns * ADVANCE) + 2 * FRAME

    def _set_block(self, block: Cluster, x: float, width: float) -> None:
        place = self.made.blocks[block.key]
        place.x, place.width = x, width
        levels = self._levels(block).values()
        at = x + (width - _across(levels)) / 2
        for nodes in levels:
            wide = max(map(_width, nodes))
            for node in nodes:
                rect = self.made.nodes[node.key]
                rect.x = at + (wide - rect.width) / 2
            at += wide + RANK_GAP


class _Stack:
    """The columns of one namespace while its nodes are set below each other."""

    def __init__(self, made: Layout, rank: Mapping[str, int], start: float) -> None:
        self.placed: dict[str, float] = {}  # the middle of each node
        self._made, self._rank = made, rank
        self._next = defaultdict[int, float](lambda: start)  # where each column goes on

    def fill(self, nodes: Iterable[Node], wishes: Mapping[str, float]) -> None:
        """Set nodes into their columns, each where it wishes to stand if there is room."""
        for node in nodes:
            rank, height = self._rank[node.key], _height(node)
            y = max(self._next[rank], wishes.get(node.key, 0.0) - height / 2)
            self._made.nodes[node.key] = Rect(0.0, y, _width(node), height)
            self.placed[node.key] = y + height / 2
            self._next[rank] = y + height + NODE_GAP


def _across(levels: Collection[Sequence[Node]]) -> float:
    """How wide the columns of a namespace are together."""
    gaps = RANK_GAP * max(0, len(levels) - 1)
    return sum(max(map(_width, nodes)) for nodes in levels) + gaps


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
