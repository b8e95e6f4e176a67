"""Addresses by which a namespace takes or sends what is another one's. Pure.

See: net/ipv4/fib_frontend.c (fib_add_ifaddr).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import is_for_one
from netprobe.diagnose.repair.segment import free_address, own_addresses
from netprobe.model import Blank, Command, InterfaceAddress, Link, Namespace, Object, Place, Stage, Stop
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import but, column, those_not_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost


def captured(loss: Loss) -> Iterator[Repair]:
    """A packet that the last namespace takes for its own, though another one is meant; or whose sender; or
    what a tunnel sends to its other end.
    """
    meant_for = (loss.probe.destination, loss.probe.source)
    for walk, meant in zip(loss.prediction.walks, meant_for, strict=False):
        for last in but(walk.hops[-1:], namespace=meant.namespace):
            yield from _taken(loss, loss.snapshot.at(last.namespace), last.flow.dst)
    for last in loss.hops[-1:] if loss.stop.code == "martian-source" else ():
        yield from _taken(loss, loss.here, last.flow.src)
    for sent in those_not_in(loss.decisions, loss.prediction.routed):
        if sent.decision.type == "local":
            yield from _taken(loss, loss.snapshot[sent.namespace], sent.dst)


def _taken(loss: Loss, namespace: Namespace, dst: str) -> Iterator[Repair]:
    """The address by which a namespace takes `dst` for its own; one on a loopback stands for its whole
    network. What somebody leads there for that address alone is meant.
    """
    known = where(namespace.addresses, scope="global")
    for own in known if dst not in _meant(loss, namespace) else ():
        link = namespace.link(own.index)
        whole = kind_of(link) == "loopback" and prefix.contains(prefix.network_of(own), dst)
        if whole or own.address == dst:
            text = f"{namespace.name} has {own.written} on {name_of(link)}, and takes {dst} for its own"
            yield from _without(loss, namespace, own, Stage.DELIVER, text)
        if whole and own.address != dst:
            yield from _of_a_host(loss, namespace, own, link, text)


def _meant(loss: Loss, namespace: Namespace) -> set[str]:
    """The addresses to which a route that was followed, for one of them alone, leads by a namespace."""
    sent = filter(is_for_one, loss.prediction.routed)
    return {each.dst for each in sent if namespace.address(each.gateway) is not None}


def _of_a_host(
    loss: Loss, namespace: Namespace, own: InterfaceAddress, link: Link | None, text: str
) -> Iterator[Repair]:
    """An address of a loopback with the length of a host: the kernel takes all of its network for its own
    there (fib_add_ifaddr).
    """
    for there in filter(None, (link,)):
        fix = fixes.with_length(own, prefix.bits(own.address), there)
        thing = Object("address", f"{own.written} dev {there.name}", own.written)
        stop = lost("addr-wrong-prefix", namespace.name, there, Stage.DELIVER, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)


def _without(
    loss: Loss, namespace: Namespace, own: InterfaceAddress, stage: Stage, text: str
) -> Iterator[Repair]:
    """An address that another one has as well, taken away."""
    for link in where(namespace.links, index=own.index):
        named = f"{own.written} dev {link.name}"
        thing, fix = Object("address", named, named), (fixes.address("del", own, link),)
        stop = lost("addr-duplicate", namespace.name, link, stage, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def at_the_source(loss: Loss) -> Iterator[Repair]:
    """A sender's address that another namespace bears as well: the answer goes there."""
    address, name = loss.probe.source.address, loss.probe.source.namespace
    here = loss.snapshot.at(name)
    bearers = but(map(loss.snapshot.at, loss.bearers(address)), name=name)
    for other, own in product(bearers[:1], where(here.addresses, address=address)):
        text = f"{name} sends from {address}, which {other.name} has as well"
        yield from _without(loss, here, own, Stage.ROUTE, text)
        yield from _in_its_place(loss, here, own, text)


def of_an_empty_network(loss: Loss) -> Iterator[Repair]:
    """An address on an interface at which nobody is, of a network that another interface has as well, with
    stations: packets for these go where nobody is.
    """
    for routed in where(loss.decisions, gateway=None):
        namespace, out = loss.snapshot[routed.namespace], loss.out(routed)
        if out is None or routed.decision.type == "local" or loss.others(namespace.name, out):
            continue
        near = but(where(namespace.addresses, scope="global"), index=out.index)
        same = (each for each in near if prefix.contains(prefix.network_of(each), routed.dst))
        peopled = [
            each for each in filter(None, map(namespace.link_of, same)) if loss.others(namespace.name, each)
        ]
        for own in where(namespace.addresses, index=out.index) if peopled else ():
            if prefix.contains(prefix.network_of(own), routed.dst):
                text = f"{namespace.name} has {own.written} on {out.name}, at which nobody is, and elsewhere"
                named = f"{own.written} dev {out.name}"
                thing, fix = Object("address", named, named), (fixes.address("del", own, out),)
                stop = lost("route-overlap", namespace.name, out, Stage.ROUTE, text, object=thing, fix=fix)
                yield from loss.repair(stop, Merit.RESTORES, agreeing=len(peopled))


def _in_its_place(loss: Loss, namespace: Namespace, own: InterfaceAddress, text: str) -> Iterator[Repair]:
    """The only address of an interface, which another one has as well, gone for one of the segment's network,
    or for one of its own, to which the router leads straight: which one, the reader knows.
    """
    for link in where(namespace.links, index=own.index):
        free = _for_a_trial(loss, namespace, link, own)
        if free is None or len(own_addresses(namespace, link, own.version)) > 1:
            continue
        named, blank = f"{own.written} dev {link.name}", Blank(f"ADDRESS/{free.prefixlen}")
        gone, place = fixes.address("del", own, link), Place(namespace.name, link.name, Stage.ROUTE)
        fix, trial = (
            (
                gone,
                Command.of("ip", "address", "add", word, "dev", link.name),
                *_led(loss, namespace, link, own, word),
            )
            for word in (blank, free.written)
        )
        stop = Stop("addr-duplicate", place, text, Object("address", named, named), fix, (loss.stop.text,))
        yield from loss.repair(stop, Merit.UNDOES, trial=trial)


def _for_a_trial(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress
) -> InterfaceAddress | None:
    """Some address of the segment's network that nobody has; near its own one that is of none."""
    if own.prefixlen < prefix.bits(own.address):
        return free_address(loss.addresses_beside(namespace.name, link, own.version))
    if not _router(loss, namespace, link, own):
        return None
    wide = replace(own, prefixlen=own.prefixlen - _ROOM)
    every = chain.from_iterable(column(loss.snapshot.namespaces.values(), "addresses"))
    free = free_address((wide, *every))
    return free and replace(free, prefixlen=own.prefixlen)


_ROOM = 6  # bits, in which an address is looked for


def _router(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress
) -> tuple[tuple[str, Link], ...]:
    """The other end of a cable, where that leads to an address of no network, and has not taken it itself."""
    ends = [each for each in (loss.known_end(namespace.name, link),) if each is not None]
    alone = own.prefixlen == prefix.bits(own.address)
    return tuple(each for each in ends if alone and each[0] not in loss.bearers(own.address))


def _led(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, word: Blank | str
) -> Iterator[Command]:
    """The route to an address of no network by the cable of who has it."""
    for router, end in _router(loss, namespace, link, own):
        made = fixes.ip(own.address, "route", "add", word, "dev", end.name)
        yield replace(made, namespace=router)
