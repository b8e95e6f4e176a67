"""Which pairs of very many are asked, so that each host and each endpoint has its part. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from netprobe.model.matrix import Pair

ALL = 300  # endpoints: up to so many all pairs are asked
TIMES = 3  # that each endpoint asks, and is asked, at least


def chosen(hosts: Sequence[str]) -> frozenset[Pair] | None:
    """The pairs that are asked of endpoints on these hosts, one each; None: all.

    Of each ordered pair of hosts one, and each endpoint as source and as destination `TIMES` times at least.
    The same endpoints give the same pairs.
    """
    if len(hosts) <= ALL:
        return None
    pairs = _between(hosts)
    _fill(pairs, len(hosts))
    return frozenset(pairs)


def _between(hosts: Sequence[str]) -> set[Pair]:
    """A pair for each two hosts, both ways, by endpoints that take turns."""
    of: dict[str, list[int]] = {}
    for number, host in enumerate(hosts):
        of.setdefault(host, []).append(number)
    members = list(of.values())
    return {
        (sources[b % len(sources)], destinations[a % len(destinations)])
        for a, sources in enumerate(members)
        for b, destinations in enumerate(members)
        if a != b
    }


def _fill(pairs: set[Pair], count: int) -> None:
    """Add to `pairs` until each endpoint is in so many, at both ends: with partners that lie far apart."""
    asking, asked = [0] * count, [0] * count
    for i, j in pairs:
        asking[i] += 1
        asked[j] += 1
    stride = next(step for step in range(int(count * 0.618), count) if gcd(step, count) == 1)
    for number in range(count):
        for turn in range(1, count):
            if asking[number] >= TIMES:
                break
            _add(pairs, (number, (number + turn * stride) % count), asking, asked)
    for number in range(count):
        for turn in range(1, count):
            if asked[number] >= TIMES:
                break
            _add(pairs, ((number - turn * stride) % count, number), asking, asked)


def _add(pairs: set[Pair], pair: Pair, asking: list[int], asked: list[int]) -> None:
    if pair not in pairs:
        pairs.add(pair)
        asking[pair[0]] += 1
        asked[pair[1]] += 1
