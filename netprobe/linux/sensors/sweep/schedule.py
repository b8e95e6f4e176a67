"""In which order pairs are asked. The neighbour table is one for the whole kernel, so a wave holds only so
many pairs that the entries they make have room in it together; they are removed before the next wave.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isqrt

from netprobe.kernel.neighbours import Fullness
from netprobe.model.matrix import Pair

Wave = dict[int, list[int]]
"""Sources, and whom each of them asks."""

MARGIN = 64  # entries that others may make meanwhile
MOST = 400  # entries of one wave: the queue of a processor holds 1000 packets (netdev_max_backlog)
FLOODED = 400  # frames that broadcasts may put into that queue at once


def room(full: Fullness) -> int:
    """How many neighbour entries a wave may make in a table that is so full: below `soft` nothing that others
    have is thrown away. At least 2, which is one pair.
    """
    free = full.soft - full.entries - MARGIN
    return max(2, min(MOST, free if free > MARGIN else (full.hard - full.entries) // 2))


def blocks(count: int, room: int) -> Iterator[Wave]:
    """All ordered pairs of `count` members, both ways of a pair in one wave: some members with some others,
    which costs each of them few entries, and few system calls.
    """
    side = max(1, isqrt(room // 2))
    parts = [range(start, min(start + side, count)) for start in range(0, count, side)]
    for n, first in enumerate(parts):
        for second in parts[n:]:
            wave = {i: [j for j in second if j != i] for i in first}
            if first is not second:
                wave.update((j, list(first)) for j in second)
            if any(wave.values()):
                yield wave


def chunks(pairs: Iterable[Pair], room: int) -> Iterator[Wave]:
    """Any pairs, in their order, each of which may make an entry at both of its ends; a pair and the one the
    other way share theirs.
    """
    wave: Wave = {}
    entries: set[Pair] = set()
    for i, j in pairs:
        made = {(i, j), (j, i)}
        if wave and len(entries) + len(made - entries) > room:
            yield wave
            wave, entries = {}, set()
        wave.setdefault(i, []).append(j)
        entries |= made
    if wave:
        yield wave


def at_once(count: int) -> int:
    """How many broadcasts may be under way where each goes to so many members."""
    return max(1, FLOODED // max(1, count))
