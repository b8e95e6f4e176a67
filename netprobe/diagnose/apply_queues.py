"""Queues and filters of tc(8), carried out on a snapshot."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Qdisc, Snapshot, TcFilter

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


def add_filter(order: Order) -> Snapshot:
    """`tc filter add dev IFACE ingress|egress matchall action drop|pass`: others ask what the model does not
    know.
    """
    how, dev, name, side, *words = order.words
    link = order.link(name)
    if (how, dev) != ("add", "dev") or side not in ("ingress", "egress"):
        raise KeyError(side)
    if not any(qdisc.kind in _SIDES for qdisc in link.qdiscs):
        raise KeyError(side)  # ENOENT: there is no qdisc that has this side
    match words:
        case ["matchall", "action", "drop" | "pass" as answer]:
            found = TcFilter(side, "matchall", f"matchall action {answer}", action=answer, answers=(answer,))
            return order.with_link(replace(link, filters=(*link.filters, found))).snapshot
    raise KeyError(" ".join(words))
