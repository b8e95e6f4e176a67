"""What was seen behind the ports of a bridge, as a flood looks it up."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .config import Link
from .lookup import grouped
from .snapshot import FoundPeer, LookBehind, SeenBehind


def seen_behind(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...], behind: tuple[SeenBehind, ...]
) -> tuple[dict[int, SeenBehind], tuple[LookBehind, ...], str | None]:
    """What was seen behind ports whose far ends nobody has asked for, by ifindex; what is lacking; and why
    nobody could look, where that is so.
    """
    asked = {found.nsid for found in peers if found.namespace == name}
    known = {(seen.nsid, seen.index): seen for seen in behind if seen.namespace == name}
    seen: dict[int, SeenBehind] = {}
    lacking: list[LookBehind] = []
    for port in ports:
        ref = port.link if port.kind == "veth" else None
        if ref is None or ref.nsid is None or ref.nsid in asked:
            continue
        if (ref.nsid, ref.index) in known:
            seen[port.index] = known[ref.nsid, ref.index]
        else:
            lacking.append(LookBehind(name, ref.nsid, ref.index))
    why = next((each.why for each in seen.values() if each.why is not None), None)
    return seen, tuple(lacking), why


class PlainStations(Struct, frozen=True):
    """The ports with a plain station behind them; who of those has a MAC address, an address, a prefix."""

    ports: frozenset[int]
    of_mac: Mapping[str, tuple[int, ...]]
    of_address: Mapping[str, tuple[int, ...]]
    prefixes: tuple[tuple[str, int], ...]


def plain_stations(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...], behind: tuple[SeenBehind, ...]
) -> PlainStations:
    """Who stands behind ports, as far as it is plain, by what a frame says of its receiver."""
    seen, _, _ = seen_behind(name, ports, peers, behind)
    plain = [(index, station) for index, station in seen.items() if station.plain]
    own = [(address, index) for index, station in plain for address in station.own]
    macs = grouped(((station.mac, index) for index, station in plain), lambda each: each[0])
    hosts = grouped((each for each in own if "/" not in each[0]), lambda each: each[0])
    return PlainStations(
        frozenset(index for index, _ in plain),
        {mac: tuple(index for _, index in found) for mac, found in macs.items()},
        {address: tuple(index for _, index in found) for address, found in hosts.items()},
        tuple(each for each in own if "/" in each[0]),
    )
