"""Would the kernel accept a packet with this source on this interface? Martians and the reverse path filter.

Kernel: net/ipv4/fib_frontend.c (fib_validate_source, __fib_validate_source), net/ipv4/route.c
(ip_route_input_slow); ip-sysctl.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import (
    InterfaceAddress,
    Link,
    Namespace,
    Object,
    Route,
    RouteQuery,
    Stage,
    Stop,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import but, has, where

from . import fib, fixes, prefix
from .drop import lost
from .view import Ground, Packet


def check(
    ground: Ground, name: str, link: Link, src: str, dst: str, packet: Packet, out: int | None = None
) -> Stop | None:
    """Why the input route of a packet src -> dst on `link` is refused for its source; None when it is not.
    `out`: the ifindex of the interface that it would be forwarded by.
    """
    if prefix.version(dst) == 6 or link.kind == "loopback":
        return None
    namespace = ground.namespace(name)
    back = RouteQuery(dst, src, iif=out, mark=heeded(namespace, link, packet.mark))
    return _martian(namespace, name, link, dst, back) or _reverse_path(namespace, name, link, back)


def heeded(namespace: Namespace, link: Link | None, mark: int) -> int:
    """The mark by which the way back to the source of a packet is asked for: its own, where src_valid_mark
    says so.
    """
    return mark if link is not None and in_force(namespace, link, "src_valid_mark")[0] else 0


def seen_from(decision: fib.FibResult) -> int | None:
    """The interface by which the way back is asked for as if from there, by its ifindex: the one that the
    packet would be forwarded by (fib_validate_source, `oif`); None, the loopback, of what comes for the
    namespace itself.
    """
    return decision.index if decision.type == "unicast" else None


def in_force(namespace: Namespace, link: Link, setting: str) -> tuple[int, str]:
    """The larger of `all` and the interface's own value, and the sysctl that it comes from."""
    own = f"net.ipv4.conf.{link.key}.{setting}"
    general = f"net.ipv4.conf.all.{setting}"
    values = [(namespace.number(key), key) for key in (own, general)]
    return max(values, key=lambda v: v[0])


def _martian(namespace: Namespace, name: str, link: Link, dst: str, back: RouteQuery) -> Stop | None:
    src = back.dst
    localnet = in_force(namespace, link, "route_localnet")[0]
    if prefix.is_multicast(src) or src == "255.255.255.255":
        return _stop(name, link, f"{src} cannot be a source address")
    if prefix.contains("0.0.0.0/8", src) and src != "0.0.0.0":
        return _stop(name, link, f"{src} is of 0.0.0.0/8, which no station has")
    if prefix.is_loopback(src) and not localnet:
        return _stop(
            name, link, f"the source {src} is a loopback address: no packet from outside may carry it"
        )
    if prefix.is_loopback(dst) and not localnet:
        key = f"net.ipv4.conf.{link.key}.route_localnet"
        text = (
            f"the destination {dst} is a loopback address and {key} = 0: packets from outside may not go"
            " there"
        )
        return lost(
            "martian-destination",
            name,
            link,
            Stage.ROUTE,
            text,
            object=Object("sysctl", key, f"{key} = 0"),
            fix=fixes.sysctl(key, 1),
        )
    if _is_taken_for_own(namespace, link, back) and not in_force(namespace, link, "accept_local")[0]:
        text = f"the source {src} is this namespace's own address, coming in from outside on {link.name}"
        return _own_source(namespace, _stop(name, link, text), src)
    return None


def _is_taken_for_own(namespace: Namespace, link: Link, back: RouteQuery) -> bool:
    """Whether a packet from outside has a source that is looked upon as the namespace's own: an address of
    one of its interfaces; all that a table says so of for the way back, where the kernel asks that
    (fib_validate_source: with a reverse path filter, or rules or local routes of somebody's own).
    """
    if namespace.address(back.dst) is not None:
        return True
    asks = in_force(namespace, link, "rp_filter")[0] or _has_own_rules(namespace) or _has_own_local(namespace)
    return bool(asks) and fib.sought(namespace, back).type == "local"


def _has_own_rules(namespace: Namespace) -> bool:
    """Whether there are policy rules besides the three that the kernel makes (fib4_has_custom_rules)."""
    of_kernel = {(0, 255), (32766, 254), (32767, 253)}
    return any(rule.version == 4 and (rule.priority, rule.table) not in of_kernel for rule in namespace.rules)


def _has_own_local(namespace: Namespace) -> bool:
    """Whether somebody has added a route of type local (fib_has_custom_local_routes)."""
    made = but(where(namespace.routes, type="local"), protocol="kernel")
    return has(made, version=4)


def _own_source(namespace: Namespace, stop: Stop, src: str) -> Stop:
    """The address that makes a source the namespace's own; else the route of the table local that does."""
    own, route = namespace.address(src), fib.local_route(namespace, src)
    link = namespace.link_of(next(iter(route.nexthops), None)) if route is not None else None
    if own is None and route is not None:
        own = _behind(namespace, route, link)
    owner = namespace.link_of(own)
    if own is not None and owner is not None:
        written = f"{own.address}/{own.prefixlen} dev {owner.name}"
        fix = (fixes.address("del", own, owner),)
        return replace(stop, object=Object("address", written, written), commands=fix)
    if route is None:
        return stop
    words = fib.words(route, next(iter(route.nexthops), None), link)
    named, fix = " ".join(words), (fixes.ip(route.dst, "route", "del", *words),)
    return replace(stop, object=Object("route", named, named), commands=fix)


def _behind(namespace: Namespace, route: Route, link: Link | None) -> InterfaceAddress | None:
    """The address of which the kernel has made a local route: on loopback, of its whole network."""
    if link is None or route.protocol != "kernel":
        return None
    found = namespace.addresses_of(link)
    return next((a for a in found if prefix.network(a.address, a.prefixlen) == route.dst), None)


def _stop(name: str, link: Link, text: str) -> Stop:
    return lost("martian-source", name, link, Stage.ROUTE, text, object=Object("link", link.name, text))


def _reverse_path(namespace: Namespace, name: str, link: Link, query: RouteQuery) -> Stop | None:
    """rp_filter: 1 the way back must leave by this interface, 2 there must be a way back at all; where the
    interface has no address, 2 is as 1.
    """
    level, key = in_force(namespace, link, "rp_filter")
    src = query.dst
    if not level or src == "0.0.0.0":
        return None
    back = fib.sought(namespace, query)
    if back.error is not None or back.type not in ("unicast", "local"):
        text, passing = f"{name} has no route back to {src}", _LOOSER[level]
        return _refused(name, link, key, level, passing, text)
    if where(back.candidates, index=link.index):
        return None
    return _by_another(namespace, link, src, back.index, (key, level))


_LOOSER = {1: 2, 2: 0}  # the level with which a packet may still pass


def _by_another(
    namespace: Namespace, link: Link, src: str, back: int | None, setting: tuple[str, int]
) -> Stop | None:
    """A way back by another interface: strict filters refuse that, and any where this one has no address
    (no_addr).
    """
    key, level = setting
    bare = not namespace.addresses_of(link, 4)
    if level != 1 and not bare:
        return None
    out, missing = name_of(namespace.link(back), "nowhere"), _MISSING[bare]
    text = (
        f"{namespace.name} would route back to {src} by {out}, not by {link.name}, where the packet came"
        f" in{missing}"
    )
    return _refused(namespace.name, link, key, level, _PASSING[bare], text)


_MISSING, _PASSING = {True: ", which has no IPv4 address", False: ""}, {True: 0, False: 2}  # of a bare one


def _refused(name: str, link: Link, key: str, level: int, passing: int, text: str) -> Stop:
    thing = Object("sysctl", key, f"{key} = {level}")
    fix = fixes.sysctl(key, passing)
    return lost(
        "rp-filter", name, link, Stage.ROUTE, f"{text}: {key} = {level} drops it", object=thing, fix=fix
    )
