"""The swim lanes: one lane a namespace, the cards of a way from left to right; where it is longer than the
picture is wide, it goes on in a further picture. Pure: where everything stands, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from .cards import OUTSIDE, Card

SIDE = 600  # a picture so wide has the names of its lanes beside the cards, a narrower one above them
_NAME, _MARGIN, _PAD = 108, 8, 11
_GAP, _BETWEEN = 28, 8  # between cards, and lanes
_NARROW_GAP = 22
_HEAD, _LINE, _FOOT = 25, 14, 10  # of a card: its title, one more line, below them
TINTS = 5
NAME_ABOVE = 24  # the height of a name that stands above the cards


class Band(Struct, frozen=True):
    """One lane of one picture; `tint` is its colour, the same wherever the namespace comes again."""

    name: str
    note: str
    tint: int
    y: int
    height: int


class PlacedCard(Struct, frozen=True):
    """A card and where it stands."""

    card: Card
    x: int
    y: int
    height: int

    @property
    def right(self) -> int:
        """Where it ends."""
        return self.x + round(self.card.width)

    @property
    def middle(self) -> int:
        """The height at which arrows come and go."""
        return self.y + self.height // 2


class Way(Struct, frozen=True):
    """One arrow: the path of its line and of its head; `look` is the class of where it leads."""

    line: str
    head: str
    look: str
    inside: str = ""


class Lanes(Struct, frozen=True):
    """One picture; all numbers are pixels."""

    width: int
    height: int
    bands: tuple[Band, ...]
    standing: tuple[PlacedCard, ...]
    ways: tuple[Way, ...]


def widest(width: int) -> int:
    """How wide a card may be in a picture of this width: two fit beside each other on a phone, five on a
    screen.
    """
    return 164 if width >= SIDE else (width - 2 * _MARGIN - _NARROW_GAP - 4) // 2


def lanes(
    made: Sequence[Card], width: int, source: str, destination: str, order: Sequence[str]
) -> list[Lanes]:
    """Where the cards stand in pictures of this width, one after the other; lanes come in this order."""
    notes = {destination: "destination", source: "source", OUTSIDE: "out of sight"}
    drawn: list[Lanes] = []
    systems = _systems(made, width)
    for n, system in enumerate(systems):
        bands = _bands(system, order, notes, width)
        standing = _stand(system, bands, width)
        before = systems[n - 1][-1][0] if n else None
        after = systems[n + 1][0][0] if n + 1 < len(systems) else None
        height = bands[-1].y + bands[-1].height + 2
        ways = (*_ways(standing, width, before, after),)
        drawn.append(Lanes(width, height, (*bands,), (*standing,), ways))
    return drawn


def _systems(made: Sequence[Card], width: int) -> list[list[tuple[Card, int]]]:
    """The cards of each picture with their left edges."""
    start, gap, margin = (
        (_NAME + _PAD, _GAP, 3 * _MARGIN) if width >= SIDE else (_MARGIN + 2, _NARROW_GAP, _MARGIN)
    )
    systems: list[list[tuple[Card, int]]] = [[]]
    x = start
    for card in made:
        if systems[-1] and x + card.width > width - margin:
            systems.append([])
            x = start
        systems[-1].append((card, x))
        x += round(card.width) + gap
    return [system for system in systems if system]


def _bands(
    system: Sequence[tuple[Card, int]], order: Sequence[str], notes: dict[str, str], width: int
) -> list[Band]:
    """The lanes that a picture needs, from top to bottom."""
    bands, y = [], 2
    above = 0 if width >= SIDE else NAME_ABOVE - 6
    used = {card.lane for card, _ in system}
    for tint, name in enumerate(order):
        if name in used:
            height = 2 * _PAD + above + max(_height(card) for card, _ in system if card.lane == name)
            bands.append(Band(name, notes.get(name, ""), tint % TINTS, y, height))
            y += height + _BETWEEN
    return bands


def _height(card: Card) -> int:
    above = bool(card.remark) + bool(card.under)
    return _HEAD + _LINE * (above + len(card.lines)) + _FOOT


def _stand(system: Sequence[tuple[Card, int]], bands: Sequence[Band], width: int) -> list[PlacedCard]:
    above = 0 if width >= SIDE else NAME_ABOVE - 6
    at = {band.name: band for band in bands}
    return [
        PlacedCard(card, x, at[card.lane].y + _PAD + above, at[card.lane].height - 2 * _PAD - above)
        for card, x in system
    ]


def _ways(
    standing: Sequence[PlacedCard], width: int, before: Card | None, after: Card | None
) -> Iterator[Way]:
    """The arrows between the cards; in from the picture before, and out to the next one."""
    first, last = standing[0], standing[-1]
    if before is not None:
        start = _NAME - 8 if width >= SIDE else 2
        yield _way(start, first.middle, first.x - 2, first.middle, before, first.card)
    for one, other in pairwise(standing):
        yield _way(one.right, one.middle, other.x - 2, other.middle, one.card, other.card)
    if after is not None:
        yield _way(last.right, last.middle, width - 2, last.middle, last.card, after)


def _way(x: int, y: int, to_x: int, to_y: int, one: Card, other: Card) -> Way:
    bend = f"C{(x + to_x) // 2} {y} {(x + to_x) // 2} {to_y} {to_x - 6} {to_y}"
    line = f"M{x} {y}H{to_x - 6}" if y == to_y else f"M{x} {y}{bend}"
    return Way(line, f"M{to_x} {to_y}l-8-4v8z", other.look, one.inside)
