"""Where everything of a map stands in a picture: own, simple, and the same for the same wiring.

Rules of this file. The namespace that most cables lead to (the host, where it is there) is the root; the
others stand in columns to its left and right, one further out for each cable between: what the root's default
route leads to, and whatever routes, to the right; stations to the left. Inside a namespace there are up to
four columns as well: ports, bridges and what carries addresses, translation, the way out. Order and height
come from what is plugged in: a port stands beside its station, a bridge in the middle of its ports.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from .wiring_blocks import Cluster, Edge, Node
from .wiring_words import natural

LINE, PAD, ADVANCE = 16, 7, 7.25  # pixels: a line of text, around it, a column
TITLE, FRAME = 24, 12  # of a namespace: its title, around its nodes
NODE_GAP, BLOCK_GAP, RANK_GAP, COLUMN_GAP = 10, 14, 44, 84
OUTER, MIDDLE, RULES, INNER = (
    0,
    1,
    2,
    3,
)  # the columns of a namespace; of one on the right the other way round


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
    beside = _beside(blocks, edges)
    left = {block.key: block for block in blocks}
    parts = []
    while left:
        waiting, part = [next(iter(left))], []
        while waiting:
            block = left.pop(waiting.pop(), None)
            if block is not None:
                part.append(block)
                waiting += beside[block.key]
        parts.append(part)
    return sorted(parts, key=lambda part: (-len(part), natural(part[0].key)))


def _beside(blocks: Sequence[Cluster], edges: Sequence[Edge]) -> dict[str, list[str]]:
    """The blocks next to each block, in order."""
    home = {node.key: block.key for block in blocks for node in block.nodes}
    found: dict[str, dict[str, None]] = {block.key: {} for block in blocks}
    for edge in edges:
        near, far = home.get(edge.near), home.get(edge.far)
        if near is not None and far is not None and near != far:
            found[near][far] = found[far][near] = None
    return {key: list(others) for key, others in found.items()}


class _Part:
    """One part of the picture, placed below what is there."""

    def __init__(self, blocks: Sequence[Cluster], edges: Sequence[Edge], made: Layout) -> None:
        self.blocks = {block.key: block for block in blocks}
        self.home = {node.key: block.key for block in blocks for node in block.nodes}
        self.edges = [edge for edge in edges if edge.near in self.home and edge.far in self.home]
        self.beside = _beside(blocks, self.edges)
        self.made = made
        self.touching: dict[str, list[str]] = {}
        for edge in self.edges:
            self.touching.setdefault(edge.near, []).append(edge.far)
            self.touching.setdefault(edge.far, []).append(edge.near)
        self.root = min(blocks, key=self._rootedness).key
        self.column = self._columns()

    def _rootedness(self, block: Cluster) -> tuple[bool, bool, int, list[tuple[int, str]]]:
        """The root is what has the least of this."""
        return block.outside, not block.home, -len(self.beside[block.key]), natural(block.key)

    def place(self) -> None:
        """Give each block and node its place."""
        self.order = {n.key: at for b in self.blocks.values() for at, n in enumerate(b.nodes)}
        ranks = {key: self._rank(key) for key in self.home}
        left = self._stacked(-1, ranks)
        right = self._stacked(1, ranks)
        root = self.blocks[self.root]
        wishes = {key: y for key, y in left.items() if self.home[key] == self.root}
        self._place_block(root, ranks, wishes, self.made.height)
        self._move_right_side(right)
        self._set_across(ranks)
        self._finish()

    # columns

    def _columns(self) -> dict[str, int]:
        """Each block's column: 0 for the root's, one further out with each step from it."""
        column = {self.root: 0}
        waiting = deque([self.root])
        while waiting:
            key = waiting.popleft()
            for other in self.beside[key]:
                if other not in column:
                    side = self._side(other) if key == self.root else (1 if column[key] > 0 else -1)
                    column[other] = column[key] + side
                    waiting.append(other)
        return column

    def _side(self, key: str) -> int:
        """1 for what stands right of the root: what it routes to, and what routes itself."""
        block = self.blocks[key]
        if block.outside or key in self.blocks[self.root].upstream:
            return 1
        routes_there = self.root in block.upstream
        return 1 if len(self.beside[key]) > 1 and not routes_there else -1

    def _rank(self, key: str) -> int:
        """In which column of its namespace a node stands, from the left."""
        home = self.home[key]
        node = next(each for each in self.blocks[home].nodes if each.key == key)
        here = self.column[home]
        sides = {self.column[self.home[other]] - here for other in self.touching.get(key, ())}
        if node.kind == "rule":
            return RULES
        if any(side > 0 for side in sides):
            return INNER
        if any(side < 0 for side in sides):
            return OUTER
        return {"port": OUTER, "uplink": INNER}.get(node.kind, MIDDLE)

    # heights

    def _stacked(self, side: int, ranks: Mapping[str, int]) -> dict[str, float]:
        """Place the blocks of one side, from the outermost column inwards; the wishes that follow for what
        they are plugged into. Of the right side all is moved later, when the root has its place.
        """
        columns = sorted({c for c in self.column.values() if c * side > 0}, key=lambda c: -abs(c))
        sequence = self._sequence(side)
        wishes: dict[str, float] = {}
        for column in columns:
            top = self.made.height
            for key in sequence:
                if self.column[key] == column:
                    self._place_block(self.blocks[key], ranks, wishes, top)
                    top = self.made.blocks[key].bottom + BLOCK_GAP
            wishes = self._wishes(column, side)
        return wishes

    def _sequence(self, side: int) -> list[str]:
        """The blocks of one side from top to bottom, as what they are plugged into stands, from the root
        outwards.
        """
        rank = {self.root: 0.0}
        found = []
        for distance in range(1, max(map(abs, self.column.values())) + 1):
            here = [key for key, column in self.column.items() if column == side * distance]
            here.sort(key=lambda key: (self._attached(key, rank), natural(key)))
            rank |= {key: float(at) for at, key in enumerate(here)}
            found += here
        return found

    def _attached(self, key: str, rank: Mapping[str, float]) -> tuple[float, float]:
        """The first place that a block is plugged into: of the block, and within it."""
        inner = abs(self.column[key]) - 1
        places = [
            (rank[self.home[other]], float(self.order[other]))
            for node in self.blocks[key].nodes
            for other in self.touching.get(node.key, ())
            if abs(self.column[self.home[other]]) == inner and self.home[other] in rank
        ]
        return min(places, default=(0.0, 0.0))

    def _wishes(self, column: int, side: int) -> dict[str, float]:
        """Where the nodes one column further in would like to stand: beside what is plugged into them."""
        wishes: dict[str, list[float]] = {}
        for edge in self.edges:
            for one, other in ((edge.near, edge.far), (edge.far, edge.near)):
                if self.column[self.home[one]] == column and self.column[self.home[other]] == column - side:
                    wishes.setdefault(other, []).append(self.made.nodes[one].middle)
        return {key: sum(those) / len(those) for key, those in wishes.items()}

    def _place_block(
        self, block: Cluster, ranks: Mapping[str, int], wishes: Mapping[str, float], top: float
    ) -> None:
        """Set the heights of a block's nodes, and the block around them."""
        start = top + TITLE
        outer = [node for node in block.nodes if node.key in wishes]
        outer.sort(key=lambda node: wishes[node.key])
        placed: dict[str, float] = {}
        cursors: dict[int, float] = {}
        self._fill(outer, ranks, placed, cursors, dict(wishes), start)
        rest = [node for node in block.nodes if node.key not in placed]
        for rank in (
            (OUTER, INNER, MIDDLE, RULES) if block.key != self.root else (OUTER, MIDDLE, RULES, INNER)
        ):
            level = [node for node in rest if ranks[node.key] == rank]
            means = {node.key: self._mean(node, placed) for node in level}
            known = {key: y for key, y in means.items() if y is not None}
            if known:
                level.sort(key=lambda node: known.get(node.key, max(known.values())))
            self._fill(level, ranks, placed, cursors, known, start)
        height = max((self.made.nodes[n.key].bottom for n in block.nodes), default=start) - top + FRAME
        highest = min((self.made.nodes[n.key].y for n in block.nodes), default=start) - TITLE
        self.made.blocks[block.key] = Rect(0.0, highest, 0.0, height + top - highest)

    def _fill(
        self,
        nodes: Iterable[Node],
        ranks: Mapping[str, int],
        placed: dict[str, float],
        cursors: dict[int, float],
        wishes: Mapping[str, float],
        start: float,
    ) -> None:
        """Stack nodes in their columns, each where it wishes to stand if there is room."""
        for node in nodes:
            rank, height = ranks[node.key], _height(node)
            y = cursors.get(rank, start)
            if node.key in wishes:
                y = max(y, wishes[node.key] - height / 2)
            self.made.nodes[node.key] = Rect(0.0, y, _width(node), height)
            placed[node.key] = y + height / 2
            cursors[rank] = y + height + NODE_GAP

    def _mean(self, node: Node, placed: Mapping[str, float]) -> float | None:
        """The middle of what a node is joined to in its own namespace."""
        there = [placed[other] for other in self.touching.get(node.key, ()) if other in placed]
        return sum(there) / len(there) if there else None

    def _move_right_side(self, wishes: Mapping[str, float]) -> None:
        """Move the right side so that its cables are level with the root's, as far as there is room."""
        moved = [key for key, column in self.column.items() if column > 0]
        pairs = [(self.made.nodes[key].middle, y) for key, y in wishes.items() if self.home[key] == self.root]
        if not moved or not pairs:
            return
        by = sum(own - y for own, y in pairs) / len(pairs)
        highest = min(self.made.blocks[key].y for key in moved)
        by = max(by, self.made.height - highest)
        for key in moved:
            self.made.blocks[key].y += by
            for node in self.blocks[key].nodes:
                self.made.nodes[node.key].y += by

    # widths

    def _set_across(self, ranks: Mapping[str, int]) -> None:
        """Set where blocks and their columns begin; those on the left side end where their column does."""
        widths = {key: self._block_width(block, ranks) for key, block in self.blocks.items()}
        x = 0.0
        for column in sorted(set(self.column.values())):
            here = [key for key, place in self.column.items() if place == column]
            wide = max(widths[key] for key in here)
            for key in here:
                shift = wide - widths[key] if column < 0 else 0.0
                self._set_block(self.blocks[key], ranks, x + shift, widths[key])
            x += wide + COLUMN_GAP
        self.made.width = max(self.made.width, x - COLUMN_GAP)

    def _rank_widths(self, block: Cluster, ranks: Mapping[str, int]) -> dict[int, float]:
        found: dict[int, float] = {}
        for node in block.nodes:
            rank = ranks[node.key]
            found[rank] = max(found.get(rank, 0.0), _width(node))
        return dict(sorted(found.items()))

    def _block_width(self, block: Cluster, ranks: Mapping[str, int]) -> float:
        levels = self._rank_widths(block, ranks)
        inner = sum(levels.values()) + RANK_GAP * max(0, len(levels) - 1)
        return max(inner, block.columns * ADVANCE) + 2 * FRAME

    def _set_block(self, block: Cluster, ranks: Mapping[str, int], x: float, width: float) -> None:
        place = self.made.blocks[block.key]
        place.x, place.width = x, width
        levels = self._rank_widths(block, ranks)
        inner = sum(levels.values()) + RANK_GAP * max(0, len(levels) - 1)
        at = x + FRAME + (width - 2 * FRAME - inner) / 2
        for rank, wide in levels.items():
            for node in block.nodes:
                if ranks[node.key] == rank:
                    rect = self.made.nodes[node.key]
                    rect.x = at + (wide - rect.width) / 2
            at += wide + RANK_GAP

    def _finish(self) -> None:
        """The height of all."""
        self.made.height = max(self.made.blocks[key].bottom for key in self.blocks)
