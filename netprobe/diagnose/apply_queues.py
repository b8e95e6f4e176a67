"""Queues of tc(8), carried out on a snapshot."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Qdisc, Snapshot
from netprobe.model.lookup import where

from .order import Order, refuse_if

_HANDLES = {"root": "8001:", "clsact": "ffff:", "ingress": "ffff:"}


def add_qdisc(order: Order) -> Snapshot:
    """`tc qdisc add|replace dev IFACE root KIND …`, `tc qdisc add dev IFACE clsact|ingress`.

    The options of a queue are kept as they are typed: sizes in bytes or packets.
    """
    verb, dev, name, at, *words = order.words
    refuse_if(verb not in ("add", "replace", "change") or dev != "dev", verb)
    link, handle = order.link(name), _HANDLES[at]
    kind = words[0] if at == "root" else at
    there = where(link.qdiscs, parent=at)
    refuse_if(verb == "add" and there and at != "root", at)  # EEXIST
    text = " ".join(("qdisc", kind, handle, at, *words[1:]))
    qdiscs = order.edited(link.qdiscs, there, Qdisc(kind, handle, at, text))
    return order.with_link(replace(link, qdiscs=qdiscs)).snapshot
