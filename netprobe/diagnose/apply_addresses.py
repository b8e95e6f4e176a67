"""Fixes of addresses, carried out on a snapshot, and the routes that the kernel makes for addresses.

Kernel: net/ipv4/fib_frontend.c (fib_add_ifaddr, fib_del_ifaddr), net/ipv4/devinet.c (__inet_insert_ifa,
__inet_del_ifa), net/ipv6/addrconf.c (inet6_addr_add, inet6_addr_del).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Nexthop, Route, Snapshot
from netprobe.model.lookup import exchanged
from netprobe.predict import fib, ipv6, prefix

from .order import Order

Key = tuple[str, int, str, int | None]
Made = dict[Key, Route]
_KEPT = "net.ipv4.conf.{}.promote_secondaries"


def change_address(order: Order) -> Snapshot:
    """`ip address add|replace|del ADDRESS/LENGTH dev IFACE`, with the routes that come and go with it; and
    `ip address change ADDRESS/LENGTH dev IFACE preferred_lft forever valid_lft forever`; `ip address flush
    dev IFACE`.
    """
    link = order.link(order.needed("dev"))
    if order.plain == ["flush"]:
        return with_addresses(
            order, link, tuple(a for a in order.namespace.addresses if a.index != link.index)
        )
    what, written = order.plain
    text, _, length = written.partition("/")
    bits = prefix.bits(text)
    prefix.number(text)
    own = InterfaceAddress(link.index, text, int(length or bits), scope=_scope(text))
    known = [a for a in order.namespace.addresses_of(link) if _same(a, own)]
    if what == "del" and known:
        return _deleted(order, link, known[0])
    if what == "replace" and known:
        return order.snapshot
    if what == "change" and known:
        return _preferred(order, known[0])
    if what not in ("add", "replace") or known or (bits == 128 and _has_no_ipv6(order, link)):
        raise KeyError(written)  # EADDRNOTAVAIL, EEXIST, EACCES
    return with_addresses(order, link, (*order.namespace.addresses, own))


def _preferred(order: Order, own: InterfaceAddress) -> Snapshot:
    """With an address that may be a source again; KeyError for other times than for ever."""
    if {order.option("preferred_lft"), order.option("valid_lft")} != {"forever"}:
        raise KeyError("preferred_lft")
    kept = replace(own, flags=tuple(word for word in own.flags if word != "deprecated"))
    addresses = exchanged(order.namespace.addresses, own, kept)
    return order.with_fields(addresses=addresses).snapshot


def _has_no_ipv6(order: Order, link: Link) -> bool:
    stem = f"net.ipv6.conf.{link.key}"
    return order.namespace.sysctl(f"{stem}.disable_ipv6", "0") != "0" or link.mtu < ipv6.MTU


def _scope(address: str) -> str:
    if prefix.is_loopback(address):
        return "host"
    return "link" if prefix.needs_scope(address) else "global"


def _same(one: InterfaceAddress, other: InterfaceAddress) -> bool:
    """IPv6 knows an address by itself, IPv4 with its length."""
    length = one.prefixlen == other.prefixlen or prefix.version(one.address) == 6
    return one.address == other.address and length


def _deleted(order: Order, link: Link, gone: InterfaceAddress) -> Snapshot:
    """Without an address: those of its network that came after it go along, unless they take its place; and
    without any IPv4 address left the interface loses all its IPv4 routes.
    """
    namespace = order.namespace
    kept = [a for a in namespace.addresses if a is not gone]
    if not _is_secondary(namespace, gone) and not _promotes(order, link):
        kept = [a for a in kept if not _is_beside(a, gone)]
    return with_addresses(order, link, tuple(kept))


def _promotes(order: Order, link: Link) -> bool:
    names = ("all", link.key)
    return any(order.namespace.sysctl(_KEPT.format(name), "0") not in (None, "0") for name in names)


def _is_beside(one: InterfaceAddress, other: InterfaceAddress) -> bool:
    """Whether two IPv4 addresses of one interface are of the same network with the same length."""
    if one.index != other.index or one.prefixlen != other.prefixlen or prefix.version(one.address) != 4:
        return False
    network = prefix.network(other.peer or other.address, other.prefixlen)
    return prefix.contains(network, one.peer or one.address)


def _is_secondary(namespace: Namespace, own: InterfaceAddress) -> bool:
    return _primary(namespace, own) is not own


def _primary(namespace: Namespace, own: InterfaceAddress) -> InterfaceAddress:
    """The first address of its network on its interface."""
    beside = (each for each in namespace.addresses if _is_beside(each, own))
    return next(beside, own) if prefix.version(own.address) == 4 else own


def with_addresses(order: Order, link: Link, addresses: tuple[InterfaceAddress, ...]) -> Snapshot:
    """The snapshot with other addresses on an interface, and the routes that follow from them."""
    before = order.namespace
    after = replace(before, addresses=addresses)
    lost = {a.address for a in before.addresses_of(link)} - {a.address for a in addresses}
    routes = with_made(before.routes, made(before, link), made(after, link))
    routes = tuple(r for r in routes if r.source not in lost)
    if _has_ipv4(before, link) and not _has_ipv4(after, link):
        routes = without_legs(routes, link.index, 4)
    return order.with_fields(addresses=addresses, routes=routes).snapshot


def _has_ipv4(namespace: Namespace, link: Link) -> bool:
    return bool(namespace.addresses_of(link, 4))


def with_made(routes: tuple[Route, ...], old: list[Route], new: list[Route]) -> tuple[Route, ...]:
    """The routes with those that the kernel makes now in the place of those that it had made."""
    before, after = ({_key(route): route for route in each} for each in (old, new))
    there = {_key(route) for route in routes}
    kept = (now for route in routes if (now := _made_anew(route, before, after)) is not None)
    return (*kept, *(route for key, route in after.items() if key not in there and key not in before))


def _made_anew(route: Route, before: Made, after: Made) -> Route | None:
    """A route as it is when others are made of the addresses; None where it is gone. A route of somebody
    else's stays.
    """
    was, now = before.get(_key(route)), after.get(_key(route))
    if was is None or (route.type == "unicast" and route.protocol != "kernel"):
        return route
    if now is None:
        return None
    return route if now.source == was.source else replace(route, source=now.source)


def _key(route: Route) -> Key:
    local = route.type == "local" and prefix.version(route.dst) == 4
    index = route.nexthops[0].index if route.nexthops and not local else None
    return route.dst, route.table, route.type, index


def without_legs(
    routes: tuple[Route, ...], index: int, version: int, *, down: bool = False
) -> tuple[Route, ...]:
    """The routes of one IP version without those that leave by an interface; a leg among others is dead.

    `down`: what is local stays (fib_sync_down_dev: its next hop has no scope).
    """
    return tuple(kept for route in routes for kept in _without_leg(route, index, version, down))


def _without_leg(route: Route, index: int, version: int, down: bool) -> Iterator[Route]:
    others = tuple(leg for leg in route.nexthops if leg.index != index)
    stays = down and version == 4 and route.type == "local"
    if stays or others == route.nexthops or prefix.version(route.dst) != version:
        yield route
    elif version == 4 and any("dead" not in leg.flags for leg in others):
        legs = tuple(_dead(leg) if leg.index == index else leg for leg in route.nexthops)
        yield replace(route, nexthops=legs)
    elif version == 6 and others:
        yield replace(route, nexthops=others)


def _dead(leg: Nexthop) -> Nexthop:
    return replace(leg, flags=tuple(dict.fromkeys((*leg.flags, "dead"))))


def made(namespace: Namespace, link: Link) -> list[Route]:
    """The routes that the kernel makes for the addresses of an interface, as it is."""
    found: Made = {}
    for own in namespace.addresses_of(link):
        for route in _made(namespace, link, own):
            found.setdefault(_key(route), route)
    return list(found.values())


def _made(namespace: Namespace, link: Link, own: InterfaceAddress) -> Iterator[Route]:
    primary = _primary(namespace, own)
    source = primary.address if prefix.version(own.address) == 4 else None
    flags = () if link.carrier else ("linkdown",)
    for route in routes_of(own):
        connected = route.type != "local"
        if connected and (not link.up or primary is not own):
            continue
        leg = Nexthop(link.index, flags=flags if connected else ())
        kind = "local" if link.kind == "loopback" and connected and source else route.type
        table = fib.LOCAL if kind == "local" else route.table
        yield replace(route, type=kind, table=table, source=source, nexthops=(leg,))
    everybody = prefix.broadcast(own.address, own.prefixlen)
    if everybody is not None and link.up and primary is own:
        leg = Nexthop(link.index, flags=flags)
        yield Route(
            f"{everybody}/32", "broadcast", fib.LOCAL, (leg,), source, scope="link", protocol="kernel"
        )


def routes_of(address: InterfaceAddress) -> tuple[Route, ...]:
    """The routes that lead to an address and its network: the address itself as local, its network as on the
    link.
    """
    bits = prefix.bits(address.address)
    leg = (Nexthop(address.index),)
    own = Route(f"{address.address}/{bits}", "local", fib.LOCAL, leg, scope="host", protocol="kernel")
    if address.prefixlen == bits or "noprefixroute" in address.flags:
        return (own,)
    metric = 256 if bits == 128 else 0
    network = prefix.network(address.peer or address.address, address.prefixlen)
    return (own, Route(network, nexthops=leg, scope="link", protocol="kernel", metric=metric))
