"""The cable between two routers that was deleted with both ends. Pure.

One of them has rules that speak of an interface which is not there; the other one is sent packets for a
network that it is not on.
See: ip-link(8), veth; drivers/net/veth.c (veth_dellink).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.segment import free_address, free_name
from netprobe.model import (
    Blank,
    Command,
    InterfaceAddress,
    Namespace,
    Object,
    ReadNamespace,
    RouteQuery,
    Stage,
)
from netprobe.model.command import inside
from netprobe.model.config import is_particular
from netprobe.model.lookup import column, has, those_in, those_not_in, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import lost

from .moved import start
from .renamed import missing_names
from .told import sockets_of
from .unconnected import cable

# The ends of a walk for want of such a cable; what goes back by the way that is left may come to others.
_LACKING = {
    "link-missing", "no-route", "neigh-no-answer", "ra-not-accepted", "route-loop", "martian-source",
    "rp-filter", "ttl-expired",
}  # fmt: skip


class _Cut(Struct, frozen=True):
    """A network, and the router that others send to for it and that is not on it."""

    router: Namespace
    network: str


def candidates(loss: Loss) -> Iterator[Repair]:
    """A cable from who lacks an interface to each router that lacks a network."""
    if loss.stop.code not in _LACKING:
        return
    spaces = loss.snapshot.namespaces.values()
    homes = {each.name: names[0] for each in spaces if len(names := missing_names(each)) == 1}
    unread = those_not_in([start(loss.snapshot, loss.here.name)], loss.snapshot)
    for cut in _cuts(loss) if homes or unread else ():
        asked = _is_asked_for(loss, cut.network)
        loss.needs.update(dict.fromkeys(map(ReadNamespace, unread if asked else ())))
        for name in homes if asked else those_in(homes, (loss.here.name,)):
            yield from _connected(loss, loss.snapshot[name], homes[name], cut)


def _cuts(loss: Loss) -> Iterator[_Cut]:
    """The networks for which somebody sends to a router that is not on them."""
    spaces = loss.snapshot.namespaces
    bearers = {own.address: each for each in spaces.values() for own in each.addresses}
    sent = {
        (route.dst, via): None
        for each in spaces.values()
        for route in where(each.routes, version=loss.version, table=fib.MAIN, is_to_a_network=True)
        for via in filter(None, route.gateways)
    }
    for network, via in sent:
        router = bearers.get(via)
        if router is not None and _is_cut_off(router, network):
            yield _Cut(router, network)


def _is_cut_off(router: Namespace, network: str) -> bool:
    """Whether a router knows no way to a network, or none but that of all the world."""
    if not is_router(router, prefix.version(network)):
        return False
    return not is_particular(fib.lookup(router, RouteQuery(None, network.partition("/")[0])).route)


def _is_asked_for(loss: Loss, network: str) -> bool:
    """Whether the packet, or its answer, goes to somebody of a network who is not in sight."""
    asked = {loss.goal, *column(loss.prediction.routed, "dst")} - loss.owned
    return any(map(partial(prefix.contains, network), asked))


def _connected(loss: Loss, home: Namespace, missing: str, cut: _Cut) -> Iterator[Repair]:
    base, _, length = cut.network.partition("/")
    first = free_address([InterfaceAddress(0, base, int(length))])
    second = free_address([InterfaceAddress(0, base, int(length)), first]) if first is not None else None
    if home is cut.router or first is None or second is None:
        return
    text = (
        f"{home.name} has no {missing}, of which its rules speak, and {cut.router.name}, which others send to"
        f" for {cut.network}, is not on that network"
    )
    own, gateway = _own(loss, home, cut.network), Blank("ADDRESS-OF-THE-ROUTER")
    fix = _lines(home, missing, cut, own or Blank("ADDRESS"), gateway)
    trial = _lines(home, missing, cut, own or second.address, first.address)
    thing = Object("link", missing, text)
    stop = lost("link-missing", home.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, trial=trial)


def _own(loss: Loss, home: Namespace, network: str) -> str | None:
    """The address of a network that is asked for, or that programs of a namespace wait on, and nobody has."""
    known = (loss.goal, *column(sockets_of(home), "address"))
    free = those_not_in(known, loss.owned)
    return next(filter(partial(prefix.contains, network), free), None)


def _lines(
    home: Namespace, missing: str, cut: _Cut, own: str | Blank, gateway: str | Blank
) -> tuple[Command, ...]:
    end, length = free_name(cut.router, "eth"), prefix.length(cut.network)
    way = ("route", "add", "default", "via", gateway)
    routes = (
        fixes.ip(cut.network, *way, *fib.table_words(table))
        for table in _without_a_way_out(home, cut.network)
    )
    return (
        *cable(home.name, missing, cut.router.name, end),
        _address(gateway, length, end, cut.router.name),
        _address(own, length, missing, home.name),
        *inside(home.name, routes),
    )


def _address(own: str | Blank, length: int, device: str, name: str) -> Command:
    whole = Blank(f"{own}/{length}") if isinstance(own, Blank) else f"{own}/{length}"
    return Command.of("ip", "address", "add", whole, "dev", device, namespace=name)


def _without_a_way_out(home: Namespace, network: str) -> Iterator[int]:
    """The main table, and those that policy rules lead to, where the one has no default route, or the other
    none at all.
    """
    version = prefix.version(network)
    ours = where(home.routes, version=version)
    if not has(where(ours, table=fib.MAIN), is_default=True):
        yield fib.MAIN
    led = where(filter(is_special, home.rules), version=version, action="lookup")
    tables = dict.fromkeys(column(led, "table"))
    yield from filter(None, those_not_in(tables, {*column(ours, "table")}))
