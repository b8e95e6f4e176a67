"""The order of a sweep: every pair once, no wave with more neighbour entries than there is room for."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from netprobe.kernel.neighbours import Fullness
from netprobe.linux.sensors.sweep.schedule import MARGIN, MOST, Wave, at_once, blocks, chunks, room

COUNTS = st.integers(2, 60)


def entries(wave: Wave) -> int:
    """The entries that a wave leaves on one network: for each pair one at each of its ends."""
    pairs = {(i, j) for i, others in wave.items() for j in others}
    return len(pairs | {(j, i) for i, j in pairs})


@given(COUNTS, st.integers(2, MOST))
def test_blocks_hold_every_pair_once(count: int, most: int) -> None:
    asked = Counter((i, j) for wave in blocks(count, most) for i, others in wave.items() for j in others)
    assert asked == Counter((i, j) for i in range(count) for j in range(count) if i != j)


@given(COUNTS, st.integers(2, MOST))
def test_a_block_has_both_ways_of_a_pair_and_fits(count: int, most: int) -> None:
    for wave in blocks(count, most):
        assert all(i in wave[j] for i, others in wave.items() for j in others)
        assert entries(wave) <= most


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda p: p[0] != p[1]), unique=True), st.integers(2, MOST))
def test_chunks_hold_what_is_given(pairs: list[tuple[int, int]], most: int) -> None:
    waves = list(chunks(pairs, most))
    assert sorted((i, j) for wave in waves for i, others in wave.items() for j in others) == sorted(pairs)
    assert all(entries(wave) <= most for wave in waves)


@given(st.integers(0, 4000), st.integers(128, 2000), st.integers(0, 3000))
def test_a_wave_leaves_room_for_others(entries: int, soft: int, more: int) -> None:
    found = room(Fullness(entries, soft, soft + more, 0))
    assert 2 <= found <= MOST
    if soft - entries > 2 * MARGIN:  # nothing that others have is thrown away
        assert entries + found + MARGIN <= soft


def test_broadcasts_fit_a_processors_queue() -> None:
    assert [at_once(count) for count in (2, 50, 200, 500, 1000)] == [200, 8, 2, 1, 1]
