"""A VXLAN device that was deleted: another node still sends to this one, and what that one knows tells how
it was. Pure.

See: ip-link(8), vxlan; drivers/net/vxlan/vxlan_core.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import all_addresses, is_wanted
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Stage, Vxlan
from netprobe.model.command import inside
from netprobe.model.lookup import but, find, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost

from .remade import other_end, same_name, type_words
from .tunnels import devices, underlay

_LACKING = ("link-missing", "no-route", "neigh-no-answer", "route-wrong-nexthop", "route-loop")


def candidates(loss: Loss) -> Iterator[Repair]:
    """The device of each node around that others send to, and that has none of their network."""
    if loss.stop.code not in _LACKING:
        return
    for name in loss.around:
        _look_beyond(loss, loss.snapshot[name])
    for other, link, vxlan in devices(loss):
        for node in map(loss.snapshot.at, loss.around):
            if node.name != other.name and not _has_one(node, vxlan):
                yield from _made(loss, node, (other, link, vxlan))


def _look_beyond(loss: Loss, node: Namespace) -> None:
    """Ask who is at the other end of the cables by which a node could send for the stations behind it."""
    if not node.links_of("bridge") and len(node.outward) < 2:
        return
    for link in where(node.links_of("veth"), up=True, master=None):
        if all_addresses(node, link) and link.index in loss.first_cables(node.name):
            loss.far_end(node.name, link)


def _has_one(node: Namespace, wanted: Vxlan) -> bool:
    return any(each.network == wanted.network for _, each in node.vxlans)


def _made(loss: Loss, node: Namespace, sample: tuple[Namespace, Link, Vxlan]) -> Iterator[Repair]:
    """The device as the other node's is, sending to that, where that one sends to this node."""
    other, link, vxlan = sample
    text = f"{node.name} has no device for tunnel {vxlan.vni}, and {link.name} of {other.name} sends to it"
    for name, wanted in other_end(node, other, link, vxlan):
        if vxlan.remote is None:
            wanted = replace(wanted, remote=None)
        lines = _plugged(node, sample, name, wanted) or _routed(loss, node, sample, name, wanted)
        if lines:
            thing, fix = Object("link", name, text), inside(node.name, lines)
            stop = lost("link-missing", node.name, None, Stage.ENCAPSULATE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _plugged(
    node: Namespace, sample: tuple[Namespace, Link, Vxlan], name: str, wanted: Vxlan
) -> tuple[Command, ...]:
    """The device as a port of the bridge of the same name; nothing where there is none."""
    other, link, _ = sample
    bridge = same_name(other, link.master, node)
    if bridge is None:
        return ()
    plug = Command.of("ip", "link", "set", "dev", name, "master", bridge.name)
    return (_add(node, name, None, wanted), plug, _up(name))


def _add(node: Namespace, name: str, mac: str | None, wanted: Vxlan) -> Command:
    return Command.of("ip", "link", "add", name, *fixes.option("address", mac), *type_words(node, wanted))


def _up(name: str) -> Command:
    return Command.of("ip", "link", "set", "dev", name, "up")


def _routed(
    loss: Loss, node: Namespace, sample: tuple[Namespace, Link, Vxlan], name: str, wanted: Vxlan
) -> tuple[Command, ...]:
    """The device with the address and the MAC that the other node knows it by, and what it needs to know of
    that one: its own neighbour and forwarding entries, and the route to its network.
    """
    other, link, _ = sample
    mine = find(where(other.fdb, index=link.index, remote=wanted.local), static=True)
    mac = mine.mac if mine is not None else ""
    known = where(other.neighbours, index=link.index, mac=mac)
    its = where(other.addresses_of(link, loss.version), scope="global")
    back = next(underlay(node, other), None)
    if not known or not its or back is None:
        return ()
    made = Link(0, name, "vxlan", mac)
    own, far = InterfaceAddress(0, known[0].address, its[0].prefixlen), its[0].address
    how = ("lladdr", link.mac, "dev", name, "nud", "permanent")
    route = ("via", far, "dev", name, "onlink")
    return (
        _add(node, name, mac, wanted),
        fixes.link_set(made, "mtu", str(link.mtu)),
        _up(name),
        fixes.address("add", own, made),
        Command.of("ip", "neigh", "replace", far, *how),
        Command.of("bridge", "fdb", "append", link.mac, "dev", name, "dst", back),
        *(fixes.ip(dst, "route", "add", dst, *route) for dst in networks(other, link, back, loss.version)),
    )


def networks(node: Namespace, device: Link, outer: str, version: int) -> Iterator[str]:
    """The networks of a node's stations: straight out of others than the device and its underlay."""
    routes = where(node.routes, type="unicast", version=version, table=fib.MAIN, gateways=[None])
    for route in but(routes, indexes=[device.index]):
        if is_wanted(route.dst) and not prefix.contains(route.dst, outer):
            yield route.dst
