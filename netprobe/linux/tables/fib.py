"""Routes and nexthop objects (RTM_GETROUTE, RTM_GETNEXTHOP), and questions to the kernel's FIB.

Numbers are those of include/uapi/linux/{rtnetlink,nexthop}.h; words are ip-route(8)'s.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from struct import Struct

from msgspec.structs import replace

from netprobe.errors import is_short
from netprobe.linux.attribute_values import prefix
from netprobe.linux.netlink import ROUTE, Netlink, Record, Request, address, decoded
from netprobe.linux.record import Chosen
from netprobe.linux.same import of_the_same
from netprobe.model import InterfaceAddress, Nexthop, Route, RouteAnswer, RouteQuery

from .links import RTM_GETADDR, address_of
from .policy import RTM_GETRULE

RTM_NEWROUTE, RTM_GETROUTE, RTM_GETNEXTHOP = 24, 26, 106
AF_INET, AF_INET6 = 2, 10

RTAX_MTU = 2
DEFAULT, MAIN, LOCAL = 253, 254, 255
RTM_F_CLONED, RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x200, 0x1000, 0x2000

MOST = 2000  # routes that are read, 20 us each; where there are more, those that are needed
MOST_OWN = 200  # of the table local
FIRST = 64  # of a table, among which its defaults are
KERNEL, BY_HAND = 2, (3, 4)  # RTPROT_KERNEL; RTPROT_BOOT, RTPROT_STATIC
UNICAST, OWN, BLACKHOLE, THROW = 1, 2, 6, 9  # RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, RTN_THROW
# of a route of the types blackhole, unreachable and prohibit (fib_props, net/ipv4/fib_semantics.c)
REFUSALS = {errno.EINVAL: BLACKHOLE, errno.EHOSTUNREACH: 7, errno.EACCES: 8}

_ROUTE, _PREFIXLEN = Struct("=BB6xI"), 1  # struct rtmsg
# of RTA_*: DST, PREFSRC; what else a Route is made of, which are SRC, OIF, GATEWAY, PRIORITY, METRICS,
# MULTIPATH, TABLE, VIA, ENCAP_TYPE, NH_ID
_OF_A_ROUTE = Chosen(_ROUTE.size, 1, 7, 2, 4, 5, 6, 8, 9, 15, 18, 21, 30)

TYPES = {
    0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
    7: "unreachable", 8: "prohibit",
    9: "throw", 10: "nat",
}  # fmt: skip
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
PROTOCOLS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt",
    11: "zebra", 12: "bird",
    13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 84: "openr", 186: "bgp",
    187: "isis",
    188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip
LEG_FLAGS = {
    0x01: "dead",
    0x02: "pervasive",
    0x04: "onlink",
    0x08: "offload",
    0x10: "linkdown",
    0x20: "unresolved",
}
ENCAPSULATIONS = {
    1: "mpls",
    2: "ip",
    3: "ila",
    4: "ip6",
    5: "seg6",
    6: "bpf",
    7: "seg6local",
    8: "rpl",
    9: "ioam6",
    10: "xfrm",
}


def read_routes(netlink: Netlink, at_least: int = 0) -> tuple[tuple[Route, ...], bool]:
    """The IPv4 and IPv6 routes of all tables, `local` among them; and whether they are all. `at_least`: how
    many there must be, as far as is known; each address that is in use has one.

    Without the cache: what the kernel has learned of single destinations (path MTUs, redirects) comes and
    goes with packets, and is in its answers to questions (`ask_route`). A dump has IPv6's (inet6_dump_fib).
    """
    bodies = netlink.bodies_at_most(Request(RTM_GETROUTE), MOST) if at_least <= MOST else None
    if bodies is not None:
        return _told(netlink, of_the_same(_decoded, bodies)), True
    with Netlink(strict=True) as strict:
        return _told(netlink, _decoded(_few(netlink, strict, at_least))), False


def _decoded(bodies: Sequence[bytes]) -> tuple[Route, ...]:
    read = _of_all.read
    found = (read(body, partial(decoded, ROUTE, RTM_NEWROUTE, body)) for body in bodies)
    return tuple(dict.fromkeys(filter(None, found)))


def read_defaults(netlink: Netlink) -> tuple[Route, ...]:
    """The default routes of the main table, IPv4 and IPv6: they come first of all, so that no more is read of
    a table of a million.
    """
    with Netlink(strict=True) as strict:
        found = [each for family in (AF_INET, AF_INET6) for each in _of_table(strict, family, MAIN, FIRST)]
    return _told(netlink, _decoded([each for each in found if _is_default(each)]))


def _is_default(body: bytes) -> bool:
    return not body[_PREFIXLEN]


def _few(netlink: Netlink, strict: Netlink, at_least: int) -> list[bytes]:
    """Of very many routes those that the kernel makes, defaults, and tables that are small: a router has a
    million others, and a packet goes by one. Of the table local the first, and those that somebody has made:
    what the kernel makes of addresses is told by them, and by more than FIRST of them in one dump.
    """
    found = []
    named = {record.get("FRA_TABLE", record["table"]) for record in netlink.dump(Request(RTM_GETRULE))}
    others = named - {MAIN, LOCAL, DEFAULT, 0}
    for family in (AF_INET, AF_INET6):
        told = _of_networks(netlink, others) if family == AF_INET and at_least <= FIRST else None
        found += _all_of(strict, family, KERNEL, UNICAST) if told is None else told
        own = _of_table(strict, family, LOCAL, MOST_OWN)
        if len(own) == MOST_OWN:
            own = own[:FIRST]
            for protocol in BY_HAND:
                found += _all_of(strict, family, protocol, OWN)
        found += own
        if others:  # a throw leads on to the next of them
            found += strict.first_bodies(Request(RTM_GETROUTE, {"family": family, "type": THROW}), MOST)
        for table in (MAIN, DEFAULT, *sorted(others)):  # the shortest prefixes come first
            first = _of_table(strict, family, table, FIRST)
            found += [each for each in first if len(first) < FIRST or _is_default(each)]
    return found


def _all_of(strict: Netlink, family: int, protocol: int, kind: int) -> list[bytes]:
    """The routes that somebody has made, of a type; the kernel looks at each that it has."""
    return strict.first_bodies(
        Request(RTM_GETROUTE, {"family": family, "proto": protocol, "type": kind}), MOST
    )


def _of_networks(netlink: Netlink, others: Collection[int]) -> list[bytes] | None:
    """The routes that the kernel made of IPv4 addresses, asked for one by one; None where it has others than
    the addresses tell, or another table may answer.
    """
    own = netlink.at_most(Request(RTM_GETADDR, {"family": AF_INET}), FIRST)
    if own is None or others:
        return None
    found = []
    for network in filter(None, {_network(address_of(record.body)) for record in own}):
        query = RouteQuery(None, str(network.network_address))
        try:
            record = netlink.ask(_question(query, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH))
        except OSError:
            return None
        if (record["proto"], record["type"], record["dst_len"]) != (KERNEL, UNICAST, network.prefixlen):
            return None
        found.append(record.body)
    return found


def _network(own: InterfaceAddress) -> ipaddress.IPv4Network | None:
    """The network that an address has on its link, if it is not alone there; the loopback's is local."""
    if own.prefixlen == 32 or own.scope == "host":
        return None
    return ipaddress.IPv4Interface(f"{own.peer or own.address}/{own.prefixlen}").network


def _of_table(strict: Netlink, family: int, table: int, most: int) -> list[bytes]:
    try:
        return strict.first_bodies(Request(RTM_GETROUTE, {"family": family}, [("RTA_TABLE", table)]), most)
    except FileNotFoundError:  # a rule may name one in which there are no routes
        return []


def _routes(netlink: Netlink, records: Iterable[Record]) -> tuple[Route, ...]:
    wanted = (each for each in records if _is_wanted(each["family"], each["flags"]))
    return _told(netlink, tuple(dict.fromkeys(map(route_of, wanted))))


def _is_wanted(family: int, flags: int) -> bool:
    return family in (AF_INET, AF_INET6) and not flags & RTM_F_CLONED


def _told(netlink: Netlink, found: tuple[Route, ...]) -> tuple[Route, ...]:
    """These routes, each once, with the legs of nexthop objects."""
    if not any(route.nhid and not route.nexthops for route in found):
        return found
    objects = _read_nexthops(netlink)
    return tuple(dict.fromkeys(_resolved(route, objects) for route in found))


class AlikeRoutes:
    """Routes of which most are like another, in this namespace or the next: those that differ in nothing but
    where they lead to, and the address that is preferred, are decoded once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Route] = {}

    def read(self, body: bytes, decoded: Callable[[], Record]) -> Route | None:
        """The route, of what follows the header of an RTM_NEWROUTE message, as `route_of` would; `decoded` is
        the message as that wants it. None of one that does not count.
        """
        family, length, flags = _ROUTE.unpack_from(body)
        if not _is_wanted(family, flags):
            return None
        dst, source, *others = _OF_A_ROUTE.of(body)
        like = (body[:1], body[_PREFIXLEN + 1 : _ROUTE.size], source is None, *others)
        known = self._known.get(like)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[like] = route_of(decoded())
            return known
        return replace(
            known,
            dst=_prefix(None if dst is None else address(dst), length, family),
            source=None if source is None else address(source),
        )


_of_all = AlikeRoutes()


def find_routes(netlink: Netlink, query: RouteQuery) -> tuple[Route, ...]:
    """The routes that the kernel's FIB finds for `query`, and for its destination alone: of a source or a way
    in that it does not take it says nothing. Where one refuses, which the kernel does not name, all that do.
    """
    found = []
    for each in dict.fromkeys((query, RouteQuery(None, query.dst, mark=query.mark))):
        try:
            found.append(netlink.ask(_question(each, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH)))
        except OSError as error:
            if is_short(error):
                raise
            if each.src is None and each.iif is None and error.errno in REFUSALS:
                found += _refusing(query.dst, REFUSALS[error.errno])
    return tuple(map(_unmerged, _routes(netlink, found)))


def _refusing(dst: str, kind: int) -> list[Record]:
    family = AF_INET6 if ":" in dst else AF_INET
    with Netlink(strict=True) as strict:
        return strict.first(Request(RTM_GETROUTE, {"family": family, "type": kind}), MOST)


def _unmerged(route: Route) -> Route:
    """Without own policy rules the kernel keeps `local` inside `main` and answers with main's number
    (fib_trie_unmerge).
    """
    merged = route.type in ("local", "broadcast") and route.table == MAIN
    return replace(route, table=LOCAL) if merged else route


def route_of(record: Record) -> Route:
    """One route from an RTM_NEWROUTE message; of the same bytes the same one."""
    found = _known.get(record.body)
    if found is None:
        found = _route_of(record)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        if record.body:
            _known[record.body] = found
    return found


_known: dict[bytes, Route] = {}  # by what follows the header
_MOST_KNOWN = 1024


def _route_of(record: Record) -> Route:
    metrics = record.nest("RTA_METRICS")
    encapsulation = record.get("RTA_ENCAP_TYPE", 0)
    return Route(
        dst=_prefix(record.get("RTA_DST"), record["dst_len"], record["family"]),
        type=TYPES.get(record["type"], str(record["type"])),
        table=record.get("RTA_TABLE", record["table"]),
        nexthops=_legs(record),
        source=record.get("RTA_PREFSRC"),
        metric=record.get("RTA_PRIORITY", 0),
        protocol=PROTOCOLS.get(record["proto"], str(record["proto"])),
        scope=SCOPES.get(record["scope"], str(record["scope"])),
        tos=record["tos"],
        mtu=metrics.get("RTAX_MTU"),
        mtu_lock=bool(metrics.get("RTAX_LOCK", 0) & 1 << RTAX_MTU),
        hoplimit=metrics.get("RTAX_HOPLIMIT"),
        advmss=metrics.get("RTAX_ADVMSS"),
        tunnel=ENCAPSULATIONS.get(encapsulation, str(encapsulation)) if encapsulation else None,
        by_object=record["type"] == BLACKHOLE and "RTA_NH_ID" in record,
        nhid=record.get("RTA_NH_ID"),
        origin=_prefix(record.get("RTA_SRC"), record["src_len"], record["family"])
        if record["src_len"]
        else None,
    )


def _prefix(address: str | None, length: int, family: int) -> str:
    if address is None:
        return "::/0" if family == AF_INET6 else "0.0.0.0/0"
    return prefix(address, length)


def _legs(record: Record) -> tuple[Nexthop, ...]:
    if "RTA_MULTIPATH" in record:
        legs = record.array("RTA_MULTIPATH")
        return tuple(Nexthop(leg["oif"] or None, _via(leg), _words(leg["flags"])) for leg in legs)
    if "RTA_OIF" not in record and "RTA_GATEWAY" not in record and "RTA_VIA" not in record:
        return ()
    return (Nexthop(record.get("RTA_OIF") or None, _via(record), _words(record["flags"])),)


def _via(record: Record) -> str | None:
    if "RTA_VIA" in record:  # an IPv4 route through an IPv6 gateway
        return str(record.get("RTA_VIA")["addr"])
    gateway: str | None = record.get("RTA_GATEWAY")
    return gateway


def _words(flags: int) -> tuple[str, ...]:
    return tuple(word for bit, word in LEG_FLAGS.items() if flags & bit)


def _read_nexthops(netlink: Netlink) -> dict[int, Record]:
    """The nexthop objects by id.

    Routes carry their legs only while net.ipv4.nexthop_compat_mode is 1 (its default).
    """
    return {record.get("NHA_ID", 0): record for record in netlink.dump(Request(RTM_GETNEXTHOP))}


def _resolved(route: Route, objects: Mapping[int, Record]) -> Route:
    if route.nexthops or route.nhid is None or route.nhid not in objects:
        return route
    ids = [member["id"] for member in objects[route.nhid].array("NHA_GROUP")] or [route.nhid]
    members = [objects[each] for each in ids if each in objects]
    if any("NHA_BLACKHOLE" in each for each in members):
        return replace(route, type="blackhole", by_object=True)
    return replace(route, nexthops=tuple(map(_object_leg, members)))


def _object_leg(found: Record) -> Nexthop:
    return Nexthop(found.get("NHA_OIF") or None, found.get("NHA_GATEWAY"), _words(found["flags"]))


def ask_route(netlink: Netlink, query: RouteQuery) -> RouteAnswer:
    """What the kernel's FIB of this socket's namespace answers to `query`; a refusal is an answer (`error`),
    not an exception.

    Raises OSError where the kernel had no room to look, or did not answer in time.
    """
    way, entry_of_it = questions(query)
    try:
        answer = answer_of(netlink.ask(way))
    except OSError as error:
        if is_short(error):  # it never came to a lookup
            raise
        return RouteAnswer(error=errno.errorcode.get(error.errno or 0, str(error.errno)))
    try:
        entry = route_of(netlink.ask(entry_of_it))
    except OSError:
        return answer
    return replace(answer, prefix=entry.dst, table=_unmerged(entry).table)


def questions(query: RouteQuery) -> tuple[Request, Request]:
    """What the kernel is asked for an answer to `query`: the way, and the entry of a table that it is."""
    return _question(query, RTM_F_LOOKUP_TABLE), _question(query, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH)


def answer_of(record: Record) -> RouteAnswer:
    """The kernel's resolved answer, from an RTM_NEWROUTE message."""
    route = route_of(record)
    leg = route.nexthops[0] if route.nexthops else Nexthop()
    return RouteAnswer(
        type=route.type, table=route.table, index=leg.index, via=leg.via, source=route.source, mtu=route.mtu,
        mtu_lock=route.mtu_lock,
    )  # fmt: skip


def _question(query: RouteQuery, flags: int) -> Request:
    if not query.is_answered:
        query = replace(query, protocol=None, sport=None, dport=None)
    family, bits = (AF_INET6, 128) if ipaddress.ip_address(query.dst).version == 6 else (AF_INET, 32)
    fields = {"family": family, "dst_len": bits, "src_len": bits if query.src else 0, "flags": flags}
    asked = {
        "RTA_DST": query.dst, "RTA_SRC": query.src or None, "RTA_IIF": query.iif, "RTA_OIF": query.oif,
        "RTA_MARK": query.mark or None,
        # what is forwarded counts as root's (ip6_route_input leaves the uid 0), of a question as nobody's
        "RTA_UID": query.uid if query.iif is None else 0,
        "RTA_IP_PROTO": query.protocol, "RTA_SPORT": query.sport,
        "RTA_DPORT": query.dport,
    }  # fmt: skip
    return Request(
        RTM_GETROUTE, fields, [(name, value) for name, value in asked.items() if value is not None]
    )
