"""Tunnels on a map: what their ends say, and which two of them send to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations, starmap
from operator import attrgetter

from msgspec import Struct

from netprobe.model import Link
from netprobe.model.lookup import grouped
from netprobe.model.wiring import Layer, SpaceReading, Wire, WireEnd

from .prefix import contains

MOST_REMOTES = 3  # far ends that are told
Readings = Mapping[str, SpaceReading]


class TunnelEnd(Struct, frozen=True, gc=False):
    """One end: `key` tells tunnels of one kind apart; `remotes` are the addresses that it sends to, `own`
    those that packets to it have. A multicast group is joined by all that send to it.
    """

    at: WireEnd
    key: tuple[str, int | None]
    remotes: frozenset[str]
    own: frozenset[str]

    def sends_to(self, other: TunnelEnd) -> bool:
        """Whether its packets go there."""
        return not self.remotes.isdisjoint(other.own)


def tunnel_detail(link: Link, layer: Layer) -> Iterator[str]:
    """VNI or key of a tunnel, and where it leads: "id 42, 10.0.0.1 → 10.0.0.2, port 4789"."""
    key, local, remotes = _said(link, layer)
    word = "id" if link.kind in ("vxlan", "geneve") else "key"
    if key is not None:
        yield f"{word} {key}"
    if local is not None or remotes:
        yield f"{local or 'any'} → {_told(remotes) or 'any'}"
    if link.vxlan is not None:
        yield f"port {link.vxlan.port}"


def _told(remotes: Sequence[str]) -> str:
    """Far ends, the first few by name."""
    more = len(remotes) - MOST_REMOTES
    return " ".join((*remotes[:MOST_REMOTES], *[f"and {more} more"] * (more > 0)))


def _said(link: Link, layer: Layer) -> tuple[int | None, str | None, tuple[str, ...]]:
    """The key of a tunnel, its own end, and its far ends."""
    vxlan = link.vxlan
    key, local, remote = (
        (layer.key, layer.local, layer.remote) if vxlan is None else (vxlan.vni, vxlan.local, vxlan.remote)
    )
    return key, local, (remote,) if remote is not None else layer.remotes


def tunnels(spaces: Sequence[SpaceReading]) -> tuple[Wire, ...]:
    """Each pair of ends that send to each other."""
    named = {each.space.name: each for each in spaces}
    ends = chain.from_iterable(map(partial(_ends, named), spaces))
    alike = grouped(ends, attrgetter("key")).values()
    pairs = chain.from_iterable(combinations(each, 2) for each in alike)
    return tuple(filter(None, starmap(_joined, pairs)))


def _ends(named: Readings, each: SpaceReading) -> Iterator[TunnelEnd]:
    """The ends of tunnels in a namespace that say where they lead."""
    for link in each.config.links:
        key, local, remotes = _said(link, each.layers.get(link.index, Layer()))
        if remotes:
            own = (local,) if local is not None else _all_addresses(_underlay(each, link, named))
            at = WireEnd(each.space.name, link.name)
            yield TunnelEnd(at, (link.kind, key), frozenset(remotes), frozenset(own))


def _all_addresses(there: SpaceReading | None) -> tuple[str, ...]:
    return tuple(map(attrgetter("address"), there.config.addresses)) if there is not None else ()


def _underlay(each: SpaceReading, link: Link, named: Readings) -> SpaceReading | None:
    """The namespace in which a tunnel sends: its own, unless it was made in another one."""
    return each if link.nsid is None else named.get(each.nsids.get(link.nsid, ""))


def _joined(one: TunnelEnd, other: TunnelEnd) -> Wire | None:
    """The tunnel between two ends that send to each other, or to one group."""
    mutual = one.sends_to(other) and other.sends_to(one)
    together = any(map(_is_group, one.remotes & other.remotes))
    return Wire("tunnel", one.at, other.at) if mutual or together else None


def _is_group(address: str) -> bool:
    """Whether an address is a multicast group's."""
    return contains("ff00::/8" if ":" in address else "224.0.0.0/4", address)
