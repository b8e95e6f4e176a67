"""Fixes of routes, carried out on a snapshot, and refused where the kernel refuses them.

Kernel: net/ipv4/fib_semantics.c (fib_create_info, fib_check_nh), net/ipv4/fib_trie.c (fib_table_insert,
fib_table_delete), net/ipv6/route.c (ip6_route_check_nh, fib6_nh_init), net/ipv6/ip6_fib.c (fib6_add).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Link, Nexthop, Route, Snapshot
from netprobe.model.lookup import exchanged
from netprobe.predict import fib, prefix

from .order import Order

_TYPES = ("unicast", "local", "blackhole", "unreachable", "prohibit", "throw")
_TABLES = {"local": fib.LOCAL, "main": fib.MAIN, "default": fib.DEFAULT}
_METRIC6 = 1024  # IP6_RT_PRIO_USER
_KNOWN = {"via", "dev", "table", "metric", "src", "scope", "proto", "mtu"}


def flush_cache(order: Order) -> Snapshot:
    """`ip route flush cache`: what was learned of paths is asked anew."""
    kept = tuple(asked for asked in order.snapshot.answers if asked.namespace != order.name)
    return replace(order.snapshot, answers=kept)


def change_route(order: Order) -> Snapshot:
    """`ip route add|append|del|change|replace [TYPE] PREFIX [via ADDRESS] [dev IFACE] [table N] [metric N]
    [src ADDRESS] [onlink]`.
    """
    what, routes = order.words[0], order.namespace.routes
    if what == "del":
        return order.with_fields(routes=_deleted(order)).snapshot
    wanted = _route(order)
    same = [r for r in routes if _place(r) == _place(wanted)]
    if (what == "add" and same) or (what == "change" and not same):
        raise KeyError(wanted.dst)  # EEXIST, ENOENT
    if what in ("change", "replace") and same:
        return order.with_fields(routes=exchanged(routes, same[0], wanted)).snapshot
    if what not in ("add", "append", "replace"):
        raise KeyError(what)
    if what == "append" and same and prefix.version(wanted.dst) == 6 and wanted.nexthops[0].via:
        return order.with_fields(routes=_with_leg(routes, same[0], wanted)).snapshot
    return order.with_fields(routes=(*routes, wanted)).snapshot


def _place(route: Route) -> tuple[object, ...]:
    return route.dst, route.table, route.metric, route.tos


def _with_leg(routes: tuple[Route, ...], same: Route, wanted: Route) -> tuple[Route, ...]:
    """IPv6 makes one multipath route of those with the same metric."""
    grown = replace(same, nexthops=(*same.nexthops, *wanted.nexthops))
    return exchanged(routes, same, grown)


def _route(order: Order) -> Route:
    """The route that the words describe; KeyError where the kernel refuses it."""
    kind, dst = _named(order)
    table = as_table(order.option("table") or ("local" if kind == "local" else "main"))
    via, source, metric = order.option("via"), order.option("src"), order.option("metric")
    for address in (via, source):
        if address is not None:
            prefix.number(address)
    if source is not None and order.namespace.owner_of(source) is None:
        raise KeyError(source)  # EINVAL: Invalid prefsrc address
    six = prefix.version(dst) == 6
    legs = _legs(order, kind, six, table, via)
    mtu = order.option("mtu")
    return Route(
        dst, kind, table, legs, source, int(metric) if metric else _METRIC6 * six,
        scope=_scope(kind, via, six), mtu=int(mtu) if mtu else None,
    )  # fmt: skip


def _named(order: Order) -> tuple[str, str]:
    """The type and the destination, and nothing else that is not understood."""
    kind, *rest = order.plain[1:] if order.plain[1] in _TYPES else ("unicast", *order.plain[1:])
    unknown = set(rest[1:]) - {"onlink"} or {key for key, _ in order.pairs} - _KNOWN
    if unknown or "nexthop" in order.words:
        raise KeyError(" ".join(sorted(unknown)))
    return kind, as_prefix(rest[0], order.six, checked=order.words[0] != "del")


def _scope(kind: str, via: str | None, six: bool) -> str:
    if kind == "local":
        return "host"
    return "link" if kind == "unicast" and via is None and not six else "global"


def _legs(order: Order, kind: str, six: bool, table: int, via: str | None) -> tuple[Nexthop, ...]:
    device = order.option("dev")
    link = order.link(device) if device is not None else None
    if kind not in ("unicast", "local"):
        home = order.namespace.link_named("lo") if six else None  # IPv6 refuses by way of lo
        return (Nexthop(home.index),) if home is not None else ()
    onlink = "onlink" in order.plain
    if via is not None and not onlink:
        link = _towards(order, via, link, table)
    if link is None or not link.up:
        raise KeyError("dev")  # ENODEV; ENETDOWN
    flags = {"onlink": onlink, "linkdown": not link.carrier}
    return (Nexthop(link.index, via, flags=tuple(flag for flag, holds in flags.items() if holds)),)


def _leads_straight(route: Route, out: Link | None) -> bool:
    """Whether a route has no gateway itself, and goes out of an interface where one is given."""
    straight = all(leg.via is None for leg in route.nexthops)
    return straight and (out is None or out.index in [leg.index for leg in route.nexthops])


def _towards(order: Order, via: str, wanted: Link | None, table: int) -> Link | None:
    """The interface by which a gateway is a neighbour: by a route that has no gateway itself; no address of
    this machine.
    """
    namespace = order.namespace
    if namespace.owner_of(via) is not None:
        raise KeyError(via)  # EINVAL
    if prefix.needs_scope(via) and wanted is not None:
        return wanted
    tables = (table, fib.LOCAL, fib.MAIN)
    near = [each for each in namespace.routes if each.table in tables and prefix.contains(each.dst, via)]
    fitting = [route for route in near if _leads_straight(route, wanted)]
    best = max(fitting, key=lambda route: prefix.length(route.dst), default=None)
    if best is None or best.type != "unicast" or not best.nexthops:
        raise KeyError(via)  # EINVAL: Nexthop has invalid gateway; EHOSTUNREACH
    return namespace.link(best.nexthops[0].index)


def as_prefix(word: str, six: bool, checked: bool = True) -> str:
    """A destination as ip(8) reads it; `checked`: IPv4 takes none with bits behind its length."""
    if word == "default":
        return prefix.WHOLE[6 if six else 4]
    address, _, length = word.partition("/")
    prefix.number(address)
    whole = prefix.bits(address)
    made = prefix.network(address, int(length) if length else whole)
    if checked and whole == 32 and made.partition("/")[0] != address:
        raise ValueError(word)  # EINVAL: Invalid prefix for given prefix length
    return made


def as_table(word: str) -> int:
    """The number of a routing table; those of the kernel have names."""
    return _TABLES[word] if word in _TABLES else int(word)


# ---- taking away


def _deleted(order: Order) -> tuple[Route, ...]:
    kind, dst = _named(order)
    routes, typed = order.namespace.routes, order.plain[1] in _TYPES
    table = as_table(order.option("table") or ("local" if kind == "local" else "main"))
    for at, route in enumerate(routes):
        fits = (route.dst, route.table) == (dst, table) and (
            not typed or (route.type == kind and not route.by_object)
        )
        if fits and _is_meant(route, order):
            return (*routes[:at], *_remaining(route, order), *routes[at + 1 :])
    raise KeyError(dst)  # ESRCH


def _is_meant(route: Route, order: Order) -> bool:
    """Whether `ip route del` with these words takes this route: what is not said may be anything."""
    device, metric, source = (order.option(key) for key in ("dev", "metric", "src"))
    if metric is not None and route.metric != int(metric):
        return False
    if source not in (None, route.source):
        return False
    return any(_is_leg(leg, order) for leg in route.nexthops) or (
        not route.nexthops and device is None and order.option("via") is None
    )


def _is_leg(leg: Nexthop, order: Order) -> bool:
    device, via = order.option("dev"), order.option("via")
    index = order.link(device).index if device is not None else leg.index
    return index == leg.index and via in (None, leg.via)


def _remaining(route: Route, order: Order) -> tuple[Route, ...]:
    """IPv6 takes away the one leg that is named."""
    if prefix.version(route.dst) == 4 or order.option("via") is None:
        return ()
    kept = tuple(leg for leg in route.nexthops if not _is_leg(leg, order))
    return (replace(route, nexthops=kept),) if kept else ()
