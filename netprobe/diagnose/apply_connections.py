"""Fixes of tracked connections and IPsec policies, carried out on a snapshot: conntrack(8), ip-xfrm(8)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from netprobe.model import ConntrackEntry, Flow, FoundConnection, Snapshot, XfrmPolicy
from netprobe.model.lookup import those_not_in, where

from .apply_routes import as_prefix
from .order import Order, refuse_if


def _with_entries(order: Order, edit: Callable[[FoundConnection], tuple[ConntrackEntry, ...]]) -> Snapshot:
    """The snapshot with other connections known in the namespace."""
    known = (
        replace(found, entries=edit(found)) if found.namespace == order.name else found
        for found in order.snapshot.connections
    )
    return replace(order.snapshot, connections=tuple(known))


_ASKED = (("-p",), ("-s", "--orig-src"), ("-d", "--orig-dst"), ("--sport",), ("--dport",))


def delete_connection(order: Order) -> Snapshot:
    """`conntrack -D [-p PROTOCOL] [-s SOURCE] [-d DESTINATION] [--sport PORT] [--dport PORT]`, as the request
    went.
    """
    wanted = tuple(order.option(*keys) for keys in _ASKED)
    refuse_if(not any(wanted), "conntrack")
    return _with_entries(order, lambda found: tuple(e for e in found.entries if not _is_meant(e, wanted)))


def forget_connections(order: Order) -> Snapshot:
    """`conntrack -F`: none is known any more."""
    return _with_entries(order, lambda _: ())


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
    original, reply = (_tuple(said, side) for side in _SIDES)
    status = {
        "seen_reply": said.get("-u") == "SEEN_REPLY",
        "confirmed": True,
        "src_nat": reply[1::2] != original[0::2],
        "dst_nat": reply[0::2] != original[1::2],
    }
    words = tuple(word for word, holds in status.items() if holds)
    entry = ConntrackEntry(said["-p"], original, reply, status=words)
    return _with_entries(order, lambda found: (*found.entries, *_about(found.flow, entry)))


def _tuple(said: dict[str, str], side: tuple[tuple[str, ...], ...]) -> tuple[str, str, int, int]:
    """The addresses and ports of a side; KeyError where one is missing."""
    src, dst, sport, dport = (said[{*keys}.intersection(said).pop()] for keys in side)
    return src, dst, int(sport), int(dport)


def _about(flow: Flow, entry: ConntrackEntry) -> tuple[ConntrackEntry, ...]:
    """The entry where it is about a flow, there or back."""
    asked = (flow.protocol, (flow.src, flow.dst, flow.sport, flow.dport))
    if asked in ((entry.protocol, entry.original), (entry.protocol, entry.reply)):
        return (entry,)
    return ()


def _is_meant(entry: ConntrackEntry, wanted: tuple[str | None, ...]) -> bool:
    own = (entry.protocol, *map(str, entry.original))
    return all(want in (None, have) for want, have in zip(wanted, own, strict=True))


def delete_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy delete src PREFIX dst PREFIX [proto N [sport N] [dport N]] dir DIRECTION`."""
    wanted = _ipsec_policy(order)
    known = order.namespace.policies
    kept = tuple(p for p in known if (p.direction, p.selector) != (wanted.direction, wanted.selector))
    return order.with_fields(xfrm=kept).snapshot


def add_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy add [src PREFIX] [dst PREFIX] [proto N [sport N] [dport N]] dir DIRECTION [priority N]
    [action allow|block]`, no templates.
    """
    policy = _ipsec_policy(order)
    return order.with_fields(xfrm=(*order.namespace.policies, policy)).snapshot


def default_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy setdefault DIRECTION accept`."""
    direction, action = order.plain
    if action != "accept":
        raise KeyError(action)
    meant = {*where(order.namespace.policies, default=True, direction=direction)}
    return order.with_fields(xfrm=those_not_in(order.namespace.policies, meant)).snapshot


_PORTS_OF_ICMP = {"type": "sport", "code": "dport"}


def _ipsec_policy(order: Order) -> XfrmPolicy:
    """The policy that is meant; KeyError where it says what is not followed."""
    order = replace(order, words=tuple(_PORTS_OF_ICMP.get(word, word) for word in order.words))
    rest = order.plain
    if rest not in ([], ["action", "block"], ["action", "allow"]):
        raise KeyError(" ".join(rest))
    whole = "::/0" if ":" in f"{order.option('src')}{order.option('dst')}" else "0.0.0.0/0"
    src, dst = (as_prefix(order.option(key) or whole, order.six) for key in ("src", "dst"))
    sport, dport = ((int(port), 0xFFFF) if port else None for port in map(order.option, ("sport", "dport")))
    return XfrmPolicy(
        order.needed("dir"), src, dst, rest[-1] if rest else "allow",
        priority=int(order.option("priority") or 0), protocol=int(order.option("proto") or 0) or None,
        sport=sport, dport=dport,
    )  # fmt: skip
