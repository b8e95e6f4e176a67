"""Interfaces made and taken away, carried out on a snapshot: ip-link(8).

Kernel: net/core/rtnetlink.c (rtnl_newlink, rtnl_dellink), drivers/net/veth.c (veth_dellink: both ends go),
net/8021q/vlan.c and drivers/net/macvlan.c (what stands on an interface goes with it).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Bridge, Link, Snapshot

from .apply_links import NO_MAC, emptied, with_defaults
from .apply_state import far_end, settled, standing_on
from .order import Order


def delete_link(order: Order) -> Snapshot:
    """`ip link del [dev] IFACE`: with the other end of its cable, and with what stands on it."""
    names = [word for word in order.words if word != "dev"]
    link = order.link(names[0])
    if link.kind in ("loopback", "") or len(names) > 1:
        raise KeyError(link.name)  # EOPNOTSUPP
    return settled(order.snapshot, _without(order, link))


def _without(order: Order, link: Link) -> Snapshot:
    above = tuple(standing_on(order.snapshot, order.name, link))
    far = far_end(order.snapshot, order.name, link) if link.kind == "veth" else None
    free = tuple(
        replace(p, master=None, port=None) if p.master == link.index else p for p in order.namespace.links
    )
    after = emptied(order.with_fields(links=free), link).snapshot
    for name, index in (*above, *([(far[0], far[1].index)] if far is not None else ())):
        other = after[name].link(index)
        if other is not None:
            after = _without(replace(order, snapshot=after, name=name), other)
    return after


def add_link(order: Order) -> Snapshot:
    """`ip link add [name] IFACE type bridge|dummy`: switched off, with the settings that its namespace gives
    to new interfaces. A bridge has a MAC of chance until its first port gives it another.
    """
    words = [word for word in order.words if word not in ("name", "dev")]
    name, index = words[0], 1 + max(link.index for link in order.namespace.links)
    if order.namespace.link_named(name) is not None:
        raise KeyError(name)  # EEXIST
    match words[1:]:
        case ["type", "bridge"]:
            made = Link(index, name, "bridge", NO_MAC, up=False, carrier=False, bridge=Bridge())
        case ["type", "dummy"]:
            made = Link(index, name, "dummy", "02:00:00:00:00:01", up=False, carrier=False, arp=False)
        case _:
            raise KeyError(name)
    order = order.with_fields(links=(*order.namespace.links, made))
    return order.with_fields(sysctls=with_defaults(order, name)).snapshot
