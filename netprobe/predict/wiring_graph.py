"""From what was read of all namespaces to their wiring: what joins which interfaces, who is behind which
port, which engine's network a bridge stands for, where default routes lead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, LinkRef
from netprobe.model.lookup import first, gathered, grouped
from netprobe.model.wiring import (
    PAIRS,
    Layer,
    MachineReading,
    SpaceReading,
    WayOut,
    Wire,
    WiredInterface,
    WiredSpace,
    WireEnd,
    WireKind,
    Wiring,
)

from .segments import segments_of
from .wiring_nat import translations
from .wiring_networks import networks_of
from .wiring_tunnels import Readings, tunnel_detail, tunnels

UNSEEN = "its far end is not visible from here"


def wiring(reading: MachineReading) -> Wiring:
    """The wiring of a machine."""
    spaces = {each.space.name: each for each in reading.spaces}
    found = chain.from_iterable(map(partial(_wires_of, spaces), reading.spaces))
    wires = (*first(found, _both_ends).values(), *tunnels(reading.spaces))
    joined = Wiring(wires=wires, blind=reading.blind)
    on_the_map = _Known(spaces, networks_of(reading, joined), _ways_out(spaces, segments_of(wires)))
    return replace(joined, spaces=tuple(map(on_the_map.space, reading.spaces)))


def _both_ends(wire: Wire) -> frozenset[WireEnd]:
    return frozenset((wire.near, wire.far))


def _wires_of(spaces: Readings, each: SpaceReading) -> Iterator[Wire]:
    for link in each.config.links:
        yield from _master(each, link)
        yield from _lower(each, link, spaces)


def _master(each: SpaceReading, link: Link) -> Iterator[Wire]:
    """To the bridge, bond or VRF that an interface belongs to."""
    master = each.config.link(link.master or 0)
    if master is not None:
        kind: WireKind = "port" if master.kind == "bridge" else "member"
        yield Wire(kind, _end(each, link), _end(each, master))


def _lower(each: SpaceReading, link: Link, spaces: Readings) -> Iterator[Wire]:
    """To the other end of a pair, or to what an interface stands on."""
    near, far = _end(each, link), _far(each, link, spaces)
    if far is not None and far != near:
        yield Wire("cable" if link.kind in PAIRS else "on", near, far)


def _far(each: SpaceReading, link: Link, spaces: Readings) -> WireEnd | None:
    """The interface that another one names, where it can be seen."""
    named = _named(link)
    if named is None:
        return None
    there = each if named.nsid is None else spaces.get(each.nsids.get(named.nsid, ""))
    other = there.config.link(named.index) if there is not None else None
    return _end(there, other) if there is not None and other is not None else None


def _named(link: Link) -> LinkRef | None:
    """The interface that another one names: the other end of a pair, or what it stands on. A VXLAN device
    that was not moved says it in its own settings alone (IFLA_VXLAN_LINK).
    """
    if link.link is None and link.vxlan is not None:
        return LinkRef(link.vxlan.lower)
    return link.link


def _end(each: SpaceReading, link: Link) -> WireEnd:
    return WireEnd(each.space.name, link.name)


class _Known:
    """What is known of all namespaces when one of them is put on the map."""

    def __init__(
        self,
        spaces: Readings,
        networks: Mapping[WireEnd, str],
        ways_out: Mapping[WireEnd, tuple[WayOut, ...]],
    ) -> None:
        self._spaces, self._networks, self._ways_out = spaces, networks, ways_out

    def space(self, each: SpaceReading) -> WiredSpace:
        """A namespace with its interfaces."""
        on = grouped(each.config.addresses, attrgetter("index"))
        made = [self._interface(each, link, on.get(link.index, ())) for link in each.config.links]
        known = each.space
        return WiredSpace(
            known.name,
            known.kind,
            known.names,
            known.note,
            known.blind,
            tuple(made),
            translations(each.config),
        )

    def _interface(
        self, each: SpaceReading, link: Link, addresses: Sequence[InterfaceAddress]
    ) -> WiredInterface:
        end = _end(each, link)
        layer = each.layers.get(link.index, Layer())
        named = _named(link)
        names_another = named is not None and named.index > 0
        hidden = names_another and _far(each, link, self._spaces) is None
        return WiredInterface(
            link.name,
            link.index,
            link.kind,
            link.up,
            link.carrier,
            tuple(map(_address, addresses)),
            ", ".join(filter(None, _details(each, link, layer))),
            layer.alias,
            self._networks.get(end),
            self._ways_out.get(end, ()),
            UNSEEN if hidden else None,
        )


def _address(address: InterfaceAddress) -> str:
    peer = f" peer {address.peer}" if address.peer else ""
    return f"{address.address}{peer}/{address.prefixlen}"


def _details(each: SpaceReading, link: Link, layer: Layer) -> Iterator[str]:
    """What the kind of an interface does not say, in few words; "" for what does not apply."""
    yield from tunnel_detail(link, layer)
    yield _said("id", link.vlan_id)
    yield _said("mode", link.macvlan_mode)
    yield layer.mode or ""
    yield _said("table", layer.table)
    yield "STP" * link.has_stp
    yield "VLANs" * link.filters_vlans
    yield link.port_state * (link.port_state != "forwarding")
    if link.link is not None and not link.link.index and link.link.nsid is not None:
        yield f"sends in {each.nsids.get(link.link.nsid, 'a namespace that is not visible')}"


def _said(word: str, value: object) -> str:
    return f"{word} {value}" if value is not None else ""


def _ways_out(spaces: Readings, segments: Mapping[WireEnd, int]) -> dict[WireEnd, tuple[WayOut, ...]]:
    """The default routes by the interface that they leave by, and who has the next hop's address there."""
    owners = gathered(chain.from_iterable(map(_owned, spaces.values())))
    found = gathered(chain.from_iterable(map(partial(_hops, owners, segments), spaces.values())))
    return {end: tuple(dict.fromkeys(hops)) for end, hops in found.items()}


def _owned(each: SpaceReading) -> Iterator[tuple[str, WireEnd]]:
    """The addresses of a namespace, each with its interface."""
    for address in each.config.addresses:
        link = each.config.link_of(address)
        if link is not None:
            yield address.address, _end(each, link)


def _hops(
    owners: Mapping[str, tuple[WireEnd, ...]], segments: Mapping[WireEnd, int], each: SpaceReading
) -> Iterator[tuple[WireEnd, WayOut]]:
    for leg in chain.from_iterable(map(attrgetter("nexthops"), each.config.routes)):
        link = each.config.link_of(leg)
        if link is not None:
            near = _end(each, link)
            there = filter(partial(_meets, segments, near), owners.get(leg.via or "", ()))
            yield near, WayOut(leg.via, getattr(next(there, None), "namespace", None))


def _meets(segments: Mapping[WireEnd, int], near: WireEnd, far: WireEnd) -> bool:
    """Whether two interfaces are joined, and in two namespaces."""
    return segments.get(near, -1) == segments.get(far) and near.namespace != far.namespace
