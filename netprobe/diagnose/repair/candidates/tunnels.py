"""VXLAN devices of one network whose neighbours and forwarding entries somebody writes: missing, or wrong.

Pure.

See: ip-link(8), vxlan; bridge(8), fdb; drivers/net/vxlan/vxlan_core.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import all_addresses, share
from netprobe.model import (
    Command,
    FdbEntry,
    InterfaceAddress,
    Link,
    Namespace,
    Neighbour,
    Object,
    Stage,
    Stop,
)
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost

_EVERYBODY = "00:00:00:00:00:00"


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each tunnel device on the way should know of the others of its network that were read."""
    _read_the_goal(loss)
    yield from _source(loss)
    devices = [
        (namespace, link)
        for namespace in loss.snapshot.namespaces.values()
        for link in namespace.links
        if link.vxlan is not None
    ]
    for here, device in devices:
        for there, other in devices:
            if here.name != there.name and _fits(device, other):
                yield from _neighbour(loss, here, device, there, other)
                yield from _entry(loss, here, device, there, other)


def _source(loss: Loss) -> Iterator[Repair]:
    """A tunnel that sends from an address that nothing there has: another one, or that address given back."""
    at = loss.snapshot.link_at(loss.stop.place)
    if loss.stop.code != "addr-missing" or at is None:
        return
    here, device = at
    vxlan = device.vxlan
    if vxlan is None or not vxlan.local:
        return
    version = prefix.version(vxlan.local)
    usable = [a for a in here.addresses if a.scope == "global" and prefix.version(a.address) == version]
    for own in usable:
        if own.index != device.index:
            right = fixes.link_set(device, "type", "vxlan", "local", own.address)
            stop = replace(loss.stop, commands=(right,))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=_naming(loss, own.address))
        wanted = InterfaceAddress(own.index, vxlan.local, own.prefixlen)
        link = here.link(own.index)
        if link is not None and share(own, wanted):
            named = Object("address", f"{vxlan.local}/{own.prefixlen} dev {link.name}", loss.stop.text)
            place = replace(loss.stop.place, interface=link.name, stage=Stage.ROUTE)
            put = (fixes.address("add", wanted, link),)
            stop = replace(loss.stop, place=place, object=named, commands=put)
            yield from loss.repair(stop, Merit.RESTORES, agreeing=_naming(loss, vxlan.local))


def _naming(loss: Loss, address: str) -> int:
    """How many tunnels of others send to an address."""
    return sum(entry.remote == address for each in loss.snapshot.namespaces.values() for entry in each.fdb)


def _read_the_goal(loss: Loss) -> None:
    """Ask who is at the other end of the destination's cables: the far node."""
    name = loss.probe.destination.namespace
    goal = loss.snapshot.get(name)
    tunnels = (link.vxlan for each in loss.way for link in loss.snapshot[each].links)
    for link in goal.links if goal is not None and any(tunnels) else ():
        loss.far_end(name or "", link)


def _fits(one: Link, other: Link) -> bool:
    first, second = one.vxlan, other.vxlan
    return first is not None and second is not None and (first.vni, first.port) == (second.vni, second.port)


def _neighbour(loss: Loss, here: Namespace, device: Link, there: Namespace, other: Link) -> Iterator[Repair]:
    """The neighbour entry for an address of the other device, where entries are written by hand."""
    written = [n for n in here.neighbours if n.index == device.index and n.state == "permanent"]
    for own in there.addresses_of(other, loss.version):
        right = any((n.address, n.mac) == (own.address, other.mac) for n in written)
        if own.scope != "global" or right or not _is_wanted(here, device, own.address):
            continue
        named = f"{own.address} dev {device.name}"
        text = f"{here.name} does not know that {own.address} of {there.name} is {other.mac} on {device.name}"
        words = (
            "ip",
            "neigh",
            "replace",
            own.address,
            "lladdr",
            other.mac,
            "dev",
            device.name,
            "nud",
            "permanent",
        )
        thing = Object("neighbour", named, f"{named} (missing)")
        stop = lost(
            "neigh-no-answer",
            here.name,
            device,
            Stage.NEIGHBOUR,
            text,
            object=thing,
            fix=(Command.of(*words),),
        )
        yield from loss.repair(stop, Merit.RESTORES)
        old = next((n for n in written if n.address == own.address), None)
        for entry in _entry_of(here, device, old):
            yield from loss.repair(_renewed(stop, here, device, other, entry), Merit.RESTORES)


def _entry_of(here: Namespace, device: Link, old: Neighbour | None) -> Iterator[FdbEntry]:
    """The forwarding entry of the MAC that a neighbour entry has: where the other node is."""
    for entry in here.fdb:
        if old is not None and (entry.index, entry.mac) == (device.index, old.mac) and entry.remote:
            yield entry


def _renewed(stop: Stop, here: Namespace, device: Link, other: Link, entry: FdbEntry) -> Stop:
    """The neighbour entry and the forwarding entry together, by the other device's present MAC."""
    thing = stop.object
    named = f"{thing.id if thing is not None else ''} lladdr {entry.mac}"
    text = f"{here.name} has the MAC that the other end of {device.name} had before: {entry.mac}"
    more = Command.of("bridge", "fdb", "append", other.mac, "dev", device.name, "dst", entry.remote or "")
    return replace(
        stop,
        code="neigh-wrong-entry",
        text=text,
        object=Object("neighbour", named, named),
        commands=(*stop.commands, more),
    )


def _is_wanted(here: Namespace, device: Link, address: str) -> bool:
    """Whether routes of a namespace lead to this address on that device."""
    return any(
        leg.via == address and leg.index == device.index for route in here.routes for leg in route.nexthops
    )


def _entry(loss: Loss, here: Namespace, device: Link, there: Namespace, other: Link) -> Iterator[Repair]:
    """The forwarding entry for the other device, or for all, by the address of its node."""
    known = [entry for entry in here.fdb if entry.index == device.index and entry.remote is not None]
    for remote in underlay(here, there):
        for mac in (other.mac, _EVERYBODY):
            entries = [entry for entry in known if entry.mac == mac]
            if any(entry.remote == remote for entry in entries) or (
                mac == other.mac and not entries and _learns(known)
            ):
                continue
            named = f"{mac} dev {device.name}"
            text = (
                f"{device.name} of {here.name} does not send what is for {mac} to {remote}, where"
                f" {there.name} is"
            )
            how = "replace" if len(entries) == 1 else "append"
            words = ("bridge", "fdb", how, mac, "dev", device.name, "dst", remote)
            known_as = f"{named} dst {entries[0].remote}" if entries else named
            thing = Object("fdb-entry", known_as, known_as if entries else f"{named} (missing)")
            code = "vxlan-remote-wrong" if entries else "vxlan-fdb-missing"
            stop = lost(
                code, here.name, device, Stage.ENCAPSULATE, text, object=thing, fix=(Command.of(*words),)
            )
            yield from loss.repair(stop, Merit.RESTORES)


def _learns(known: list[FdbEntry]) -> bool:
    """Whether what is not listed goes to all, so that a station of its own needs no entry."""
    return any(entry.mac == _EVERYBODY for entry in known)


def underlay(here: Namespace, there: Namespace) -> Iterator[str]:
    """The addresses by which one node reaches the other: of a network that both are on."""
    own = _outer(here)
    yield from (a.address for a in _outer(there) if any(share(a, mine) for mine in own))


def _outer(namespace: Namespace) -> list[InterfaceAddress]:
    """The addresses of a node that are on no tunnel and no bridge."""
    links = [link for link in namespace.links if link.vxlan is None and link.kind != "bridge"]
    return [a for link in links for a in all_addresses(namespace, link)]
