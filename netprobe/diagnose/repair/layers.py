"""In which IP versions a packet travels: in its own, and in those of the tunnels that carry it. Pure."""

from __future__ import annotations

from itertools import chain

from netprobe.predict import prefix

from .repair import Loss


def versions(loss: Loss) -> tuple[int, ...]:
    """The IP versions of the probe, first, and of what the tunnels on its way send."""
    spaces = map(loss.snapshot.at, loss.way)
    ends = (here.remotes_of(link) for here in spaces for link, _ in here.vxlans)
    return tuple(dict.fromkeys((loss.version, *map(prefix.version, chain.from_iterable(ends)))))
