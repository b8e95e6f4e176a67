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

Readings = Mapping[str, SpaceReading]


class TunnelEnd(Struct, frozen=True):
    """One end: `key` tells tunnels of one kind apart; `own` are the addresses that packets to it have.

    `remote` None: it sends to whatever its forwarding entries say. A multicast group is joined by all.
    """

    at: WireEnd
    key: tuple[str, int | None]
    remote: str | None
    own: frozenset[str]

    def sends_to(self, other: TunnelEnd) -> bool:
        """Whether its packets go there."""
        return self.remote in other.own


def tunnel_detail(link: Link, layer: Layer) -> Iterator[str]:
    """VNI or key of a tunnel, and where it leads: "id 42, 10.0.0.1 → 10.0.0.2, port 4789"."""
    key, local, remote = _said(link, layer)
    word = "id" if link.kind in ("vxlan", "geneve") else "key"
    if key is not None:
        yield f"{word} {key}"
    if (local, remote) != (None, None):
        yield f"{local or 'any'} → {remote or 'any'}"
    if link.vxlan is not None:
        yield f"port {link.vxlan.port}"


def _said(link: Link, layer: Layer) -> tuple[int | None, str | None, str | None]:
    """Key and both ends of a tunnel."""
    if link.vxlan is not None:
        return link.vxlan.vni, link.vxlan.local, link.vxlan.remote
    return layer.key, layer.local, layer.remote


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
        key, local, remote = _said(link, each.layers.get(link.index, Layer()))
        if remote is not None:
            own = (local,) if local is not None else _all_addresses(_underlay(each, link, named))
            at = WireEnd(each.space.name, link.name)
            yield TunnelEnd(at, (link.kind, key), remote, frozenset(own))


def _all_addresses(there: SpaceReading | None) -> tuple[str, ...]:
    return tuple(map(attrgetter("address"), there.config.addresses)) if there is not None else ()


def _underlay(each: SpaceReading, link: Link, named: Readings) -> SpaceReading | None:
    """The namespace in which a tunnel sends: its own, unless it was made in another one."""
    nsid = link.link.nsid if link.link is not None else None
    return each if nsid is None else named.get(each.nsids.get(nsid, ""))


def _joined(one: TunnelEnd, other: TunnelEnd) -> Wire | None:
    """The tunnel between two ends that send to each other, or to one group."""
    mutual = one.sends_to(other) and other.sends_to(one)
    together = one.remote == other.remote and _is_group(one.remote or "")
    return Wire("tunnel", one.at, other.at) if mutual or together else None


def _is_group(address: str) -> bool:
    """Whether an address is a multicast group's."""
    return contains("ff00::/8" if ":" in address else "224.0.0.0/4", address)
