"""Policy rules (RTM_GETRULE): which tables of routes are looked into for whom.

Numbers are those of include/uapi/linux/fib_rules.h; words are ip-rule(8)'s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter
from struct import Struct

from msgspec.structs import replace

from netprobe.linux.alike import AlikeMessages
from netprobe.linux.attribute_values import prefix
from netprobe.linux.netlink import Netlink, Request, address, attributes, text
from netprobe.linux.same import of_the_same
from netprobe.model import PolicyRule

RTM_GETRULE = 34
AF_INET, AF_INET6 = 2, 10
_OF_IP = (bytes((AF_INET,)), bytes((AF_INET6,)))  # how their messages begin

_RULE = Struct("=BBBBB2xBI")  # struct fib_rule_hdr
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 4, 6, 10
FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_UID_RANGE = 14, 15, 16, 17, 19, 20
FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 22, 23, 24
FIB_RULE_INVERT = 0x2
_DST_LEN, _SRC_LEN = 1, 2  # in a struct fib_rule_hdr
NO_SUPPRESSION = 0xFFFFFFFF  # -1 of FRA_SUPPRESS_PREFIXLEN

ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}


def read_rules(netlink: Netlink) -> tuple[PolicyRule, ...]:
    """The IPv4, then the IPv6 policy rules, each in the order in which the kernel tries them."""
    return of_the_same(_rules, netlink.bodies(Request(RTM_GETRULE)))


def _rules(bodies: Sequence[bytes]) -> tuple[PolicyRule, ...]:
    rules = [_read(body) for body in bodies if body[:1] in _OF_IP]
    return tuple(sorted(rules, key=attrgetter("version", "priority")))


def _read(body: bytes) -> PolicyRule:
    """As `rule_of`: those that differ in nothing but their place and whom they are for are decoded once."""
    known, (priority, src, dst) = _of_all.of(body)
    return replace(
        known,
        priority=_number(priority),
        src=None if src is None else prefix(address(src), body[_SRC_LEN]),
        dst=None if dst is None else prefix(address(dst), body[_DST_LEN]),
    )


def rule_of(body: bytes) -> PolicyRule:
    """One policy rule, from what follows the header of an RTM_NEWRULE message. By hand: a host may have
    thousands.
    """
    family, dst_len, src_len, tos, table, action, flags = _RULE.unpack_from(body)
    found = attributes(body, _RULE.size)
    get = found.get
    word = ACTIONS.get(action, str(action))
    suppress = _number(get(FRA_SUPPRESS_PREFIXLEN), NO_SUPPRESSION)
    return PolicyRule(
        priority=_number(get(FRA_PRIORITY)),
        version=6 if family == AF_INET6 else 4,
        action=word,
        table=(_number(get(FRA_TABLE), table) or None) if word == "lookup" else None,
        src=prefix(address(found[FRA_SRC]), src_len) if FRA_SRC in found else None,
        dst=prefix(address(found[FRA_DST]), dst_len) if FRA_DST in found else None,
        iif=_name(get(FRA_IIFNAME)),
        oif=_name(get(FRA_OIFNAME)),
        mark=_number(get(FRA_FWMARK)),
        mask=_number(get(FRA_FWMASK), 0xFFFFFFFF if FRA_FWMARK in found else 0),
        uids=_range(get(FRA_UID_RANGE)),
        protocol=_number(get(FRA_IP_PROTO)) or None,
        sports=_range(get(FRA_SPORT_RANGE)),
        dports=_range(get(FRA_DPORT_RANGE)),
        tos=tos,
        inverted=bool(flags & FIB_RULE_INVERT),
        goto=_number(found[FRA_GOTO]) if FRA_GOTO in found else None,
        suppress_prefixlen=None if suppress == NO_SUPPRESSION else suppress,
        l3mdev=bool(_number(get(FRA_L3MDEV))),
    )


_of_all = AlikeMessages(rule_of, _RULE.size, FRA_PRIORITY, FRA_SRC, FRA_DST)


def _number(value: bytes | None, default: int = 0) -> int:
    return default if value is None else int.from_bytes(value, sys.byteorder)


def _name(value: bytes | None) -> str | None:
    return text(value.rstrip(b"\0")) if value else None


def _range(value: bytes | None) -> tuple[int, int] | None:
    """The first and the last of two numbers: of uids of four bytes, of ports of two."""
    if value is None:
        return None
    half = len(value) // 2
    return _number(value[:half]), _number(value[half:])
