"""Fixes of tracked connections and IPsec policies, carried out on a snapshot: conntrack(8), ip-xfrm(8)."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import ConntrackEntry, Snapshot

from .order import Order


def delete_connection(order: Order) -> Snapshot:
    """`conntrack -D [-p PROTOCOL] [-s SOURCE] [-d DESTINATION] [--sport PORT] [--dport PORT]`, as the request
    went.
    """
    wanted = (
        order.option("-p"),
        order.option("-s", "--orig-src"),
        order.option("-d", "--orig-dst"),
        order.option("--sport"),
        order.option("--dport"),
    )
    if not any(wanted):
        raise KeyError("conntrack")
    known = tuple(
        (
            replace(found, entries=tuple(entry for entry in found.entries if not _is_meant(entry, wanted)))
            if found.namespace == order.name
            else found
        )
        for found in order.snapshot.connections
    )
    return replace(order.snapshot, connections=known)


def _is_meant(entry: ConntrackEntry, wanted: tuple[str | None, ...]) -> bool:
    own = (entry.protocol, *(None if part is None else str(part) for part in entry.original))
    return all(want is None or want == have for want, have in zip(wanted, own, strict=True))


def delete_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy delete src PREFIX dst PREFIX dir DIRECTION`."""
    wanted = (order.needed("src"), order.needed("dst"), order.needed("dir"))
    kept = tuple(p for p in order.namespace.xfrm or () if (p.src, p.dst, p.direction) != wanted)
    return order.with_fields(xfrm=kept).snapshot
