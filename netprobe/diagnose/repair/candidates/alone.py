"""Addresses that need the prefix of a host. A station on an isolated port takes the others of its kind for
neighbours: they have that prefix, and reach each other by the router. The isolation is meant. And an address
of a service, on a macvlan beside an interface of the same network. Pure.

See: bridge(8), isolated; net/bridge/br_forward.c; keepalived.conf(5), use_vmac.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network, meet, own_addresses
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.lookup import but, where
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost

_SEVERAL = 2  # others


def candidates(loss: Loss) -> Iterator[Repair]:
    """The address of who asked for a neighbour, and those of macvlans, with the prefix of a host."""
    asking = loss.prediction.routed[-1:] if loss.stop.code == "port-isolated" else ()
    for routed in where(asking, gateway=None):
        namespace, link = loss.snapshot[routed.namespace], loss.out(routed)
        for own in filter(is_network, namespace.addresses_of(link) if link is not None else ()):
            if link is not None and prefix.contains(prefix.network_of(own), routed.dst):
                yield from _of_a_host(loss, namespace, link, own)
    for name in loss.way:
        yield from _beside_its_parent(loss, loss.snapshot[name])


def _beside_its_parent(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """An address of a macvlan with the network of the interface below it: it brings a second route to that
    along, and what is for the other one's addresses is looked for by the macvlan.
    """
    for link in where(namespace.links_of("macvlan"), up=True):
        station = loss.known_end(namespace.name, link)
        for _, parent in (station,) if station is not None and station[0] == namespace.name else ():
            for own in filter(is_network, own_addresses(namespace, link, loss.version)):
                if meet([own], own_addresses(namespace, parent, own.version)):
                    yield from _of_one(loss, namespace, link, own, parent)


def _of_one(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, parent: Link
) -> Iterator[Repair]:
    text = (
        f"{own.written} on {link.name} in {namespace.name} brings along a second route to"
        f" {prefix.network_of(own)}, the network of {parent.name} below it, whose stations are looked for by"
        f" {link.name} then"
    )
    thing = Object("address", f"{own.written} dev {link.name}", own.written)
    fix = fixes.with_length(own, prefix.bits(own.address), link)
    stop = lost("addr-wrong-prefix", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _of_a_host(loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress) -> Iterator[Repair]:
    others = (
        loss.snapshot[name].addresses_of(end, own.version) for name, end in loss.others(namespace.name, link)
    )
    hosts = [
        each
        for each in but(chain.from_iterable(others), address=own.address)
        if not is_network(each) and prefix.contains(prefix.network_of(own), each.address)
    ]
    if len(hosts) >= _SEVERAL:
        text = (
            f"{own.written} on {link.name} in {namespace.name} takes all of its network for neighbours, on"
            f" ports that are isolated; {len(hosts)} others have the prefix of a host, and go by the router"
        )
        thing = Object("address", f"{own.written} dev {link.name}", own.written)
        fix = fixes.with_length(own, prefix.bits(own.address), link)
        stop = lost("addr-wrong-prefix", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(hosts))
