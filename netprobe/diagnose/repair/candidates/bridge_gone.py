"""A bridge that was deleted: its ports lie idle, and those behind them ask for a gateway nobody is, or for
each other. Pure.

What deleting it leaves: net/bridge/br_if.c (br_dev_delete). Its name is what rules still speak of; where they
speak of none, any will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import (
    Station,
    free_name,
    idle_links,
    meet,
    own_addresses,
    usual_length,
)
from netprobe.model import Blank, Command, InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.lookup import among, column, has, not_among, sole, those_in, where
from netprobe.predict import prefix
from netprobe.predict.drop import lost
from netprobe.predict.prefix import version

from .renamed import missing_names

_PORTS = ("veth", "vxlan", "vlan")
SEVERAL = 2  # idle ends that look for one gateway: alone, one may have borne the address itself


def candidates(loss: Loss) -> Iterator[Repair]:
    """The bridge of each namespace around, with the gateway's addresses and all ports; without any where
    they ask for each other.
    """
    for name in loss.around:
        named = missing_names(loss.snapshot[name])
        for address in dict.fromkeys(_gateways(loss, loss.idle_ends(name), loss.version)):
            ends = seekers(loss, name, address)
            if len(named) == 1 or (len(ends) >= SEVERAL and not named):
                yield from _with_addresses(loss, loss.snapshot[name], ends, address, named)
        if len(named) <= 1:
            yield from _between(loss, loss.snapshot[name], named)


def _between(loss: Loss, namespace: Namespace, named: list[str]) -> Iterator[Repair]:
    """A bridge of the cables and tunnels that do nothing, and behind which stations of one network look for
    no gateway.
    """
    idle = among(idle_links(namespace), kind=_PORTS)
    every = {link: loss.addresses_beside(namespace.name, link, loss.version) for link in idle}
    behind = {link: addresses for link, addresses in every.items() if addresses}
    joined = {tuple(other for other in behind if meet(behind[link], behind[other])) for link in behind}
    known = loss.idle_ends(namespace.name)
    for ends in joined:
        sought = _gateways(loss, {link: known[link] for link in those_in(ends, known)}, loss.version)
        if len(ends) >= SEVERAL and not any(sought):
            yield from _made_again(loss, namespace, ends, named, "those behind do not reach each other")


def seekers(loss: Loss, name: str, address: str) -> dict[Link, Station]:
    """The idle ends of a namespace behind which somebody looks for a gateway, or is of its network and may
    look for it by mistake elsewhere, with who does.
    """
    found = loss.idle_ends(name).items()
    return {link: far for link, far in found if _is_beside(loss, far, address)}


def _is_beside(loss: Loss, station: Station, address: str) -> bool:
    """Whether a station sends to an address, or is of its network."""
    own = own_addresses(loss.snapshot[station[0]], station[1], version(address))
    sought = _gateways(loss, {station[1]: station}, version(address))
    return bool(prefix.neighbours_of(address, own)) or address in sought


def is_gateway_beside(loss: Loss, name: str, link: Link, address: str) -> bool:
    """Whether a station beside an interface sends to an address there: it is a router's, whoever asks."""
    ends = loss.others(name, link)
    ways = ((loss.snapshot[there].routes, station.index) for there, station in ends)
    return any(
        has(chain.from_iterable(column(routes, "nexthops")), index=index, via=address)
        for routes, index in ways
    )


def _gateways(loss: Loss, ends: dict[Link, Station], of: int) -> Iterator[str]:
    """The gateways that the stations behind these ends look for, and nobody is."""
    for name, link in ends.values():
        routes = where(loss.snapshot[name].routes_by(link), version=of)
        legs = where(chain.from_iterable(column(routes, "nexthops")), index=link.index)
        for leg in not_among(legs, via={None, *loss.owned}):
            yield leg.via or ""


def _as_it_was(loss: Loss, ends: dict[Link, Station], address: str) -> InterfaceAddress:
    """The gateway's address with the length that is usual at the stations; 0 where none has a network."""
    of = version(address)
    own = (own_addresses(loss.snapshot[name], link, of) for name, link in ends.values())
    usual = usual_length(chain.from_iterable(own), address)
    return InterfaceAddress(0, address, usual[0] if usual is not None else 0)


def _known_as(loss: Loss, ends: dict[Link, Station], own: tuple[InterfaceAddress, ...]) -> tuple[str, ...]:
    """The MACs by which the stations remember the gateway: one where it was a bridge, which may have had that
    of a port (br_stp_recalculate_bridge_id).
    """
    entries = (
        loss.snapshot[name].entries_for(link, each.address) for name, link in ends.values() for each in own
    )
    found = dict.fromkeys(column(chain.from_iterable(entries), "mac"))
    return tuple(filter(None, found))


def _with_addresses(
    loss: Loss,
    namespace: Namespace,
    ends: dict[Link, Station],
    address: str,
    named: list[str],
) -> Iterator[Repair]:
    other = {*_gateways(loss, ends, 10 - loss.version)}
    own = tuple(_as_it_was(loss, ends, each) for each in (address, *sole(other)))
    lacking = f"nobody is {' and '.join(each.address for each in own)}"
    yield from _made_again(loss, namespace, tuple(ends), named, lacking, own, _known_as(loss, ends, own))


def _made_again(
    loss: Loss,
    namespace: Namespace,
    ends: tuple[Link, ...],
    named: list[str],
    lacking: str,
    own: tuple[InterfaceAddress, ...] = (),
    macs: tuple[str, ...] = (),
) -> Iterator[Repair]:
    known, said = (named[0], named[0]) if named else (free_name(namespace, "br"), "a bridge")
    ports = ", ".join(column(ends, "name"))
    text = f"{said} is missing in {namespace.name}: none holds {ports}, and {lacking}"
    thing = Object("link", known, text)
    fix = _commands(known, ends, macs, tuple(map(_written, own)))
    stop = lost("link-missing", namespace.name, ends[0], Stage.BRIDGE, text, object=thing, fix=fix)
    supposed = tuple(
        f"{each.address}/{each.prefixlen or supposed_length(loss, each.address)}" for each in own
    )
    trial = _commands(known, ends, macs, supposed)
    agreeing = len(ends) if len(macs) < SEVERAL else 0
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing, trial=trial)


def _written(own: InterfaceAddress) -> str | Blank:
    if own.prefixlen:
        return own.written
    return Blank("LENGTH", f"{own.address}/")


def supposed_length(loss: Loss, gateway: str) -> int:
    """The length of a network of a gateway and who asks for it."""
    source = loss.probe.source.address or gateway
    if gateway != source:
        return prefix.shared(gateway, source)
    return 24


def _commands(
    name: str, ends: tuple[Link, ...], macs: tuple[str, ...], addresses: tuple[str | Blank, ...]
) -> tuple[Command, ...]:
    return (
        Command.of("ip", "link", "add", name, "type", "bridge"),
        *(Command.of("ip", "link", "set", "dev", name, "address", each) for each in sole(macs)),
        *(Command.of("ip", "link", "set", "dev", link.name, "master", name) for link in ends),
        Command.of("ip", "link", "set", "dev", name, "up"),
        *(Command.of("ip", "address", "add", address, "dev", name) for address in addresses),
    )
