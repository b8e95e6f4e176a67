"""Fixes of addresses, routes, policy rules, neighbours and sysctls, carried out on a snapshot: ip(8),
sysctl(8).
"""

from __future__ import annotations

from netprobe.model import InterfaceAddress, Nexthop, PolicyRule, Route, Snapshot
from netprobe.predict import fib, prefix

from .apply_links import routes_of
from .order import Order

_TYPES = ("unicast", "local", "blackhole", "unreachable", "prohibit", "throw")
_TABLES = {"local": fib.LOCAL, "main": fib.MAIN, "default": fib.DEFAULT}


def change_address(order: Order) -> Snapshot:
    """`ip address add|del ADDRESS/LENGTH dev IFACE`, with the routes that come and go with it."""
    what, written, link = order.words[0], order.words[1], order.link(order.needed("dev"))
    text, _, length = written.partition("/")
    bits = 128 if prefix.version(text) == 6 else 32
    prefix.number(text)
    namespace, address = order.namespace, InterfaceAddress(link.index, text, int(length or bits))
    there = [
        a
        for a in namespace.addresses
        if (a.index, a.address, a.prefixlen) == (link.index, text, address.prefixlen)
    ]
    if what == "add":
        known = {(r.dst, r.table) for r in namespace.routes}
        routes = tuple(r for r in routes_of(address) if (r.dst, r.table) not in known)
        return order.with_fields(
            addresses=(*namespace.addresses, address), routes=(*namespace.routes, *routes)
        ).snapshot
    if what != "del" or not there:
        raise KeyError(written)
    kept = tuple(a for a in namespace.addresses if a not in there)
    needed = {(r.dst, r.table) for a in kept for r in routes_of(a)}
    gone = {(r.dst, r.table) for r in routes_of(there[0])} - needed
    routes = tuple(
        r
        for r in namespace.routes
        if (r.dst, r.table) not in gone or (r.type != "local" and r.protocol != "kernel")
    )
    return order.with_fields(addresses=kept, routes=routes).snapshot


def change_route(order: Order) -> Snapshot:
    """`ip route add|append|del|change|replace [TYPE] PREFIX [via ADDRESS] [dev IFACE] [table N] [metric N]
    [src ADDRESS]`.
    """
    what, wanted = order.words[0], _route(order)
    routes = order.namespace.routes
    if what == "del":
        first = next((r for r in routes if _is_meant(r, wanted, order)), None)
        if first is None:
            raise KeyError(" ".join(order.words))
        return order.with_fields(routes=_without(routes, first)).snapshot
    if what in ("change", "replace"):
        same = next(
            (r for r in routes if (r.dst, r.table, r.metric) == (wanted.dst, wanted.table, wanted.metric)),
            None,
        )
        if same is None and what == "change":
            raise KeyError(wanted.dst)
        return order.with_fields(routes=(*(_without(routes, same) if same else routes), wanted)).snapshot
    if what not in ("add", "append"):
        raise KeyError(what)
    return order.with_fields(routes=(*routes, wanted)).snapshot


def _without(routes: tuple[Route, ...], one: Route) -> tuple[Route, ...]:
    at = routes.index(one)
    return (*routes[:at], *routes[at + 1 :])


def _route(order: Order) -> Route:
    """The route that the words describe; without a device it leaves by the one that the next hop is on."""
    words = order.words[1:]
    kind = words[0] if words[0] in _TYPES else "unicast"
    dst = _prefix(words[1] if words[0] in _TYPES else words[0], order.six)
    via, source = order.option("via"), order.option("src")
    for address in (via, source):
        if address is not None:
            prefix.number(address)
    device = order.option("dev")
    index = order.link(device).index if device is not None else _towards(order, via)
    table = _table(order.option("table") or ("local" if kind == "local" else "main"))
    legs = (Nexthop(index, via),) if index is not None else ()
    if kind == "unicast" and not legs and order.words[0] != "del":
        raise KeyError("dev")
    return Route(dst, kind, table, legs, source, int(order.option("metric") or 0))


def _towards(order: Order, via: str | None) -> int | None:
    """The interface that a next hop is on."""
    if via is None:
        return None
    networks = ((a, prefix.network(a.address, a.prefixlen)) for a in order.namespace.addresses)
    return next((a.index for a, network in networks if prefix.contains(network, via)), None)


def _prefix(word: str, six: bool) -> str:
    if word == "default":
        return "::/0" if six else "0.0.0.0/0"
    address, _, length = word.partition("/")
    prefix.number(address)
    whole = 128 if prefix.version(address) == 6 else 32
    return f"{address}/{int(length) if length else whole}"


def _table(word: str) -> int:
    return _TABLES[word] if word in _TABLES else int(word)


def _is_meant(route: Route, wanted: Route, order: Order) -> bool:
    """Whether `ip route del` with these words takes this route: what is not said may be anything
    (fib_table_delete).
    """
    if (route.dst, route.table) != (wanted.dst, wanted.table) or (
        wanted.metric and route.metric != wanted.metric
    ):
        return False
    if order.words[1] in _TYPES and route.type != wanted.type:
        return False
    legs = {(leg.index, leg.via) for leg in route.nexthops}
    device, via = order.option("dev"), order.option("via")
    index = order.link(device).index if device is not None else None
    return (index is None or any(i == index for i, _ in legs)) and (
        via is None or any(v == via for _, v in legs)
    )


def change_policy_rule(order: Order) -> Snapshot:
    """`ip rule del pref N` and `ip rule add pref N from PREFIX lookup TABLE`."""
    version, priority = 6 if order.six else 4, int(order.needed("pref", "priority"))
    rules = order.namespace.rules
    if order.words[0] == "del":
        first = next((r for r in rules if (r.version, r.priority) == (version, priority)), None)
        if first is None:
            raise KeyError(priority)
        at = rules.index(first)
        return order.with_fields(rules=(*rules[:at], *rules[at + 1 :])).snapshot
    if order.words[0] != "add":
        raise KeyError(order.words[0])
    source = order.option("from")
    src = None if source in (None, "all") else _prefix(source, order.six)
    return order.with_fields(
        rules=(*rules, PolicyRule(priority, version, table=_table(order.needed("lookup", "table")), src=src))
    ).snapshot


def delete_neighbour(order: Order) -> Snapshot:
    """`ip neigh del ADDRESS dev IFACE`."""
    address, link = order.words[0], order.link(order.needed("dev"))
    kept = tuple(n for n in order.namespace.neighbours if (n.address, n.index) != (address, link.index))
    return order.with_fields(neighbours=kept).snapshot


def set_sysctl(order: Order) -> Snapshot:
    """`sysctl -w NAME=VALUE`, with the interfaces that a general switch sets along (inet_forward_change,
    addrconf_fixup_forwarding).
    """
    key, equals, value = order.words[0].partition("=")
    if not equals or not value.lstrip("-").isdigit():
        raise ValueError(order.words[0])
    if key.endswith("accept_ra"):
        raise KeyError(key)  # what the next advertisement will bring is not in the model
    along = {key: value}
    if key in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"):
        along |= {"net.ipv4.ip_forward": value} | _each(order, "net.ipv4.conf.", ".forwarding", value)
    if key in ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.all.disable_ipv6"):
        along |= _each(order, "net.ipv6.conf.", key[key.rindex(".") :], value)
    return order.with_fields(sysctls={**order.namespace.sysctls, **along}).snapshot


def _each(order: Order, start: str, end: str, value: str) -> dict[str, str]:
    return {key: value for key in order.namespace.sysctls if key.startswith(start) and key.endswith(end)}
