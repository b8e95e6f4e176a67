"""Would this stack answer for an address - as its owner, as a proxy - or what keeps it silent?

Kernel: net/ipv4/arp.c (arp_process, arp_ignore, arp_filter, arp_fwd_proxy), net/ipv6/ndisc.c (ndisc_recv_ns);
ip-sysctl.
"""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import (
    Link,
    Namespace,
    Object,
    Protocol,
    RouteQuery,
    Stage,
    Stop,
)
from netprobe.model.lookup import find, has, where

from . import fib, fixes, routing, rp_filter
from .drop import lost
from .view import Ground, Packet


class Station(Struct, frozen=True, gc=False):
    """Who answers for an address: MAC, where it is, and how it came to answer (owner or proxy).

    `given`: a rule says that MAC, in nobody's or in the owner's name; what is wrong where no station has it.
    """

    mac: str
    namespace: str | None = None
    link: Link | None = None
    proxy: bool = False
    suspects: tuple[Stop, ...] = ()
    given: Stop | None = None


def claims(ground: Ground, name: str, link: Link, request: Packet) -> Station | Stop | None:
    """Whether a stack would answer for the address: as its owner, as a proxy, not at all, or is kept from it
    (and why).
    """
    namespace, asked = ground.namespace(name), request.flow.dst
    if request.flow.protocol is Protocol.ND:
        found = _claims_v6(namespace, name, link, asked)
        unheard = _unheard(namespace, name, link, request.flow.src)
        return unheard if unheard is not None and isinstance(found, Station) else found
    if fib.sought(namespace, RouteQuery(None, asked)).type == "local":  # arp_process asks the FIB
        kept = routing.taken_for_another_s(namespace, link, request)
        return kept or suppressed(ground, name, link, request) or Station(link.mac, name, link)
    return _proxies(ground, name, link, request)


def _unheard(namespace: Namespace, name: str, link: Link, asker: str) -> Stop | None:
    """Why an advertisement does not come to who asked: without ARP an interface sends to its own MAC, but to
    whom somebody wrote an entry for (ndisc_constructor); from nobody's address everybody is told.
    """
    written = where(namespace.entries_for(link, asker), state="permanent", proxy=False)
    if link.arp or written or asker == "::":
        return None
    text = f"{name}/{link.name} has ARP switched off (NOARP): it sends its answer to its own MAC"
    return noarp(name, link, text)


def _claims_v6(namespace: Namespace, name: str, link: Link, asked: str) -> Station | Stop | None:
    """IPv6 answers only for an address of the interface that was asked (ndisc_recv_ns), or as a proxy."""
    mine = find(namespace.addresses, address=asked, index=link.index)
    if mine is not None and "dadfailed" in mine.flags:
        text = f"{name}/{link.name} does not use {asked}: duplicate address detection failed"
        return lost(
            "addr-dad-failed",
            name,
            link,
            Stage.ARP,
            text,
            object=Object("address", f"{asked}/{mine.prefixlen} dev {link.name}", "dadfailed"),
            fix=fixes.with_another(mine, link),
        )
    if mine is not None and "tentative" in mine.flags and "optimistic" not in mine.flags:
        text = f"{name}/{link.name} does not answer for {asked} yet: duplicate address detection is not over"
        object = Object("address", f"{asked}/{mine.prefixlen} dev {link.name}", "tentative")
        return lost("addr-dad-failed", name, link, Stage.ARP, text, object=object)
    if mine is not None:
        return Station(link.mac, name, link)
    if any(entry.proxy for entry in namespace.entries_for(link, asked)):
        return _proxies_v6(namespace, name, link, asked)
    return None


def _proxies_v6(namespace: Namespace, name: str, link: Link, asked: str) -> Station | Stop:
    """A proxy entry counts where the interface forwards and proxy_ndp is on, there or everywhere
    (ndisc_recv_ns).
    """
    forwarding, own, general = (
        f"net.ipv6.conf.{key}" for key in (f"{link.key}.forwarding", f"{link.key}.proxy_ndp", "all.proxy_ndp")
    )
    if namespace.sysctl(forwarding) == "1" and "1" in (namespace.sysctl(own), namespace.sysctl(general)):
        return Station(link.mac, name, link, proxy=True)
    routes = namespace.sysctl(forwarding) == "1"
    wanted, why = (own, "is no proxy for neighbours") if routes else (forwarding, "does not forward")
    text = f"{name}/{link.name} has a proxy entry for {asked} and {why}: {wanted} = 0"
    object = Object("sysctl", wanted, f"{wanted} = 0")
    code = "proxy-arp-off" if routes else "arp-suppressed"
    return lost(code, name, link, Stage.ARP, text, object=object, fix=fixes.sysctl(wanted, 1))


def suppressed(ground: Ground, name: str, link: Link, request: Packet) -> Stop | None:
    """Why the owner of an address stays silent: NOARP, a source check, arp_ignore, arp_filter."""
    namespace, flow = ground.namespace(name), request.flow
    if not link.arp:
        return noarp(name, link, f"{name}/{link.name} has ARP switched off (NOARP): it answers no request")
    if flow.src != "0.0.0.0":
        checked = rp_filter.check(ground, name, link, flow.src, flow.dst, request)
        if checked is not None:
            return checked
    if _arp_ignored(namespace, link, flow.src, flow.dst):
        return _sysctl_stop(
            namespace, name, link, "arp_ignore", f"{name} does not answer for {flow.dst} on {link.name}"
        )
    if _maximum(namespace, link, "arp_filter") and flow.src != "0.0.0.0":
        back = fib.sought(namespace, RouteQuery(flow.dst, flow.src))
        if back.leg is not None and back.leg.index != link.index:
            return _sysctl_stop(
                namespace,
                name,
                link,
                "arp_filter",
                f"{name} would route back to {flow.src} by another interface than {link.name}",
            )
    return None


def _arp_ignored(namespace: Namespace, link: Link, sender: str, asked: str) -> bool:
    """arp_ignore of ip-sysctl: 1 only this interface's addresses, 2 and of the sender's network, 3 not host
    scope, 8 never.
    """
    level = _maximum(namespace, link, "arp_ignore")
    here = where(namespace.addresses_of(link), address=asked)
    if level == 1:
        return not here
    if level == 2:
        return not fib.on_link(here, sender)
    if level == 3:
        return any(a.address == asked and a.scope == "host" for a in namespace.addresses)
    return level == 8


def _proxies(ground: Ground, name: str, link: Link, request: Packet) -> Station | None:
    """Proxy ARP, where forwarding is on: for an address that is reached through another interface with
    proxy_arp or a proxy entry, for one on the same segment with proxy_arp_pvlan (arp_process).
    """
    namespace, flow = ground.namespace(name), request.flow
    back = _maximum(namespace, link, "proxy_arp_pvlan")
    on = _maximum(namespace, link, "proxy_arp") or has(namespace.entries_for(link, flow.dst), proxy=True)
    if not (on or back) or not forwards(namespace, link, 4):
        return None
    route = fib.sought(namespace, RouteQuery(flow.src, flow.dst, iif=link.index))
    if route.leg is None or not (back if route.leg.index == link.index else on):
        return None
    return Station(link.mac, name, link, proxy=True)


def forwards(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether packets that come in on `link` are forwarded (IN_DEV_FORWARD: the interface's own value)."""
    if version == 6:  # since Linux 6.17 an interface may forward alone
        keys = ("net.ipv6.conf.all.forwarding", f"net.ipv6.conf.{link.key}.force_forwarding")
        return any(namespace.sysctl(key) == "1" for key in keys)
    own = f"net.ipv4.conf.{link.key}.forwarding"
    return namespace.sysctl(own, namespace.sysctl("net.ipv4.ip_forward", "0")) == "1"


def is_router(namespace: Namespace, version: int) -> bool:
    """Whether what comes in on any of its interfaces is forwarded."""
    return any(forwards(namespace, link, version) for link in namespace.receiving)


def _maximum(namespace: Namespace, link: Link, setting: str) -> int:
    return rp_filter.in_force(namespace, link, setting)[0]


def _sysctl_stop(namespace: Namespace, name: str, link: Link, setting: str, text: str) -> Stop:
    value, key = rp_filter.in_force(namespace, link, setting)
    return lost("arp-suppressed", name, link, Stage.ARP, f"{text}: {key} = {value}",
        object=Object("sysctl", key, f"{key} = {value}"),
                fix=fixes.sysctl(key, 0))  # fmt: skip


def noarp(name: str, link: Link, text: str) -> Stop:
    """An interface that takes no part in ARP."""
    return lost(
        "arp-disabled",
        name,
        link,
        Stage.ARP,
        text,
        object=Object("link", link.name, f"{link.name}: <NOARP>"),
        fix=(fixes.link_set(link, "arp", "on"),),
    )
