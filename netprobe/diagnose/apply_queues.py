"""Queues of tc(8), carried out on a snapshot."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Qdisc, Snapshot

from .order import Order

_SIDES = ("clsact", "ingress")


def add_qdisc(order: Order) -> Snapshot:
    """`tc qdisc add|replace dev IFACE root KIND …`, `tc qdisc add dev IFACE clsact|ingress`.

    The options of a queue are kept as they are typed: sizes in bytes or packets.
    """
    how, *rest = order.words
    if how not in ("add", "replace", "change") or rest[0] != "dev":
        raise KeyError(how)
    link, at, *words = order.link(rest[1]), *rest[2:]
    kind = at if at in _SIDES else words[0]
    if at not in (*_SIDES, "root"):
        raise KeyError(at)
    others = tuple(q for q in link.qdiscs if q.parent != at)
    if how == "add" and at in _SIDES and len(others) < len(link.qdiscs):
        raise KeyError(at)  # EEXIST
    handle = "ffff:" if at in _SIDES else "8001:"
    text = " ".join(("qdisc", kind, handle, at, *words[1:]))
    return order.with_link(replace(link, qdiscs=(*others, Qdisc(kind, handle, at, text)))).snapshot
