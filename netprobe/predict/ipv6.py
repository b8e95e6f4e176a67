"""Why a namespace does not use IPv6 on an interface, or not its own address, or cannot ask from one. Pure.

Kernel: net/ipv6/addrconf.c (disable_ipv6, duplicate address detection); RFC 4862.
"""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import InterfaceAddress, Link, Namespace, Object, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import find

from . import fixes, prefix
from .drop import lost

MTU = 1280  # bytes; RFC 8200, section 5


def disabled(namespace: Namespace, links: Sequence[Link]) -> Stop | None:
    """IPv6 switched off on an interface that could carry the packet (disable_ipv6, ip-sysctl)."""
    for link in links:
        key = f"net.ipv6.conf.{link.key}.disable_ipv6"
        if link.up and namespace.sysctl(key, "0") == "1":
            text = f"IPv6 is switched off on {link.name} of {namespace.name}: {key} = 1"
            return lost("ipv6-disabled", namespace.name, link, Stage.ROUTE, text,
                object=Object("sysctl", key, f"{key} = 1"),
                        fix=fixes.sysctl(key, 0))  # fmt: skip
    return next((too_short(namespace, link) for link in links if link.up and link.mtu < MTU), None)


def too_short(namespace: Namespace, link: Link) -> Stop:
    """No IPv6 on an interface whose MTU is below that of RFC 8200 (addrconf_notify, NETDEV_CHANGEMTU)."""
    text = f"{link.name} of {namespace.name} has no IPv6: its MTU is {link.mtu}, and IPv6 needs {MTU}"
    thing = Object("link", link.name, f"{link.name} mtu {link.mtu}")
    fix = (fixes.link_set(link, "mtu", str(MTU)),)
    return lost("ipv6-disabled", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)


def refused(namespace: Namespace, version: int, only: str | None = None) -> Stop | None:
    """An IPv6 address, of all or this one alone, that is not used because another station has it (RFC 4862,
    duplicate address detection).
    """
    for address in namespace.addresses:
        if only not in (None, address.address):
            continue
        if version == 6 and "dadfailed" in address.flags and address.scope == "global":
            link = namespace.link(address.index)
            written = f"{address.written} dev {name_of(link)}"
            text = (
                f"{namespace.name} does not use {address.address}: duplicate address detection found another"
                " station that has it"
            )
            return lost("addr-dad-failed", namespace.name, link, Stage.ROUTE, text,
                        object=Object("address", written, f"{written} dadfailed"),
                        fix=fixes.with_another(address, link))  # fmt: skip
    return None


def cannot_ask(namespace: Namespace, link: Link, address: str) -> Stop:
    """Why an interface has no link-local address that it could ask from who has another station's packet's
    next hop: none at all, or one that is not known to be the only one.
    """
    own = find(namespace.addresses_of(link, 6), scope="link")
    asks = f"{link.name} in {namespace.name} cannot ask who has {address}"
    if own is not None:
        return _not_proven(namespace, link, own, asks)
    text = f"{asks}: it has no link-local address, from which IPv6 asks"
    made_of = prefix.link_local(link.mac)
    missing = InterfaceAddress(link.index, made_of, 64) if made_of is not None else None
    thing = Object("address", f"{missing.written} dev {link.name}", text) if missing is not None else None
    fix = (fixes.address("add", missing, link),) if missing is not None else ()
    return lost("addr-missing", namespace.name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)


def _not_proven(namespace: Namespace, link: Link, own: InterfaceAddress, asks: str) -> Stop:
    failed = "dadfailed" in own.flags
    state = "dadfailed" if failed else "tentative"
    why = "duplicate address detection " + ("failed" if failed else "is not over")
    thing = Object("address", f"{own.written} dev {link.name}", state)
    fix = fixes.with_another(own, link) if failed else ()
    text = f"{asks} from {own.address}: {why}"
    return lost("addr-dad-failed", namespace.name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)
