"""How far a packet may go that a namespace sends: the TTL, or hop limit, and what it comes from. Pure.

Kernel: include/net/route.h (ip4_dst_hoplimit), net/ipv6/output_core.c (ip6_dst_hoplimit); ip-sysctl.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Namespace, Object

from . import fib, fixes
from .fib import FibResult

ORDINARY = 64  # what a default usually is (RFC 1700)


class Life(Struct, frozen=True, gc=False):
    """The TTL of a packet, the setting that it comes from, and what makes it an ordinary one."""

    ttl: int
    object: Object
    fix: fixes.Fix


def life(namespace: Namespace, version: int, decision: FibResult) -> Life:
    """The TTL that a namespace gives a packet of its own on this route: the route's, of IPv6 the interface's,
    else everybody's.
    """
    link = namespace.link(decision.index)
    route = decision.found
    if route.hoplimit:
        named = fib.describe(route, decision.leg, link)
        object = Object("route", named, f"{named} hoplimit {route.hoplimit}")
        words = fib.in_full(replace(route, hoplimit=None), decision.leg, link)
        fix = fixes.ip(route.dst, "route", "replace", *words)
        return Life(route.hoplimit, object, (fix,))
    key = "net.ipv4.ip_default_ttl" if version == 4 else "net.ipv6.conf.all.hop_limit"
    own = f"net.ipv6.conf.{link.key}.hop_limit" if link is not None else ""
    if version == 6 and namespace.sysctl(own) is not None:
        key = own
    value = namespace.number(key, ORDINARY)
    return Life(value, Object("sysctl", key, f"{key} = {value}"), fixes.sysctl(key, ORDINARY))
