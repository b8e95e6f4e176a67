"""Which pairs of very many are asked: each host, and each endpoint, has its part."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.fleet.sample import ALL, TIMES, chosen


def hosts(*sizes: int) -> list[str]:
    """So many endpoints on each host, mixed."""
    rows = [[f"h{n}"] * size for n, size in enumerate(sizes)]
    return [row.pop() for _ in range(max(sizes)) for row in rows if row]


def check(of: list[str]) -> None:
    pairs = chosen(of)
    assert pairs is not None
    assert all(i != j for i, j in pairs)
    known = set(of)
    assert {(of[i], of[j]) for i, j in pairs if of[i] != of[j]} == {(a, b) for a in known for b in known if a != b}
    for end in (0, 1):
        counted = Counter(pair[end] for pair in pairs)
        assert min(counted[n] for n in range(len(of))) >= TIMES
    assert len(pairs) <= len(known) * (len(known) - 1) + 2 * TIMES * len(of)
    assert chosen(of) == pairs


def test_up_to_so_many_all_are_asked() -> None:
    assert chosen(hosts(*[15] * 20)) is None
    assert len(hosts(*[15] * 20)) == ALL


@pytest.mark.parametrize("sizes", [(301,), (300, 1), (16,) * 20, (1,) * 301, (1, 2, 3, 400)])
def test_each_host_and_each_endpoint_has_its_part(sizes: tuple[int, ...]) -> None:
    check(hosts(*sizes))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=40).filter(lambda sizes: ALL < sum(sizes) < 900))
def test_however_they_are_spread(sizes: list[int]) -> None:
    check(hosts(*sizes))


def test_a_thousand_hosts_are_a_pair_each() -> None:
    pairs = chosen(hosts(*[1] * 1000))
    assert pairs is not None
    assert len(pairs) == 1000 * 999
