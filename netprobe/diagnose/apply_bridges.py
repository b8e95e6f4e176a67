"""What a bridge calls itself, and what it keeps for itself, after its ports came, went or got another MAC:
carried out on a snapshot.

Kernel: net/bridge/br_stp_if.c (br_stp_recalculate_bridge_id), br_fdb.c (br_fdb_change_mac_address,
br_fdb_changeaddr, br_fdb_delete_by_port).
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from netprobe.model import FdbEntry, Link, Namespace
from netprobe.model.lookup import all_but, among, column, where

from .order import Order

NO_MAC = "00:00:00:00:00:00"


def with_own_macs(before: Namespace, order: Order, touched: Collection[int]) -> Order:
    """The namespace with the MACs and the local entries that its bridges get from their ports; `touched` are
    the indexes of the interfaces that changed.
    """
    masters = {*column(among(order.namespace.links, index=touched), "master")}
    for bridge in among(order.namespace.links_of("bridge"), index={*touched, *masters}):
        was = _macs(before, before.link(bridge.index) or bridge)
        named = _named(order.namespace, bridge)
        own = _macs(order.namespace, named)
        if own != was:
            order = _keeping(order.with_link(named), bridge.index, own)
    return order


def _named(namespace: Namespace, bridge: Link) -> Link:
    """A bridge without a MAC takes the lowest of its ports. Whether one that has a MAC would do so, or keeps
    what somebody gave it, nobody can read: it stays.
    """
    lowest = min(column(namespace.ports(bridge), "mac"), default=NO_MAC)
    return replace(bridge, mac=bridge.mac if bridge.mac != NO_MAC else lowest)


def _macs(namespace: Namespace, bridge: Link) -> dict[int, str]:
    return {port.index: port.mac for port in (*namespace.ports(bridge), bridge)}


def _keeping(order: Order, bridge: int, own: dict[int, str]) -> Order:
    """The bridge keeps frames for its ports' MACs and its own, by the first entry of each that there was, and
    forgets who was behind a port that is gone.
    """
    entries = where(order.namespace.fdb, master=bridge)
    learned = among(where(entries, local=False), index=own)
    local = tuple(each for each in where(entries, local=True) if own.get(each.index) == each.mac)
    first = {mac: index for index, mac in reversed(own.items())}
    known = {NO_MAC, *column(local, "mac")}
    new = (FdbEntry(first[mac], mac, bridge, None, "permanent", True) for mac in first.keys() - known)
    return order.with_fields(fdb=(*all_but(order.namespace.fdb, entries), *learned, *local, *new))
