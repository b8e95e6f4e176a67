"""The routes that come with addresses, where they are gone, or others stand in their place. Pure.

See: net/ipv4/fib_frontend.c (fib_add_ifaddr); ip-address(8), noprefixroute.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.apply_addresses import flagged, made
from netprobe.diagnose.repair.layers import versions
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import own_addresses
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Route, Stage, Stop
from netprobe.model.lookup import among, but, column, exchanged, gathered, grouped, indexed, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """The routes that the kernel makes for addresses, where somebody took them away."""
    for name, version in product(loss.around, versions(loss)):
        yield from _of_the_kernel(loss, loss.snapshot.at(name), version)


def _of_the_kernel(loss: Loss, namespace: Namespace, version: int) -> Iterator[Repair]:
    """The routes that the kernel makes for each address of an interface that is up, where they are gone.

    With `noprefixroute` it makes none for the network, which who added the address was to do; where nobody
    did it for any interface, it is as if it were gone.
    """
    direct = where(namespace.routes, gateways=[None])  # one by a gateway stands in the place of the kernel's
    there = {(route.dst, route.table, index) for route in direct for index in route.indexes}
    networks = {*column(where(namespace.routes, type="unicast"), "dst")}
    namespace = _with_prefix_routes(namespace, networks)
    # of very many routes those to some networks were read, and of addresses only what was asked
    read = ("unicast", "local") if namespace.routed is None else ("unicast",)
    leads = None if namespace.routed is None else partial(_leads_to, _sought(loss, namespace))
    for link in where(namespace.links, up=True):
        if not _has_routes(namespace, link, version):
            continue
        usual, odd_ones = where(made(namespace, link), version=version), _of_another_source(namespace, link)
        for route in filter(leads, among(usual, type=read)):
            if (route.dst, route.table, link.index) not in there:
                yield from loss.repair(_gone(namespace, link, route), Merit.RESTORES)
            for odd in odd_ones.get((route.dst, route.table), ()):
                yield from loss.repair(_as_made(namespace, link, route, odd), Merit.RESTORES)


def _sought(loss: Loss, namespace: Namespace) -> frozenset[str]:
    """The addresses that the packet and its answer are from and for, on the whole way, and gateways here: the
    routes to these are what matters.
    """
    flows = [*column(loss.hops, "flow")]
    asked = column(loss.prediction.routed, "dst"), column(flows, "src"), column(flows, "dst")
    return frozenset(filter(None, (*chain.from_iterable(asked), *namespace.gateways)))


def _leads_to(sought: frozenset[str], route: Route) -> bool:
    return any(map(partial(prefix.contains, route.dst), sought))


def _of_another_source(namespace: Namespace, link: Link) -> dict[tuple[str, int], tuple[Route, ...]]:
    """The routes that the kernel is said to have made in the place of each one (destination, table), with a
    source that is on another interface; a loopback's may be meant for all.
    """
    here = where(namespace.routes_by(link), indexes=[link.index], protocol="kernel")
    known = indexed(_bearers, namespace.addresses, namespace.links)
    of_others = (each for each in here if known.get(each.source, frozenset()) - {link.index})
    return grouped(of_others, attrgetter("dst", "table"))


def _bearers(
    addresses: tuple[InterfaceAddress, ...], links: tuple[Link, ...]
) -> dict[str | None, frozenset[int]]:
    """The interfaces, but for loopbacks and ports, on which each address is, by ifindex."""
    outward = {*column(but(where(links, master=None), kind="loopback"), "index")}
    there = gathered((each.address, each.index) for each in addresses if each.index in outward)
    return {address: frozenset(indexes) for address, indexes in there.items()}


def _has_routes(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether an interface has addresses that are in use: one that is tentative has its routes when it is."""
    own = own_addresses(namespace, link, version)
    return bool(own) and not any({*address.flags} & {"tentative", "dadfailed"} for address in own)


def _with_prefix_routes(namespace: Namespace, known: set[str]) -> Namespace:
    """The namespace as if those of its addresses whose network has no route had been added as usual."""
    addresses = namespace.addresses
    for own in addresses:
        if "noprefixroute" in own.flags and prefix.network_of(own) not in known:
            plain = replace(own, flags=flagged(own.flags, "noprefixroute", False))
            addresses = exchanged(addresses, own, plain)
    return replace(namespace, addresses=addresses)


def _gone(namespace: Namespace, link: Link, route: Route) -> Stop:
    text = f"{namespace.name} lacks the route to {route.dst} that comes with its address on {link.name}"
    return _anew("no-route", text, namespace, link, route)


def _as_made(namespace: Namespace, link: Link, route: Route, odd: Route) -> Stop:
    text = (
        f"the route to {odd.dst} that comes with an address on {link.name} makes packets leave"
        f" {namespace.name} with the source {odd.source}, which is on another interface"
    )
    return _anew("route-wrong-src", text, namespace, link, route)


def _anew(code: str, text: str, namespace: Namespace, link: Link, route: Route) -> Stop:
    kind, table = (("local",), ("table", "local")) if route.table == fib.LOCAL else ((), ())
    thing = Object("route", f"{route.dst} dev {link.name}", text)
    metric = fixes.option("metric", route.metric)
    words = ("route", "replace", *kind, route.dst, "dev", link.name, *table, *metric, "proto", "kernel")
    if route.source is not None:
        words = (*words, "scope", route.scope, "src", route.source)
    fix = (fixes.ip(route.dst, *words),)
    return lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
