"""Fixes of addresses, carried out on a snapshot, and the routes that the kernel makes for addresses.

Kernel: net/ipv4/fib_frontend.c (fib_add_ifaddr, fib_del_ifaddr), net/ipv4/devinet.c (__inet_insert_ifa,
__inet_del_ifa), net/ipv6/addrconf.c (inet6_addr_add, inet6_addr_del).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Nexthop, Route, Snapshot
from netprobe.model.lookup import (
    all_but,
    but,
    column,
    exchanged,
    first,
    grouped,
    indexed,
    not_among,
    those_not_in,
    where,
)  # fmt: skip
from netprobe.predict import fib, ipv6, prefix

from .order import Order, elsewhere, refuse_if

Key = tuple[str, int, str, int | None]
Made = dict[Key, Route]
_Network = tuple[int, str]
_PROMOTES = "net.ipv4.conf.{}.promote_secondaries"


def change_address(order: Order) -> Snapshot:
    """`ip address add|replace|del ADDRESS/LENGTH dev IFACE`, with the routes that come and go with it; and
    `ip address change ADDRESS/LENGTH dev IFACE preferred_lft forever|0 valid_lft forever`; `ip address
    flush dev IFACE`.
    """
    link = order.device
    if order.plain == ["flush"]:
        return with_addresses(order, link, elsewhere(order.namespace.addresses, link))
    _, written = order.plain
    own = _with_peer(link, _read(link, written), order.option("peer"))
    there = [each for each in order.namespace.addresses_of(link) if _name(each) == _name(own)]
    verb = order.permit(there, "add", "replace", "change", "del")
    if there:
        return _CHANGES[verb](order, link, there[0])
    refuse_if(own.version == 6 and _has_no_ipv6(order, link), written)  # EACCES
    return with_addresses(order, link, (*order.namespace.addresses, own))


def _read(link: Link, written: str) -> InterfaceAddress:
    """ADDRESS[/LENGTH] on an interface; ValueError for what is none."""
    text, _, length = written.partition("/")
    prefix.number(text)
    return InterfaceAddress(link.index, text, int(length or prefix.bits(text)), scope=_scope(text))


def _with_peer(link: Link, own: InterfaceAddress, written: str | None) -> InterfaceAddress:
    """The address with the far end of its interface as ip-address(8) takes it: the length is that one's."""
    if written is None:
        return own
    far = _read(link, written)
    return replace(own, peer=far.address, prefixlen=far.prefixlen)


def _name(own: InterfaceAddress) -> tuple[str, int, str | None]:
    """What the kernel knows an address by: IPv6 by itself, IPv4 with its length and its peer
    (inet_rtm_deladdr).
    """
    return (own.address, own.prefixlen, own.peer) if own.version == 4 else (own.address, 128, None)


def _kept(order: Order, _link: Link, _own: InterfaceAddress) -> Snapshot:
    return order.snapshot


def _preferred(order: Order, _link: Link, own: InterfaceAddress) -> Snapshot:
    """With an address that may be a source again, or no more; KeyError for other times than these."""
    preferred = order.option("preferred_lft")
    refuse_if(order.option("valid_lft") != "forever" or preferred not in ("forever", "0"), "preferred_lft")
    kept = replace(own, flags=flagged(own.flags, "deprecated", preferred == "0"))
    addresses = exchanged(order.namespace.addresses, own, kept)
    return order.with_fields(addresses=addresses).snapshot


def _has_no_ipv6(order: Order, link: Link) -> bool:
    stem = f"net.ipv6.conf.{link.key}"
    return order.namespace.sysctl(f"{stem}.disable_ipv6", "0") != "0" or link.mtu < ipv6.MTU


def _scope(address: str) -> str:
    if prefix.is_loopback(address):
        return "host"
    return "link" if prefix.needs_scope(address) else "global"


def _deleted(order: Order, link: Link, gone: InterfaceAddress) -> Snapshot:
    """Without an address: those of its network that came after it go along, unless they take its place; and
    without any IPv4 address left the interface loses all its IPv4 routes.
    """
    namespace = order.namespace
    goes = [gone]
    if _primary(namespace, gone) is gone and not _promotes(order, link):
        goes += indexed(_by_network, namespace.addresses).get(_network(gone), ())
    return with_addresses(order, link, all_but(namespace.addresses, goes))


_CHANGES = {"replace": _kept, "change": _preferred, "del": _deleted}


def _promotes(order: Order, link: Link) -> bool:
    return any(order.namespace.number(_PROMOTES.format(name)) for name in ("all", link.key))


def _by_network(addresses: tuple[InterfaceAddress, ...]) -> dict[_Network, tuple[InterfaceAddress, ...]]:
    """The IPv4 addresses that are beside each other, in their order; a container may have ten thousand."""
    return grouped(where(addresses, version=4), _network)


def _network(own: InterfaceAddress) -> _Network:
    """An address's network, with its length, and its interface."""
    return own.index, prefix.connected(own)


def _primary(namespace: Namespace, own: InterfaceAddress) -> InterfaceAddress:
    """The first address of its network on its interface; of IPv6 each is."""
    return indexed(_by_network, namespace.addresses).get(_network(own), (own,))[0]


def with_addresses(order: Order, link: Link, addresses: tuple[InterfaceAddress, ...]) -> Snapshot:
    """The snapshot with other addresses on an interface, and the routes that follow from them."""
    before = order.namespace
    after = replace(before, addresses=addresses)
    lost = {*column(before.addresses_of(link), "address")} - {*column(addresses, "address")}
    others = {*column(but(addresses, index=link.index), "address")}
    stay = [*filter(partial(_is_of_another, others, link), before.routes)]
    routes = (*stay, *with_made(all_but(before.routes, stay), made(before, link), made(after, link)))
    routes = not_among(routes, source=lost)
    order = order.with_fields(addresses=addresses, routes=routes)
    if before.addresses_of(link, 4) and not after.addresses_of(link, 4):
        order = _without_ip(order, link)
    return order.snapshot


def _is_of_another(others: set[str], link: Link, route: Route) -> bool:
    """Whether an IPv4 address is local by another interface that has it: each has an entry of its own."""
    entry = (route.type, route.version, link.index in route.indexes) == ("local", 4, False)
    return entry and route.dst.removesuffix("/32") in others


def _without_ip(order: Order, link: Link) -> Order:
    """The namespace without what an interface of no IPv4 address loses: its routes, and its neighbours, those
    too that somebody wrote (fib_disable_ip, neigh_ifdown).
    """
    routes, known = order.namespace.routes, order.namespace.neighbours
    gone = where(known, index=link.index, version=4)
    return order.with_fields(routes=without_legs(routes, link.index, 4), neighbours=all_but(known, gone))


def with_made(routes: tuple[Route, ...], old: list[Route], new: list[Route]) -> tuple[Route, ...]:
    """The routes with those that the kernel makes now in the place of those that it had made."""
    before, after = first(old, _key), first(new, _key)
    known = {*before, *map(_key, routes)}
    kept = filter(None, (_made_anew(route, before, after) for route in routes))
    more = [after[key] for key in those_not_in(after, known)]
    return (*kept, *more)


def _made_anew(route: Route, before: Made, after: Made) -> Route | None:
    """A route as it is when others are made of the addresses; None where it is gone. A route of somebody
    else's stays.
    """
    was, now = before.get(_key(route)), after.get(_key(route))
    if was is None or (route.type == "unicast" and route.protocol != "kernel"):
        return route
    if now is None:
        return None
    if now.source == was.source:
        return route
    return replace(route, source=now.source)


def _key(route: Route) -> Key:
    local = route.type == "local" and route.version == 4
    index = route.nexthops[0].index if route.nexthops and not local else None
    return route.dst, route.table, route.type, index


def without_legs(
    routes: tuple[Route, ...], index: int, version: int, *, spared: str = ""
) -> tuple[Route, ...]:
    """The routes of one IP version without those that leave by an interface; a leg among others is dead.

    `spared`: the type of those that stay (fib_sync_down_dev: the next hop of a local one has no scope).
    """
    cut = {4: _with_a_dead_leg, 6: _with_a_leg_less}[version]
    kept = (route if _stays(route, index, version, spared) else cut(route, index) for route in routes)
    return tuple(filter(None, kept))


def _stays(route: Route, index: int, version: int, spared: str) -> bool:
    return index not in route.indexes or route.version != version or route.type == spared


def _with_a_dead_leg(route: Route, index: int) -> Route | None:
    cut = legs_flagged(route, index, "dead", True)
    if any("dead" not in leg.flags for leg in cut.nexthops):
        return cut
    return None


def _with_a_leg_less(route: Route, index: int) -> Route | None:
    others = but(route.nexthops, index=index)
    return replace(route, nexthops=others) if others else None


def legs_flagged(route: Route, index: int, flag: str, holds: bool) -> Route:
    """The route, whose legs over an interface have a flag, or do not have it."""
    legs = (
        replace(leg, flags=flagged(leg.flags, flag, holds)) if leg.index == index else leg
        for leg in route.nexthops
    )
    return replace(route, nexthops=tuple(legs))


def flagged(flags: tuple[str, ...], flag: str, holds: bool) -> tuple[str, ...]:
    """Flags with one more, or one less; as they are where that is so already."""
    if holds:
        return tuple(dict.fromkeys((*flags, flag)))
    return those_not_in(flags, (flag,))


def made(namespace: Namespace, link: Link) -> list[Route]:
    """The routes that the kernel makes for the addresses of an interface, as it is."""
    each = (_made(namespace, link, own) for own in namespace.addresses_of(link))
    return list(first(chain.from_iterable(each), _key).values())


def _made(namespace: Namespace, link: Link, own: InterfaceAddress) -> Iterator[Route]:
    """The route to the address; and, of the first of its network, those to the network while the interface is
    up.
    """
    primary = _primary(namespace, own)
    source = primary.address if own.version == 4 else None
    to_itself, *connected = routes_of(own)
    yield replace(to_itself, source=source)
    if link.up and primary is own:
        legs = (Nexthop(link.index, flags=() if link.carrier else ("linkdown",)),)
        connected = [_on_loopback(each) if link.kind == "loopback" else each for each in connected]
        for route in (*connected, *_to_everybody(own), *_to_any_router(namespace, link, own)):
            yield replace(route, source=source, nexthops=legs)


def _on_loopback(route: Route) -> Route:
    """A network on the loopback is local, of IPv4."""
    if route.version == 4:
        return replace(route, type="local", table=fib.LOCAL)
    return route


def _to_everybody(own: InterfaceAddress) -> Iterator[Route]:
    address = prefix.broadcast(own.address, own.prefixlen)
    if address is not None:
        yield Route(f"{address}/32", "broadcast", fib.LOCAL, scope="link", protocol="kernel")


def _to_any_router(namespace: Namespace, link: Link, own: InterfaceAddress) -> Iterator[Route]:
    """The address of any router of a network, which one that forwards has as well (addrconf_join_anycast)."""
    if own.version == 4 or own.prefixlen >= 127 or link.kind == "loopback":
        return
    if namespace.number(f"net.ipv6.conf.{link.key}.forwarding"):
        anybody = prefix.network_of(own).partition("/")[0]
        yield Route(f"{anybody}/128", "anycast", fib.LOCAL, scope="global", protocol="kernel")


def routes_of(address: InterfaceAddress) -> tuple[Route, ...]:
    """The routes that lead to an address and its network: the address itself as local, its network as on the
    link; in IPv6 also where that is the address alone (addrconf_prefix_route).
    """
    bits = prefix.bits(address.address)
    leg = (Nexthop(address.index),)
    own = Route(f"{address.address}/{bits}", "local", fib.LOCAL, leg, scope="host", protocol="kernel")
    alone = address.prefixlen == bits and address.version == 4
    if alone or "noprefixroute" in address.flags:
        return (own,)
    metric = 256 if bits == 128 else 0
    network = prefix.connected(address)
    return (own, Route(network, nexthops=leg, scope="link", protocol="kernel", metric=metric))
