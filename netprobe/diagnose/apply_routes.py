"""Fixes of routes, carried out on a snapshot, and refused where the kernel refuses them.

Kernel: net/ipv4/fib_semantics.c (fib_create_info, fib_check_nh), net/ipv4/fib_trie.c (fib_table_insert,
fib_table_delete), net/ipv6/route.c (ip6_route_check_nh, fib6_nh_init), net/ipv6/ip6_fib.c (fib6_add).
"""

from __future__ import annotations

from functools import partial
from itertools import compress, filterfalse

from msgspec.structs import replace

from netprobe.model import Link, Nexthop, Route, Snapshot
from netprobe.model.lookup import among, but, exchanged, find, where, without
from netprobe.predict import fib, prefix

from .order import Order, must, refuse_if

_LED = ("unicast", *fib.OF_THE_LOCAL_TABLE)  # out of an interface that is said
_TYPES = (*_LED, "blackhole", "unreachable", "prohibit", "throw")
_TABLES = {"local": fib.LOCAL, "main": fib.MAIN, "default": fib.DEFAULT}
_METRIC6 = 1024  # IP6_RT_PRIO_USER
_KNOWN = {
    "via", "dev", "table", "metric", "src", "scope", "proto", "mtu", "nhid", "from", "tos",
    "mtu lock", "hoplimit", "advmss",
}  # fmt: skip


def flush_cache(order: Order) -> Snapshot:
    """`ip route flush cache`: what was learned of paths is asked anew."""
    kept = but(order.snapshot.answers, namespace=order.name)
    return replace(order.snapshot, answers=kept)


def change_route(order: Order) -> Snapshot:
    """`ip route add|append|del|change|replace [TYPE] PREFIX [via ADDRESS] [dev IFACE] [table N] [metric N]
    [src ADDRESS] [onlink]`.
    """
    routes = order.namespace.routes
    if order.words[0] == "del":
        return order.with_fields(routes=_deleted(order)).snapshot
    new = _route(order)
    same = find(routes, dst=new.dst, table=new.table, metric=new.metric, tos=new.tos, origin=new.origin)
    verb = order.permit(same, "add", "append", "change", "replace")
    alike = find(routes, **_of_one_way(new))
    refuse_if(alike != same and alike is not None, new.dst)  # EEXIST: it is there behind another one
    if same is None:
        routes = (*routes, new)
    elif verb != "append":
        routes = exchanged(routes, same, new)
    elif new.version == 6 and any(new.gateways):  # one multipath route of those with the same metric
        routes = exchanged(routes, same, replace(same, nexthops=(*same.nexthops, *new.nexthops)))
    else:
        routes = (*routes, new)
    return order.with_fields(routes=routes).snapshot


def _of_one_way(new: Route) -> dict[str, object]:
    """What two routes have in common that the kernel takes for one (fib_table_insert, fib_find_info)."""
    read = ("dst", "table", "metric", "tos", "origin", "type", "nexthops", "source")
    return {name: getattr(new, name) for name in read}


def _route(order: Order) -> Route:
    """The route that the words describe; KeyError where the kernel refuses it."""
    kind, dst = _named(order)
    via, source = order.address("via"), order.address("src")
    refuse_if(source and order.namespace.owner_of(source) is None, source)  # EINVAL: Invalid prefsrc address
    six = prefix.version(dst) == 6
    table, nhid = _table(order, kind), order.option("nhid")
    mtu, locked, hops, mss = map(order.number, ("mtu", "mtu lock", "hoplimit", "advmss"))
    legs = _legs(order, kind, six, table, via) if nhid is None else _of_object(order, int(nhid))
    return Route(
        dst, kind, table, legs, source,
        int(order.option("metric") or _METRIC6 * six),
        protocol=order.option("proto") or "boot", scope=_scope(kind, via, six), tos=order.number("tos") or 0,
        mtu=mtu or locked, mtu_lock=bool(locked), hoplimit=hops, advmss=mss,
        origin=_origin(order, six), nhid=int(nhid) if nhid else None,
    )  # fmt: skip


def _of_object(order: Order, nhid: int) -> tuple[Nexthop, ...]:
    """The legs of a nexthop object, as another route by it shows them."""
    refuse_if(order.option("via", "dev"), nhid)  # EINVAL: one or the other
    return must(find(order.namespace.routes, nhid=nhid), nhid).nexthops


def replace_nexthop(order: Order) -> Snapshot:
    """`ip nexthop replace id N [via ADDRESS] dev IFACE [onlink]`: all routes by it go that way
    (replace_nexthop_single).
    """
    via, nhid = order.address("via"), int(must(order.option("id"), "id"))
    refuse_if({key for key, _ in order.pairs} - {"id", "via", "dev"}, nhid)
    routes = order.namespace.routes
    used = where(routes, nhid=nhid)
    refuse_if(not used or len(used[0].nexthops) > 1, nhid)  # a group is of ids
    legs = _legs(order, "unicast", used[0].version == 6, fib.MAIN, via)
    for each in used:
        routes = exchanged(routes, each, replace(each, nexthops=legs))
    return order.with_fields(routes=routes).snapshot


def _origin(order: Order, six: bool) -> str | None:
    said = order.option("from")
    refuse_if(said and not six, said)  # EINVAL
    return as_prefix(said, six) if said else None


def _table(order: Order, kind: str) -> int:
    return as_table(order.option("table") or ("local" if kind in fib.OF_THE_LOCAL_TABLE else "main"))


def _named(order: Order) -> tuple[str, str]:
    """The type and the destination, and nothing else that is not understood."""
    words = order.plain[1:]
    typed = words[0] in _typed(order)
    kind, dst, *flags = words if typed else ("unicast", *words)
    keys = {key for key, _ in order.pairs}
    unknown = {*flags} - {"onlink"} | keys - _KNOWN
    refuse_if(unknown or "nexthop" in order.words, dst)
    return kind, as_prefix(dst, order.six, checked=order.words[0] != "del")


def _typed(order: Order) -> tuple[str, ...]:
    """The words that stand for a type; one of them is for what the kernel alone makes."""
    return (*_TYPES, "anycast") if order.words[0] == "del" else _TYPES


def _scope(kind: str, via: str | None, six: bool) -> str:
    if kind == "local":
        return "host"
    if kind in _LED and via is None and not six:
        return "link"
    return "global"


def _legs(order: Order, kind: str, six: bool, table: int, via: str | None) -> tuple[Nexthop, ...]:
    out = order.named_device
    if kind not in _LED:
        home = where(order.namespace.links, name="lo")[:six]  # IPv6 refuses by way of lo
        return tuple(Nexthop(lo.index) for lo in home)
    onlink = "onlink" in order.plain
    refuse_if(six and ":" not in (via or ":"), via)  # ip(8): inet6 address is expected
    if via is not None and not onlink:
        out = _towards(order, via, out, table)
    link = must(out, "dev")  # ENODEV
    refuse_if(not link.up, "dev")  # ENETDOWN
    flags = {"onlink": onlink, "linkdown": not link.carrier}
    return (Nexthop(link.index, via, flags=tuple(compress(flags, flags.values()))),)


def _leads_straight(route: Route, out: Link | None) -> bool:
    """Whether a route has no gateway itself, and goes out of an interface where one is given."""
    return not any(route.gateways) and (out is None or out.index in route.indexes)


def _towards(order: Order, via: str, wanted: Link | None, table: int) -> Link | None:
    """The interface by which a gateway is a neighbour: by a route that has no gateway itself; no address of
    this machine.
    """
    namespace = order.namespace
    refuse_if(namespace.owner_of(via), via)  # EINVAL
    if prefix.needs_scope(via) and wanted is not None:
        return wanted
    tables = (table, fib.LOCAL, fib.MAIN)
    routes = among(namespace.routes, table=tables)
    fitting = (each for each in routes if prefix.contains(each.dst, via) and _leads_straight(each, wanted))
    best = must(max(fitting, key=lambda route: prefix.length(route.dst), default=None), via)  # EHOSTUNREACH
    refuse_if(best.type != "unicast", via)  # EINVAL: Nexthop has invalid gateway
    return namespace.link(best.nexthops[0].index)


def as_prefix(word: str, six: bool, checked: bool = True) -> str:
    """A destination as ip(8) reads it; `checked`: IPv4 takes none with bits behind its length."""
    if word == "default":
        return prefix.WHOLE[6 if six else 4]
    address, _, length = word.partition("/")
    prefix.number(address)
    made = prefix.network(address, int(length or prefix.bits(address)))
    if checked and prefix.version(address) == 4 and made.partition("/")[0] != address:
        raise ValueError(word)  # EINVAL: Invalid prefix for given prefix length
    return made


def as_table(word: str) -> int:
    """The number of a routing table; those of the kernel have names."""
    known = _TABLES.get(word)
    return int(word) if known is None else known


# ---- taking away


def _deleted(order: Order) -> tuple[Route, ...]:
    kind, dst = _named(order)
    routes = order.namespace.routes
    origin, tos = _origin(order, prefix.version(dst) == 6), order.number("tos") or 0
    near = where(routes, dst=dst, table=_table(order, kind), origin=origin, tos=tos)
    if order.plain[1] in _typed(order):
        near = where(near, type=kind, by_object=False)
    gone = must(next((route for route in near if _is_meant(route, order)), None), dst)  # ESRCH
    left = _remaining(gone, order)
    if left:
        return exchanged(routes, gone, replace(gone, nexthops=left))
    return without(routes, gone)


def _is_meant(route: Route, order: Order) -> bool:
    """Whether `ip route del` with these words takes this route: what is not said may be anything."""
    said = int(order.option("metric") or route.metric), order.option("src") or route.source
    if said != (route.metric, route.source):
        return False
    if route.nhid is not None:  # fib_nh_match
        return order.option("nhid", "via", "dev") in (None, str(route.nhid))
    refuse_if(order.option("nhid"), route.dst)
    legs = route.nexthops or (Nexthop(),)
    return any(map(partial(_is_leg, order), legs))


def _is_leg(order: Order, leg: Nexthop) -> bool:
    said = order.named_device or leg
    return (said.index, order.option("via") or leg.via) == (leg.index, leg.via)


def _remaining(route: Route, order: Order) -> tuple[Nexthop, ...]:
    """IPv6 takes away the one leg that is named."""
    if route.version == 4 or order.option("via") is None:
        return ()
    return tuple(filterfalse(partial(_is_leg, order), route.nexthops))
