"""Fixes of tracked connections and IPsec policies, carried out on a snapshot: conntrack(8), ip-xfrm(8)."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import ConntrackEntry, FoundConnection, Snapshot, XfrmPolicy

from .apply_routes import as_prefix
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


def forget_connections(order: Order) -> Snapshot:
    """`conntrack -F`: none is known any more."""
    known = tuple(
        replace(found, entries=()) if found.namespace == order.name else found
        for found in order.snapshot.connections
    )
    return replace(order.snapshot, connections=known)


_SIDES = (
    (("-s", "--src", "--orig-src"), ("-d", "--dst", "--orig-dst"), ("--sport", "--orig-port-src"),
     ("--dport", "--orig-port-dst")),
    (("-r", "--reply-src"), ("-q", "--reply-dst"), ("--reply-port-src",), ("--reply-port-dst",)),
)  # fmt: skip
"""What conntrack(8) calls the parts of both tuples."""


def add_connection(order: Order) -> Snapshot:
    """`conntrack -I -p PROTOCOL --src … --dst … --sport … --dport … --reply-src … --reply-dst …
    --reply-port-src … --reply-port-dst … -t SECONDS [-u SEEN_REPLY]`.
    """
    said = dict(zip(order.words[::2], order.words[1::2], strict=True))
    there, back = (tuple(next(said[key] for key in keys if key in said) for keys in side) for side in _SIDES)
    original, reply = ((side[0], side[1], int(side[2]), int(side[3])) for side in (there, back))
    status = {
        "seen_reply": said.get("-u") == "SEEN_REPLY",
        "confirmed": True,
        "src_nat": (back[1], back[3]) != (there[0], there[2]),
        "dst_nat": (back[0], back[2]) != (there[1], there[3]),
    }
    words = tuple(word for word, holds in status.items() if holds)
    entry = ConntrackEntry(said["-p"], original, reply, status=words, timeout_s=int(said["-t"]))
    known = tuple(_with_entry(each, order.name, entry) for each in order.snapshot.connections)
    return replace(order.snapshot, connections=known)


def _with_entry(found: FoundConnection, name: str, entry: ConntrackEntry) -> FoundConnection:
    """What a namespace knows of a flow, with an entry where that is about it, there or back."""
    flow = found.flow
    asked = (flow.protocol, (flow.src, flow.dst, flow.sport, flow.dport))
    if found.namespace != name or asked not in (
        (entry.protocol, entry.original),
        (entry.protocol, entry.reply),
    ):
        return found
    return replace(found, entries=(*found.entries, entry))


def _is_meant(entry: ConntrackEntry, wanted: tuple[str | None, ...]) -> bool:
    own = (entry.protocol, *(None if part is None else str(part) for part in entry.original))
    return all(want is None or want == have for want, have in zip(wanted, own, strict=True))


def delete_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy delete src PREFIX dst PREFIX dir DIRECTION`."""
    wanted = (order.needed("src"), order.needed("dst"), order.needed("dir"))
    kept = tuple(p for p in order.namespace.xfrm or () if (p.src, p.dst, p.direction) != wanted)
    return order.with_fields(xfrm=kept).snapshot


def add_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy add [src PREFIX] [dst PREFIX] dir DIRECTION [action allow|block]`, no templates."""
    rest = order.plain
    if rest not in ([], ["action", "block"], ["action", "allow"]):
        raise KeyError(" ".join(rest))
    whole = "::/0" if ":" in f"{order.option('src')}{order.option('dst')}" else "0.0.0.0/0"
    src, dst = (as_prefix(order.option(key) or whole, order.six) for key in ("src", "dst"))
    policy = XfrmPolicy(order.needed("dir"), src, dst, rest[-1] if rest else "allow")
    return order.with_fields(xfrm=(*(order.namespace.xfrm or ()), policy)).snapshot
