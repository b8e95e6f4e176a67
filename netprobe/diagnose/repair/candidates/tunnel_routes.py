"""What leads by a tunnel to the stations of another node, and is gone: the route to their network, and who is
there. Pure.

A device that was off for a moment has lost its routes and neighbours (fib_disable_ip, neigh_ifdown), and who
wrote them, a daemon, does not look again. What the other node has for this one tells how they were.
See: ip-link(8), vxlan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, permutations

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Stage, Stop
from netprobe.model.lookup import among, but, column, find, has, those_not_in, where
from netprobe.predict import fib, fixes
from netprobe.predict.drop import lost

from .routes import REFUSING
from .tunnel_gone import networks
from .tunnels import devices, underlay

End = tuple[Namespace, Link]


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes by each device to the stations of a node that has one to those of this."""
    if loss.stop.code not in _ENDS:
        return
    for (here, device, own), (there, other, its) in permutations(devices(loss), 2):
        if here.name != there.name and own.network == its.network and device.up:
            yield from _mirrored(loss, (here, device), (there, other))
            yield from _addressed(loss, (here, device), (there, other))


# Of a walk that lacks a route, or meets one that refuses in its place.
_ENDS = {
    "no-route", "route-loop", "neigh-no-answer", "route-prohibit", "route-unreachable", "route-blackhole",
}  # fmt: skip


def _mirrored(loss: Loss, end: End, far: End) -> Iterator[Repair]:
    """The routes by an end that the far one has in the other direction, and the end itself does not."""
    (here, device), (there, other) = end, far
    gateway, outer = _sent_to(loss, far, end), next(underlay(here, there), None)
    if gateway is None or outer is None:
        return
    known = here.routes_by(device)
    for dst in networks(there, other, outer, loss.version):
        if not has(known, dst=dst):
            named, how = f"{dst} via {gateway.address} dev {device.name}", f"by {device.name}"
            text = f"{here.name} has no route to {dst} {how}, by which {there.name} sends to it"
            way = ("via", gateway.address, "dev", device.name, "onlink")
            before = where(here.routes, dst=dst, table=fib.MAIN)
            verb = "replace" if before else "add"
            fix = (*_neighbour(end, far, gateway), fixes.ip(dst, "route", verb, dst, *way))
            thing = Object("route", named, f"{named} (missing)")
            stop = lost("no-route", here.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            for instead in among(before, type=REFUSING)[:1]:
                named = " ".join(fib.words(instead, None, None))
                stop = replace(stop, code=f"route-{instead.type}", object=Object("route", named, named))
            yield from loss.repair(stop, Merit.RESTORES)


def _addressed(loss: Loss, end: End, far: End) -> Iterator[Repair]:
    """The address to which the far node sends by its device, on an end that has none, or another one:
    nobody's, or on another interface of this node. What led by the end went with it.
    """
    (here, device), (there, other) = end, far
    its = find(there.addresses_of(other, loss.version), scope="global")
    own = where(here.addresses_of(device, loss.version), scope="global")
    if its is None or len(own) > 1:
        return
    for gateway in those_not_in(_gateways(end, far, own, loss.version), {*column(own, "address")}):
        if {*loss.bearers(gateway)} <= {here.name}:
            put = fixes.address("add", InterfaceAddress(device.index, gateway, its.prefixlen), device)
            stop = _without(end, far, gateway, own)
            gone = (fixes.address("del", each, device) for each in own)
            fix = (*_from_elsewhere(here, gateway), put, *gone)
            yield from loss.repair(replace(stop, commands=fix), Merit.RESTORES, agreeing=1)


def _without(end: End, far: End, gateway: str, own: tuple[InterfaceAddress, ...]) -> Stop:
    """An end that lacks the address to which the far node sends, or has another one."""
    (here, device), (there, _) = end, far
    sent = f"{there.name} sends to {gateway} there"
    text = f"{device.name} in {here.name} has no address, and {sent}"
    at = (here.name, device, Stage.ROUTE)
    for each in own:
        named, told = f"{each.written} dev {device.name}", f"{device.name} in {here.name} has {each.address}"
        thing = Object("address", named, named)
        return lost("addr-wrong-subnet", *at, f"{told}, and {sent}", object=thing)
    return lost("addr-missing", *at, text, object=Object("address", f"dev {device.name}", text))


def _gateways(end: End, far: End, own: tuple[InterfaceAddress, ...], version: int) -> Iterator[str]:
    """The gateways to which the far node sends by its device, but for those of other devices; of an end that
    has an address, those that are known there to be this device.
    """
    (_, device), (there, other) = end, far
    led = where(there.routes_by(other), version=version)
    macs = {each.address: each.mac for each in where(there.neighbours, index=other.index)}
    unsaid = None if own else device.mac
    for gateway in dict.fromkeys(chain.from_iterable(column(led, "gateways"))):
        if gateway is not None and macs.get(gateway, unsaid) == device.mac:
            yield gateway


def _from_elsewhere(here: Namespace, gateway: str) -> Iterator[Command]:
    for own in where(here.addresses, address=gateway):
        for link in where(here.links, index=own.index):
            yield fixes.address("del", own, link)


def _sent_to(loss: Loss, far: End, end: End) -> InterfaceAddress | None:
    """The address that the far device has, where that node sends by it to an address of this one, or somebody
    wrote there who has that address; None where it does not.
    """
    (there, other), (here, device) = far, end
    own = {*column(here.addresses_of(device, loss.version), "address")}
    led = there.routes_by(other)
    written = where(there.neighbours, index=other.index, mac=device.mac, state="permanent")
    known = (*chain.from_iterable(column(led, "gateways")), *column(written, "address"))
    if own.isdisjoint(known):
        return None
    return find(there.addresses_of(other, loss.version), scope="global")


def _neighbour(end: End, far: End, gateway: InterfaceAddress) -> tuple[Command, ...]:
    """Who is there, as the far node has it of this one, where this one has no such entry: one with another
    MAC did not go with the route, and is wrong by itself.
    """
    (here, device), (there, other) = end, far
    written = where(there.neighbours, index=other.index, mac=device.mac, state="permanent")
    known = where(here.neighbours, index=device.index, address=gateway.address)
    if not written or but(known, mac=None):
        return ()
    how = ("lladdr", other.mac, "dev", device.name, "nud", "permanent")
    return (Command.of("ip", "neigh", "replace", gateway.address, *how),)
