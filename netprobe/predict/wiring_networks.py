"""Which interface stands for which network of a container engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from netprobe.model.engines import EngineNetwork
from netprobe.model.lookup import gathered
from netprobe.model.snapshot import STARTED_IN
from netprobe.model.wiring import MachineReading, SpaceReading, WireEnd, Wiring

_MADE_OF_AN_ID = re.compile("br-[0-9a-f]{12}")
Bridges = Mapping[str, tuple[WireEnd, ...]]


def networks_of(reading: MachineReading, joined: Wiring) -> dict[WireEnd, str]:
    """The names of networks by the interface that stands for each: as the engine says; else, of a container
    on one network alone, the bridge that its one cable leads to.
    """
    plugged = {each.space.name: tuple(_bridges(each, joined)) for each in reading.spaces}
    at = gathered(_homes(reading, plugged))
    known = dict(_of_containers(reading, plugged))
    for network in reading.networks:
        homes = {STARTED_IN, *at.get(network.engine, ())}
        known |= dict.fromkeys(_standing_for(network, reading, homes), network.name)
    return known


def _bridges(each: SpaceReading, joined: Wiring) -> Iterator[WireEnd]:
    """The bridges elsewhere that the cables of a namespace lead to."""
    for link in each.config.links:
        for far in joined.joined(WireEnd(each.space.name, link.name), "cable"):
            yield from filter(None, (joined.master(far),))


def _homes(reading: MachineReading, plugged: Bridges) -> Iterator[tuple[str, str]]:
    """Each engine with the namespaces in which it has plugged containers in."""
    for each in reading.spaces:
        for bridge in plugged[each.space.name]:
            yield each.networks[0], bridge.namespace


def _of_containers(reading: MachineReading, plugged: Bridges) -> Iterator[tuple[WireEnd, str]]:
    for each in reading.spaces:
        names, bridges = each.networks[1], plugged[each.space.name]
        if len(names) == len(bridges) == 1:
            yield bridges[0], names[0]


def _standing_for(network: EngineNetwork, reading: MachineReading, homes: Set[str]) -> Iterator[WireEnd]:
    """The interfaces with the name that a network has: one made of an id is like no other; any other name
    counts where the engine is.
    """
    alone = _MADE_OF_AN_ID.fullmatch(network.interface) is not None
    for each in reading.spaces:
        here = alone or not homes.isdisjoint((each.space.name, each.space.kind))
        if here and each.config.link_named(network.interface) is not None:
            yield WireEnd(each.space.name, network.interface)
