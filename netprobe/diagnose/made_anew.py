"""Cables that were made anew since an earlier run: that they have other MACs is nobody's doing. Pure.

A lab that is built again, or a container that is started again, has the same names and other MACs: the kernel
chooses those of both ends of a new cable by chance (drivers/net/veth.c, veth_newlink).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netprobe.model import Link, Namespace, Route, Snapshot
from netprobe.model.lookup import has
from netprobe.predict import prefix
from netprobe.predict.peers import mutual
from netprobe.predict.view import Ground

_Renaming = Callable[[str | None], str | None]


def as_made_anew(before: Snapshot, now: Snapshot) -> Snapshot:
    """The earlier configuration with the MACs that its cables have now, where both ends of one have another;
    a bridge that has borrowed one of them goes along, and so do the addresses that are made of them.
    """
    macs = dict(_macs(before, now))
    if not macs:
        return before
    names = {prefix.link_local(old): prefix.link_local(new) for old, new in macs.items()} | macs
    spaces = before.namespaces.items()
    return replace(
        before, namespaces={name: _renamed(each, lambda word: names.get(word, word)) for name, each in spaces}
    )


def _macs(before: Snapshot, now: Snapshot) -> Iterator[tuple[str, str]]:
    """(the MAC that an interface had, the one that it has now), those of bridges last: who speaks of such a
    MAC means the bridge. Where one cable was made anew, those count along whose other end was not read.
    """
    ground, cables, bridges = Ground(mutual(now), ask=False), [], []
    for name in before.namespaces.keys() & now.namespaces.keys():
        then, here = before[name], now[name]
        for was, link in _both(then, here):
            if link.kind == "veth":
                cables.append((_is_made_anew(before, ground, name, link), (was.mac, link.mac)))
            elif _is_borrowed(then, was) and _is_borrowed(here, link):
                bridges.append((was.mac, link.mac))
    if any(anew for anew, _ in cables):
        yield from (macs for anew, macs in cables if anew is not False)
        yield from bridges


def _both(then: Namespace, here: Namespace) -> Iterator[tuple[Link, Link]]:
    """The interfaces that have another MAC than they had, before and now."""
    for was in then.links:
        link = here.link_named(was.name)
        if link is not None and was.mac and link.mac and was.mac != link.mac:
            yield was, link


def _is_made_anew(before: Snapshot, ground: Ground, name: str, link: Link) -> bool | None:
    """Whether the other end of a cable has another MAC than it had as well; None where that was not read."""
    known = link.link is not None and ground.knows(name, link.link.nsid)
    far = ground.peer(name, link) if known else None
    was = before.at(far[0]).link_named(far[1].name) if far is not None else None
    return None if far is None or was is None else was.mac != far[1].mac


def _is_borrowed(namespace: Namespace, bridge: Link) -> bool:
    """Whether a bridge has the MAC of one of its ports (net/bridge/br_stp_if.c)."""
    return has(namespace.ports(bridge), mac=bridge.mac)


def _renamed(namespace: Namespace, now: _Renaming) -> Namespace:
    """A namespace in which MACs, and the addresses made of them, are called as they are now."""
    routes, neighbours = namespace.routes, namespace.neighbours
    return replace(
        namespace,
        links=tuple(replace(each, mac=now(each.mac)) for each in namespace.links),
        addresses=tuple(replace(each, address=now(each.address)) for each in namespace.addresses),
        neighbours=tuple(replace(each, mac=now(each.mac), address=now(each.address)) for each in neighbours),
        fdb=tuple(replace(each, mac=now(each.mac)) for each in namespace.fdb),
        routes=tuple(_led(each, now) for each in routes),
    )


def _led(route: Route, now: _Renaming) -> Route:
    """A route; only one of IPv6 can lead to or by an address that is made of a MAC."""
    if route.version == 4:
        return route
    own, slash, length = route.dst.partition("/")
    hops = tuple(replace(hop, via=now(hop.via)) for hop in route.nexthops)
    return replace(route, dst=f"{now(own)}{slash}{length}", nexthops=hops)
