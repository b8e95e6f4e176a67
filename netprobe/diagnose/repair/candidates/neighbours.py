"""Neighbour entries that were followed to a station that is not the one to go to. Pure.

See: ip-neighbour(8); net/core/neighbour.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, proxy_key
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Neighbour, Object, Snapshot, Stage
from netprobe.model.command import inside
from netprobe.model.lookup import but, has, sole, those_not_in, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost
from netprobe.predict.trace import Resolved, Routed


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each entry that gave a frame its destination, and those by which tunnels answer."""
    for resolved in loss.prediction.resolved:
        rival = _bearer(loss.snapshot, resolved)
        if rival is not None and _answers(loss, rival, resolved.entry.address):
            yield from _usurped(loss, resolved, rival)
        else:
            yield from _wrong(loss, resolved)
    for here in map(loss.snapshot.at, loss.way):
        for device, vxlan in here.vxlans:
            if "proxy" in vxlan.flags:
                yield from _told(loss, here, device)


def usurped(loss: Loss) -> frozenset[Resolved]:
    """The entries of proxies for stations that heard the question themselves: a proxy is for others
    (RFC 1027), and to let pass what comes there leads around that.
    """
    return frozenset(filter(partial(_is_usurped, loss), loss.prediction.resolved))


def _is_usurped(loss: Loss, resolved: Resolved) -> bool:
    rival = _bearer(loss.snapshot, resolved)
    if rival is None or proxy_key(loss.snapshot[rival[0]], rival[1]) is None:
        return False
    asked = {name for name, _ in loss.others(resolved.namespace, resolved.link)} - {rival[0]}
    return not asked.isdisjoint(loss.bearers(resolved.entry.address))


def _bearer(snapshot: Snapshot, resolved: Resolved) -> Station | None:
    """The station that has the MAC of an entry, in another namespace: the bridge, of one of its ports."""
    for namespace in but(snapshot.namespaces.values(), name=resolved.namespace):
        for link in but(where(namespace.links, mac=resolved.entry.mac), link=None):
            return namespace.name, namespace.link(link.master) or link
    return None


def _answers(loss: Loss, station: Station, address: str) -> bool:
    """Whether a station says that an address is its own, which is not its alone: it bears it, or it is a
    proxy (arp_process).
    """
    namespace = loss.snapshot[station[0]]
    proxy = proxy_key(namespace, station[1]) is not None
    listed = has(namespace.neighbours, proxy=True, address=address)
    others = those_not_in(loss.bearers(address), (namespace.name,))
    return bool(others and namespace.owner_of(address)) or proxy or listed


def _usurped(loss: Loss, resolved: Resolved, rival: Station) -> Iterator[Repair]:
    """Another station answers for the address as well, and the entry is its."""
    name, entry, address = resolved.namespace, resolved.entry, resolved.entry.address
    owners = [
        (n.name, owner.mac)
        for n in loss.snapshot.namespaces.values()
        if (owner := n.owner_of(address)) is not None and n.name != rival[0]
    ]
    text = f"{rival[0]}/{rival[1].name} ({entry.mac}) answers for {address} as well, and {name} sends to it"
    own = loss.snapshot[rival[0]].address(address)
    bearer = loss.snapshot[rival[0]].link_of(own)
    thing = _object(resolved)
    fix: tuple[Command, ...] = (_forget(name, resolved),)
    if own is not None and bearer is not None:
        fix = (*inside(rival[0], _silenced(own, bearer, rival[1])), *fix)
        thing = Object("address", f"{address}/{own.prefixlen} dev {bearer.name}", text)
    elif (key := proxy_key(loss.snapshot[rival[0]], rival[1])) is not None:
        fix = (*inside(rival[0], fixes.sysctl(key, 0)), *fix)
        thing = Object("sysctl", key, f"{key} = 1")
    stop = lost("addr-duplicate", rival[0], rival[1], Stage.ARP, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.UNDOES, agreeing=len(owners))


def _silenced(own: InterfaceAddress, bearer: Link, asked: Link) -> tuple[Command, ...]:
    """What makes a station answer no more for an address: it is without it; one on loopback, as those behind
    a load balancer have it, is only not told to the segment (ip-sysctl, arp_ignore).
    """
    if bearer.kind != "loopback" or ":" in own.address:
        return (fixes.address("del", own, bearer),)
    return fixes.sysctl(f"net.ipv4.conf.{asked.key}.arp_ignore", 1)


def _told(loss: Loss, here: Namespace, device: Link) -> Iterator[Repair]:
    """The entries that somebody wrote for a tunnel device, which answers by them (arp_reduce, neigh_reduce),
    with another MAC than that of who has the address; who was answered so is to ask anew.
    """
    written = where(here.neighbours, index=device.index, state="permanent")
    for entry in where(written, address=loss.goal):
        bearers = map(loss.snapshot.at, loss.bearers(entry.address))
        owners = [*filter(None, (each.owner_of(entry.address) for each in bearers))]
        sent = where(loss.prediction.routed, via=loss.goal)[:1]
        asked_anew = [*chain.from_iterable(_asked_anew(loss, each) for each in sent)]
        for owner in but(sole(owners), mac=entry.mac):
            named = f"{entry.address} dev {device.name} lladdr {entry.mac}"
            text = f"{here.name} tells that {entry.address} is at {entry.mac}, which is {owner.mac}"
            how = ("lladdr", owner.mac, "dev", device.name, "nud", "permanent")
            put = Command.of("ip", "neigh", "replace", entry.address, *how)
            fix = (put, *asked_anew)
            thing = Object("neighbour", named, f"{named} permanent")
            stop = lost("neigh-wrong-entry", here.name, device, Stage.NEIGHBOUR, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _asked_anew(loss: Loss, routed: Routed) -> Iterator[Command]:
    """What makes who sends straight to an address ask again who has it."""
    for link in filter(None, (loss.out(routed),)):
        yield from inside(routed.namespace, (fixes.forget_what_was_told(routed.via, link),))


def _wrong(loss: Loss, resolved: Resolved) -> Iterator[Repair]:
    name, entry = resolved.namespace, resolved.entry
    text = f"{name} sends packets for {entry.address} to {entry.mac}, which is not where it is"
    stop = lost(
        "neigh-wrong-entry",
        name,
        resolved.link,
        Stage.NEIGHBOUR,
        text,
        object=_object(resolved),
        fix=(_forget(name, resolved),),
    )
    yield from loss.repair(stop, Merit.UNDOES)


def _forget(name: str, resolved: Resolved) -> Command:
    return replace(fixes.forget_neighbour(resolved.entry.address, resolved.link), namespace=name)


def _object(resolved: Resolved) -> Object:
    entry: Neighbour = resolved.entry
    id = f"{entry.address} dev {resolved.link.name} lladdr {entry.mac}"
    return Object("neighbour", id, f"{id} {entry.state}")
