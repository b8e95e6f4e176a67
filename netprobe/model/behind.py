"""What was seen behind the ports of a bridge, as a flood looks it up."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .link import Link
from .lookup import gathered
from .snapshot import FoundPeer, LookBehind, SeenBehind


def seen_behind(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...], behind: tuple[SeenBehind, ...]
) -> tuple[dict[int, SeenBehind], tuple[LookBehind, ...], str | None]:
    """What was seen behind ports whose far ends nobody has asked for, by ifindex; what is lacking; and why
    nobody could look, where that is so.
    """
    known = {(each.namespace, each.nsid, each.index): each for each in behind}
    wanted = _unasked(name, ports, peers)
    seen = {index: known[place] for index, place in wanted.items() if place in known}
    lacking = tuple(LookBehind(*place) for place in wanted.values() if place not in known)
    reasons = (each.why for each in seen.values())
    return seen, lacking, next(filter(None, reasons), None)


def _unasked(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...]
) -> dict[int, tuple[str, int, int]]:
    """The far ends of ports that nobody has asked for, as in `LookBehind`, by the ifindex of the port."""
    asked = {found.nsid for found in peers if found.namespace == name}
    places = {}
    for port in ports:
        far = port.far_end
        if far is not None and far[0] not in asked:
            places[port.index] = (name, *far)
    return places


class PlainStations(Struct, frozen=True, gc=False):
    """The ports with a plain station behind them, also by its MAC address and by what it has for its own:
    addresses and prefixes; `prefixes` are the latter alone.
    """

    ports: frozenset[int]
    of_mac: Mapping[str, tuple[int, ...]]
    of_address: Mapping[str, tuple[int, ...]]
    prefixes: tuple[str, ...]


def plain_stations(
    name: str, ports: tuple[Link, ...], peers: tuple[FoundPeer, ...], behind: tuple[SeenBehind, ...]
) -> PlainStations:
    """Who stands behind ports, as far as it is plain, by what a frame says of its receiver."""
    seen, _, _ = seen_behind(name, ports, peers, behind)
    plain = {index: station for index, station in seen.items() if station.plain}
    own = gathered((address, index) for index, station in plain.items() for address in station.own)
    macs = gathered((station.mac, index) for index, station in plain.items())
    return PlainStations(frozenset(plain), macs, own, tuple(text for text in own if "/" in text))
