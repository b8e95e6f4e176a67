"""Routes, policy rules and nexthop objects (RTM_GETROUTE, RTM_GETRULE, RTM_GETNEXTHOP), and questions to the kernel's FIB.

Numbers are those of include/uapi/linux/{rtnetlink,fib_rules,nexthop}.h; words are ip-route(8)'s and ip-rule(8)'s.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from netprobe.model import Nexthop, PolicyRule, Route, RouteAnswer, RouteQuery

from .netlink import Netlink, address, attribute, attributes, number, signed, text

RTM_GETROUTE, RTM_GETRULE, RTM_GETNEXTHOP = 26, 34, 106
AF_INET, AF_INET6 = 2, 10

RTA_DST, RTA_SRC, RTA_IIF, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = range(1, 10)
RTA_TABLE, RTA_MARK, RTA_VIA, RTA_ENCAP_TYPE, RTA_UID = 15, 16, 18, 21, 25
RTA_IP_PROTO, RTA_SPORT, RTA_DPORT, RTA_NH_ID = 27, 28, 29, 30
RTAX_LOCK, RTAX_MTU = 1, 2
MAIN, LOCAL = 254, 255
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000

FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 4, 6, 10
FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_UID_RANGE = 14, 15, 16, 17, 19, 20
FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 22, 23, 24
FIB_RULE_INVERT = 0x2

NHA_ID, NHA_GROUP, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY = 1, 2, 4, 5, 6

TYPES = {
    0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit",
    9: "throw", 10: "nat",
}  # fmt: skip
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
PROTOCOLS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra", 12: "bird",
    13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 84: "openr", 186: "bgp", 187: "isis",
    188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip
LEG_FLAGS = {0x01: "dead", 0x02: "pervasive", 0x04: "onlink", 0x08: "offload", 0x10: "linkdown", 0x20: "unresolved"}
ENCAPSULATIONS = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6", 10: "xfrm"}
ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

_RTMSG = struct.Struct("=BBBBBBBBI")
_RTNEXTHOP = struct.Struct("=HBBi")
_NHMSG = struct.Struct("=BBBBI")
_GROUP_MEMBER = struct.Struct("=IBBH")


def read_routes(netlink: Netlink) -> tuple[Route, ...]:
    """The IPv4 and IPv6 routes of all tables, `local` among them, without the cache."""
    found: list[tuple[Route, int]] = []  # each with the id of its nexthop object, 0 for none
    for _, payload in netlink.dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
        if payload[0] in (AF_INET, AF_INET6):
            found.append((route_of(payload), number(attributes(payload, _RTMSG.size).get(RTA_NH_ID))))
    if any(nexthop_id and not route.nexthops for route, nexthop_id in found):
        objects = _read_nexthops(netlink)
        return tuple(_resolved(route, nexthop_id, objects) for route, nexthop_id in found)
    return tuple(route for route, _ in found)


def route_of(payload: bytes) -> Route:
    """One route from the payload of an RTM_NEWROUTE message."""
    family, dst_len, _, tos, table, protocol, scope, kind, flags = _RTMSG.unpack_from(payload)
    fields = attributes(payload, _RTMSG.size)
    metrics = attributes(fields.get(RTA_METRICS, b""))
    encapsulation = number(fields.get(RTA_ENCAP_TYPE))
    return Route(
        dst=_prefix(fields.get(RTA_DST), dst_len, family),
        type=TYPES.get(kind, str(kind)),
        table=number(fields.get(RTA_TABLE), table),
        nexthops=_legs(fields, flags),
        source=address(fields[RTA_PREFSRC]) if RTA_PREFSRC in fields else None,
        metric=number(fields.get(RTA_PRIORITY)),
        protocol=PROTOCOLS.get(protocol, str(protocol)),
        scope=SCOPES.get(scope, str(scope)),
        tos=tos,
        mtu=number(metrics[RTAX_MTU]) if RTAX_MTU in metrics else None,
        mtu_lock=bool(number(metrics.get(RTAX_LOCK)) & 1 << RTAX_MTU),
        tunnel=ENCAPSULATIONS.get(encapsulation, str(encapsulation)) if encapsulation else None,
    )


def _prefix(value: bytes | None, length: int, family: int) -> str:
    if value is None:
        return "::/0" if family == AF_INET6 else "0.0.0.0/0"
    return f"{address(value)}/{length}"


def _legs(fields: Mapping[int, bytes], flags: int) -> tuple[Nexthop, ...]:
    if RTA_MULTIPATH in fields:
        return tuple(_multipath(fields[RTA_MULTIPATH]))
    if RTA_OIF not in fields and RTA_GATEWAY not in fields and RTA_VIA not in fields:
        return ()
    return (Nexthop(number(fields.get(RTA_OIF)) or None, _via(fields), 1, _words(flags)),)


def _multipath(data: bytes) -> list[Nexthop]:
    legs = []
    offset = 0
    while offset + _RTNEXTHOP.size <= len(data):
        length, flags, hops, index = _RTNEXTHOP.unpack_from(data, offset)
        if length < _RTNEXTHOP.size:
            break
        fields = attributes(data[offset + _RTNEXTHOP.size : offset + length])
        legs.append(Nexthop(index or None, _via(fields), hops + 1, _words(flags)))
        offset += (length + 3) & ~3
    return legs


def _via(fields: Mapping[int, bytes]) -> str | None:
    if RTA_GATEWAY in fields:
        return address(fields[RTA_GATEWAY])
    if RTA_VIA in fields:  # an IPv4 route through an IPv6 gateway: family (2 bytes), then the address
        return address(fields[RTA_VIA][2:])
    return None


def _words(flags: int) -> tuple[str, ...]:
    return tuple(word for bit, word in LEG_FLAGS.items() if flags & bit)


class _Object(NamedTuple):
    """A nexthop object: its attributes and the flags of its header."""

    fields: Mapping[int, bytes]
    flags: int


def _read_nexthops(netlink: Netlink) -> dict[int, _Object]:
    """The nexthop objects by id. Routes carry their legs only while net.ipv4.nexthop_compat_mode is 1 (its default)."""
    objects = {}
    for _, payload in netlink.dump(RTM_GETNEXTHOP, _NHMSG.pack(0, 0, 0, 0, 0)):
        fields = attributes(payload, _NHMSG.size)
        objects[number(fields.get(NHA_ID))] = _Object(fields, _NHMSG.unpack_from(payload)[4])
    return objects


def _resolved(route: Route, nexthop_id: int, objects: Mapping[int, _Object]) -> Route:
    if route.nexthops or nexthop_id not in objects:
        return route
    members = objects[nexthop_id].fields.get(NHA_GROUP)
    ids = [(nexthop_id, 0)] if members is None else [(member[0], member[1]) for member in _GROUP_MEMBER.iter_unpack(members)]
    if any(NHA_BLACKHOLE in objects[key].fields for key, _ in ids if key in objects):
        return replace(route, type="blackhole")
    return replace(route, nexthops=tuple(_object_leg(objects[key], extra + 1) for key, extra in ids if key in objects))


def _object_leg(found: _Object, weight: int) -> Nexthop:
    gateway = found.fields.get(NHA_GATEWAY)
    return Nexthop(number(found.fields.get(NHA_OIF)) or None, address(gateway) if gateway else None, weight, _words(found.flags))


def read_rules(netlink: Netlink) -> tuple[PolicyRule, ...]:
    """The IPv4, then the IPv6 policy rules, each in the order in which the kernel tries them."""
    dumped = netlink.dump(RTM_GETRULE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))
    rules = [rule_of(payload) for _, payload in dumped if payload[0] in (AF_INET, AF_INET6)]
    return tuple(sorted(rules, key=lambda rule: (rule.version, rule.priority)))


def rule_of(payload: bytes) -> PolicyRule:
    """One policy rule from the payload of an RTM_NEWRULE message."""
    family, dst_len, src_len, tos, table, _, _, action, flags = _RTMSG.unpack_from(payload)
    fields = attributes(payload, _RTMSG.size)
    word = ACTIONS.get(action, str(action))
    suppress = signed(fields.get(FRA_SUPPRESS_PREFIXLEN), -1)
    return PolicyRule(
        priority=number(fields.get(FRA_PRIORITY)),
        version=6 if family == AF_INET6 else 4,
        action=word,
        table=(number(fields.get(FRA_TABLE), table) or None) if word == "lookup" else None,
        src=_prefix(fields[FRA_SRC], src_len, family) if FRA_SRC in fields else None,
        dst=_prefix(fields[FRA_DST], dst_len, family) if FRA_DST in fields else None,
        iif=text(fields.get(FRA_IIFNAME)) or None,
        oif=text(fields.get(FRA_OIFNAME)) or None,
        mark=number(fields.get(FRA_FWMARK)),
        mask=number(fields.get(FRA_FWMASK), 0xFFFFFFFF if FRA_FWMARK in fields else 0),
        uids=_range(fields.get(FRA_UID_RANGE), "=II"),
        protocol=number(fields.get(FRA_IP_PROTO)) or None,
        sports=_range(fields.get(FRA_SPORT_RANGE), "=HH"),
        dports=_range(fields.get(FRA_DPORT_RANGE), "=HH"),
        tos=tos,
        inverted=bool(flags & FIB_RULE_INVERT),
        goto=number(fields[FRA_GOTO]) if FRA_GOTO in fields else None,
        suppress_prefixlen=suppress if suppress >= 0 else None,
        l3mdev=bool(number(fields.get(FRA_L3MDEV))),
    )


def _range(value: bytes | None, shape: str) -> tuple[int, int] | None:
    if value is None:
        return None
    first, last = struct.unpack_from(shape, value)
    return first, last


def ask_route(netlink: Netlink, query: RouteQuery) -> RouteAnswer:
    """What the kernel's FIB of this socket's namespace answers to `query`; a refusal is an answer (`error`), not an exception."""
    both = RTM_F_LOOKUP_TABLE, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH
    kernel, matched = netlink.ask([(RTM_GETROUTE, _question(query, flags)) for flags in both])
    if isinstance(kernel, OSError):
        return RouteAnswer(error=errno.errorcode.get(kernel.errno or 0, str(kernel.errno)))
    answer = answer_of(kernel)
    if isinstance(matched, OSError):
        return answer
    entry = route_of(matched)
    # without own policy rules the kernel keeps `local` inside `main` and answers with main's number (fib_trie_unmerge)
    merged = entry.type in ("local", "broadcast") and entry.table == MAIN
    return replace(answer, prefix=entry.dst, table=LOCAL if merged else entry.table)


def answer_of(payload: bytes) -> RouteAnswer:
    """The kernel's resolved answer, from the payload of an RTM_NEWROUTE message."""
    route = route_of(payload)
    leg = route.nexthops[0] if route.nexthops else Nexthop()
    return RouteAnswer(type=route.type, table=route.table, index=leg.index, via=leg.via, source=route.source, mtu=route.mtu)


def _question(query: RouteQuery, flags: int) -> bytes:
    dst, src = _packed(query.dst), _packed(query.src) if query.src else b""
    family = AF_INET6 if len(dst) == 16 else AF_INET
    body = _RTMSG.pack(family, len(dst) * 8, len(src) * 8, 0, 0, 0, 0, 0, flags) + attribute(RTA_DST, dst)
    if src:
        body += attribute(RTA_SRC, src)
    numbers = ((RTA_IIF, "=I", query.iif), (RTA_OIF, "=I", query.oif), (RTA_MARK, "=I", query.mark or None), (RTA_UID, "=I", query.uid),
               (RTA_IP_PROTO, "=B", query.protocol), (RTA_SPORT, "!H", query.sport), (RTA_DPORT, "!H", query.dport))  # fmt: skip
    return body + b"".join(attribute(kind, struct.pack(shape, value)) for kind, shape, value in numbers if value is not None)


def _packed(text_address: str) -> bytes:
    return ipaddress.ip_address(text_address).packed
