"""The routing decision: policy rules in order of priority, then the longest prefix of the table they name.

Rules of the kernel followed here: net/core/fib_rules.c (actions, suppress_prefixlength; which rules select a
packet is in `policy`), net/ipv4/fib_trie.c and fib_semantics.c (longest prefix, TOS, lowest metric, throw),
ip-rule(8), ip-route(8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, starmap, takewhile

from msgspec import Struct

from netprobe.model import (
    InterfaceAddress,
    Link,
    Namespace,
    Nexthop,
    PolicyRule,
    ReadRoute,
    Route,
    RouteQuery,
)
from netprobe.model.lookup import among, but, column, find, grouped, indexed, where

from . import policy, prefix
from .fixes import option
from .view import Lacking

LOCAL, MAIN, DEFAULT = 255, 254, 253

_REFUSALS = {"blackhole": "EINVAL", "unreachable": "EHOSTUNREACH", "prohibit": "EACCES"}


class FibResult(Struct, frozen=True, gc=False):
    """What the FIB says: the route and the leg to take, the policy rule that led there; or `error`, the
    errno's name.

    `candidates` holds every usable leg of a multipath route: which one the kernel takes depends on its hash.
    `learned` is the path MTU, in bytes, that the kernel has for this destination besides what is configured;
    `learned_lock`: it will not be tried to be larger.
    """

    route: Route | None = None
    leg: Nexthop | None = None
    rule: PolicyRule | None = None
    error: str | None = None
    candidates: tuple[Nexthop, ...] = ()
    learned: int | None = None
    learned_lock: bool = False

    @property
    def index(self) -> int | None:
        """The interface of the leg to take."""
        return self.leg.index if self.leg else None

    @property
    def via(self) -> str | None:
        """The next hop, None where the destination itself is on the link."""
        return self.leg.via if self.leg else None

    @property
    def is_on_link(self) -> bool:
        """Whether the destination is taken for a neighbour for want of any route."""
        return self.route is None and self.leg is not None

    @property
    def found(self) -> Route:
        """The route; one of type "none" that says nothing when nothing matched."""
        return self.route or _NO_ROUTE

    @property
    def type(self) -> str:
        """The route's type in ip-route(8)'s words; "none" when nothing matched."""
        return self.found.type


_NO_ROUTE = Route("", "none", scope="")


def sought(namespace: Namespace, query: RouteQuery) -> FibResult:
    """The same as `lookup` during a walk, which may ask for more. Raises Lacking where the namespace has too
    many routes, and those for this query have not been read.
    """
    if namespace.routed is not None and query not in namespace.routed:
        raise Lacking(ReadRoute(namespace.name, query))
    return lookup(namespace, query)


def lookup(namespace: Namespace, query: RouteQuery) -> FibResult:
    """What this namespace's FIB decides for `query`, from the configuration alone, as far as it was read."""
    decisions = (_act(namespace, rule, query) for rule in policy.selected(namespace, query))
    return next(filter(None, decisions), None) or _on_link(query) or FibResult(error="ENETUNREACH")


def _on_link(query: RouteQuery) -> FibResult | None:
    """Without a route by the one interface it may use, IPv4 takes a destination for a neighbour there
    (ip_route_output_key_hash_rcu).
    """
    if query.oif is None or query.iif is not None or ":" in query.dst:
        return None
    leg = Nexthop(query.oif)
    return FibResult(leg=leg, candidates=(leg,))


def _act(namespace: Namespace, rule: PolicyRule, query: RouteQuery) -> FibResult | None:
    """One rule's answer; None lets the next rule speak (nop, no route, throw, suppressed)."""
    if rule.action in _REFUSALS:
        return FibResult(rule=rule, error=_REFUSALS[rule.action])
    if rule.action != "lookup" or rule.table is None:
        return None
    route = best(namespace, rule.table, query)
    if route is None or route.type == "throw":
        return None
    if rule.suppress_prefixlen is not None and prefix.length(route.dst) <= rule.suppress_prefixlen:
        return None
    if route.type in _REFUSALS:
        return FibResult(route, None, rule, _REFUSALS[route.type])
    legs = usable(namespace, route, query.oif)
    return FibResult(route, legs[0] if legs else None, rule, candidates=legs)


def best(namespace: Namespace, table: int, query: RouteQuery) -> Route | None:
    """The table's route for the query: longest prefix, of IPv6 then that of the source, then lowest metric; a
    dead route is passed over. Of IPv6 what came in goes out by the same interface, if one of several leads
    there (rt6_score_route).
    """
    found = (route for route in _covering(namespace, table, query.dst) if _is_from(route, query.src))
    alive = (route for route in found if _is_alive(namespace, route, query.oif))
    first = next(alive, None)
    if first is None or first.version == 4 or query.iif is None or query.iif in first.indexes:
        return first
    equal = takewhile(partial(_is_equal, first), alive)
    return next((route for route in equal if query.iif in route.indexes), first)


def _is_equal(one: Route, other: Route) -> bool:
    """Whether nothing says which of two routes comes first."""
    return (one.dst, one.origin, one.metric) == (other.dst, other.origin, other.metric)


def _is_from(route: Route, source: str | None) -> bool:
    """Whether a packet may take a route of its source: one that has none yet does not (ip6_dst_lookup_tail
    looks again when it has been chosen).
    """
    return route.origin is None or (source is not None and prefix.contains(route.origin, source))


def _covering(namespace: Namespace, table: int, address: str) -> Iterator[Route]:
    """The routes of a table that an address lies in, the longest prefix first, then the lowest metric."""
    number = prefix.number(address)
    masks = indexed(_tables, namespace.routes).get((table, prefix.version(address)), {})
    return (route for mask, routes in masks.items() for route in routes.get(number & mask, ()))


def _is_alive(namespace: Namespace, route: Route, oif: int | None) -> bool:
    """Whether it has a leg to take, or needs none."""
    return not route.nexthops or route.type == "local" or bool(usable(namespace, route, oif))


# the routes of a table and version by mask, the longest first, then by network, the lowest metric first
_Tables = dict[tuple[int, int], dict[int, dict[int, list[Route]]]]


def _tables(routes: tuple[Route, ...]) -> _Tables:
    """The routes as they are looked up."""
    found: _Tables = {}
    for route in sorted(routes, key=lambda r: (-prefix.length(r.dst), -_length_of_origin(r), r.metric)):
        if route.tos == 0:
            version, network, mask = prefix.bounds(route.dst)
            masks = found.setdefault((route.table, version), {})
            masks.setdefault(mask, {}).setdefault(network, []).append(route)
    return found


def _length_of_origin(route: Route) -> int:
    return 0 if route.origin is None else prefix.length(route.origin)


def usable(namespace: Namespace, route: Route, oif: int | None = None) -> tuple[Nexthop, ...]:
    """The legs of a route that the kernel would take: not dead, and of the device asked for when one is asked
    for.
    """
    if route.type == "local":
        return route.nexthops[:1]
    legs = (leg for leg in route.nexthops if oif in (None, leg.index))
    return tuple(leg for leg in legs if "dead" not in leg.flags and not _ignored(namespace, route, leg))


def _ignored(namespace: Namespace, route: Route, leg: Nexthop) -> bool:
    """Legs whose link lost its carrier are passed over only where ignore_routes_with_linkdown says so
    (ip-sysctl).
    """
    if "linkdown" not in leg.flags:
        return False
    link = namespace.link(leg.index)
    name = link.key if link else "all"
    asked = {4: ("all", name), 6: (name,)}[route.version]  # of IPv6 its own alone (rt6_score_route)
    keys = (f"net.ipv{route.version}.conf.{each}.ignore_routes_with_linkdown" for each in asked)
    return "1" in map(namespace.sysctl, keys)


def is_local(namespace: Namespace, address: str) -> bool:
    """Whether the table local says that the address is the namespace's own, loopback prefix included
    (inet_addr_type).
    """
    if local_route(namespace, address) is not None:
        return True
    # of very many not all were read; the kernel makes one of each address
    own = namespace.owner_of(address) if namespace.routed is not None else None
    return own is not None and own.up


def local_route(namespace: Namespace, address: str) -> Route | None:
    """The route of the table local that makes an address the namespace's own, the longest prefix first; None
    where it was not read, too.
    """
    return find(_covering(namespace, LOCAL, address), type="local")


def has_source(namespace: Namespace, address: str) -> bool:
    """Whether a packet of the namespace may bear an IPv4 address as its source: an interface has it, or the
    table local (__ip_dev_find).
    """
    return namespace.address(address) is not None or is_local(namespace, address)


def address_type(namespace: Namespace, address: str, interface: str | None = None) -> str:
    """The type of an address as rules ask for it (inet_addr_type): local, broadcast, multicast, unicast or
    unreachable.
    """
    if prefix.is_multicast(address):
        return "multicast"
    if is_broadcast(namespace, address):
        return "broadcast"
    if is_local(namespace, address):
        link = namespace.owner_of(address)
        return "local" if interface in (None, link and link.name) else "unicast"
    found = sought(namespace, RouteQuery(None, address))
    return found.type if found.route is not None else "unreachable"


def is_broadcast(namespace: Namespace, address: str) -> bool:
    """Whether the address is a broadcast address here (limited, or directed of a connected network)."""
    networks = indexed(_broadcasts, namespace.routes)
    return address == "255.255.255.255" or any(prefix.contains(each, address) for each in networks)


def _broadcasts(routes: tuple[Route, ...]) -> tuple[str, ...]:
    return tuple(column(where(routes, type="broadcast"), "dst"))


_NEAR = ("global", "site", "link")
# The scopes of the addresses that a route of a wider scope than the link's has its sources of.
_SOURCES = {"global": ("global",), "site": ("global", "site")}


def source_for(namespace: Namespace, decision: FibResult, dst: str) -> str | None:
    """The source address the kernel picks for a packet that takes this route (inet_select_addr, RFC 6724 in
    outline).
    """
    if decision.found.source:
        return decision.found.source
    if decision.type == "local":
        return dst
    towards = _looked_towards(decision.via, dst)
    return select_address(namespace, decision.index, towards, _SOURCES.get(decision.found.scope, _NEAR))


def _looked_towards(via: str | None, dst: str) -> str:
    """Towards what a source is chosen: of IPv6 the destination only, of IPv4 the gateway; one of IPv6 says
    nothing, and the interface's first address is taken (fib_semantics.c, fib_info_update_nhc_saddr).
    """
    if via is None or prefix.version(dst) == 6:
        return dst
    return via if prefix.version(via) == 4 else "0.0.0.0"


def select_address(
    namespace: Namespace,
    index: int | None,
    towards: str,
    scopes: tuple[str, ...] = _NEAR,
) -> str | None:
    """The primary address of interface `index`, one of the target's network first; else any interface's
    global one (inet_select_addr; of IPv6 RFC 6724 in outline).
    """
    if prefix.version(towards) == 6:
        return _select_v6(namespace, index, towards)
    near = among(filter(_is_primary, namespace.addresses_at(index)), scope=scopes)
    nearest = (a for a in near if prefix.contains(prefix.connected(a), towards))
    return next(column(chain(nearest, near, _elsewhere(namespace, index)), "address"), None)


def _elsewhere(namespace: Namespace, index: int | None) -> Iterator[InterfaceAddress]:
    """The global primary addresses of all other interfaces."""
    own = indexed(_primary, namespace.addresses)
    yield from but(where(chain.from_iterable(own.values()), scope="global"), index=index)


def _primary(addresses: tuple[InterfaceAddress, ...]) -> dict[int | None, tuple[InterfaceAddress, ...]]:
    """The primary IPv4 addresses by interface."""
    return grouped(filter(_is_primary, addresses), lambda address: address.index)


def _is_primary(address: InterfaceAddress) -> bool:
    return address.version == 4 and "secondary" not in address.flags


def on_link(addresses: Iterable[InterfaceAddress], target: str) -> bool:
    """Whether an address lies in the network of one of these."""
    return any(prefix.contains(prefix.network_of(a), target) for a in addresses)


def masqueraded(namespace: Namespace, out: Link, query: RouteQuery) -> str | None:
    """The address that MASQUERADE takes for what leaves by `out`: of IPv4 a global one, of the next hop's
    network first, whatever source the route prefers (nf_nat_masquerade_ipv4).
    """
    legs = sought(namespace, query).candidates
    towards = next(column(where(legs, index=out.index), "via"), None) or query.dst
    versions = {prefix.version(towards), prefix.version(query.dst)}
    wanted = towards if versions == {4} else query.dst  # IPv6 looks at the destination only
    return select_address(namespace, out.index, wanted, scopes=("global",))


def first_address(namespace: Namespace, link: Link, version: int) -> str | None:
    """The address that REDIRECT takes: the first of the interface that may be used (nf_nat_redirect.c)."""
    return next(column(filter(is_usable, namespace.addresses_of(link, version)), "address"), None)


def is_usable(address: InterfaceAddress) -> bool:
    """Whether a socket may use the address: its duplicate address detection is over, or an optimistic one
    (ipv6_chk_addr; RFC 4429).
    """
    return "dadfailed" not in address.flags and (
        "tentative" not in address.flags or "optimistic" in address.flags
    )


def _select_v6(namespace: Namespace, index: int | None, towards: str) -> str | None:
    scope = "link" if prefix.is_link_local(towards) else "global"
    able = tuple(filter(is_usable, where(namespace.addresses, version=6, scope=scope)))
    near = where(able, index=index)

    def rank(address: InterfaceAddress) -> tuple[bool, bool, int]:
        unliked = is_temporary(address) is not prefers_temporary(namespace, address.index)
        return "deprecated" in address.flags, unliked, -_common_bits(address.address, towards)

    return next(column(sorted(near or able, key=rank), "address"), None)


def is_temporary(address: InterfaceAddress) -> bool:
    """Whether an IPv6 address is one of those that hide who it is (RFC 8981)."""
    return "temporary" in address.flags


def prefers_temporary(namespace: Namespace, index: int | None) -> bool:
    """Whether an interface is to send from such addresses (RFC 6724, rule 7; ipv6_get_saddr_eval)."""
    link = namespace.link(index)
    return link is not None and namespace.number(f"net.ipv6.conf.{link.key}.use_tempaddr") > 1


def _common_bits(one: str, other: str) -> int:
    """The length of the common prefix of two IPv6 addresses (RFC 6724, rule 8)."""
    return 128 - (prefix.number(one) ^ prefix.number(other)).bit_length()


def describe(route: Route, leg: Nexthop | None, link: Link | None) -> str:
    """The route as ip-route(8) names it: "8.8.8.8/32 via 10.0.0.1 dev eth0"."""
    return " ".join(words(route, leg, link))


def table_words(number: int) -> tuple[str, ...]:
    """`table N` of a route; nothing of the main one."""
    return () if number == MAIN else ("table", str(number))


_NAMES = {MAIN: "main", LOCAL: "local"}
OF_THE_LOCAL_TABLE = ("local", "broadcast", "anycast")  # where no other is said (iproute.c, iproute_modify)


def words(route: Route, leg: Nexthop | None, link: Link | None) -> tuple[str, ...]:
    """The same as words."""
    target = "default" if prefix.length(route.dst) == 0 else route.dst
    parts = [target] if route.type == "unicast" else [route.type, target]
    if route.origin is not None:
        parts += ["from", route.origin]
    if route.nhid is not None:
        parts += ["nhid", str(route.nhid)]
        leg = link = None  # the kernel takes one or the other
    if leg is not None and leg.via:
        parts += ["via", leg.via]
    if link is not None:
        parts += ["dev", link.name]
    if route.table != (LOCAL if route.type in OF_THE_LOCAL_TABLE else MAIN):
        parts += ["table", _NAMES.get(route.table, str(route.table))]
    return (*parts, *option("tos", route.tos and hex(route.tos)))


def in_full(route: Route, leg: Nexthop | None, link: Link | None) -> tuple[str, ...]:
    """The same with all else that it was given: what `ip route replace` has to say to change one thing."""
    mtu = ("mtu", *("lock",) * route.mtu_lock, str(route.mtu)) if route.mtu else ()
    given = (
        ("metric", route.metric), ("src", route.source),
        ("advmss", route.advmss), ("hoplimit", route.hoplimit),
        ("proto", None if route.protocol == "boot" else route.protocol),
    )  # fmt: skip
    onlink = ("onlink",) if leg is not None and "onlink" in leg.flags else ()
    return (*words(route, leg, link), *chain.from_iterable(starmap(option, given)), *mtu, *onlink)
