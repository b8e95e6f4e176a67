"""What leads by a tunnel to the stations of another node, and is gone: the route to their network, and who is
there. Pure.

A device that was off for a moment has lost its routes and neighbours (fib_disable_ip, neigh_ifdown), and who
wrote them, a daemon, does not look again. What the other node has for this one tells how they were.
See: ip-link(8), vxlan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, permutations

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.lookup import but, column, find, has, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost

from .tunnel_gone import networks
from .tunnels import devices, underlay

End = tuple[Namespace, Link]


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes by each device to the stations of a node that has one to those of this."""
    if loss.stop.code not in ("no-route", "route-loop", "neigh-no-answer"):
        return
    for (here, device, own), (there, other, its) in permutations(devices(loss), 2):
        if here.name != there.name and own.network == its.network and device.up:
            yield from _mirrored(loss, (here, device), (there, other))
            yield from _addressed(loss, (here, device), (there, other))


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
            fix = (*_neighbour(end, far, gateway), fixes.ip(dst, "route", "add", dst, *way))
            thing = Object("route", named, f"{named} (missing)")
            stop = lost("no-route", here.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _addressed(loss: Loss, end: End, far: End) -> Iterator[Repair]:
    """The address to which the far node sends by its device, on an end that has none: nobody's, or on another
    interface of this node. What led by the end went with it.
    """
    (here, device), (there, other) = end, far
    its = find(there.addresses_of(other, loss.version), scope="global")
    if its is None or has(here.addresses_of(device, loss.version), scope="global"):
        return
    for gateway in _gateways(end, far, loss.version):
        if {*loss.bearers(gateway)} <= {here.name}:
            put = fixes.address("add", InterfaceAddress(device.index, gateway, its.prefixlen), device)
            text = f"{device.name} in {here.name} has no address, and {there.name} sends to {gateway} there"
            thing = Object("address", f"dev {device.name}", text)
            fix = (*_from_elsewhere(here, gateway), put)
            stop = lost("addr-missing", here.name, device, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _gateways(end: End, far: End, version: int) -> Iterator[str]:
    """The gateways to which the far node sends by its device, but for those of other devices."""
    (_, device), (there, other) = end, far
    led = where(there.routes_by(other), version=version)
    macs = {each.address: each.mac for each in where(there.neighbours, index=other.index)}
    for gateway in dict.fromkeys(chain.from_iterable(column(led, "gateways"))):
        if gateway is not None and macs.get(gateway, device.mac) == device.mac:
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
