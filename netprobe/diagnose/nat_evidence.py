"""What connection tracking says of the translations on the way: the second witness beside the taps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

from msgspec.structs import replace

from netprobe.model import AskConnection, Flow, Hop, Snapshot
from netprobe.model.lookup import column, where
from netprobe.predict.conntrack import is_side

_TRANSLATED = ("src", "dst", "sport", "dport", "icmp_id")


def questions(hops: Sequence[Hop]) -> tuple[AskConnection, ...]:
    """What to ask after the probe: the connection of each namespace that translates it, by the flow as it
    came in.
    """
    asked: dict[str, AskConnection] = {}
    for before, hop in pairwise(hops):
        if hop.change_of(*_TRANSLATED):
            asked.setdefault(hop.namespace, AskConnection(hop.namespace, plain(before.flow)))
    return tuple(asked.values())


def plain(flow: Flow) -> Flow:
    """The flow as connection tracking knows it: addresses, ports, ICMP id."""
    return replace(flow, ttl=None, length=None, src_mac=None, dst_mac=None)


def confirmed(hops: tuple[Hop, ...], snapshot: Snapshot) -> tuple[Hop, ...]:
    """The hops, with a word at each translation that connection tracking holds as well."""
    return tuple(replace(hop, note=_note(hop.note)) if _is_tracked(hop, snapshot) else hop for hop in hops)


def _note(note: str) -> str:
    return "; ".join(filter(None, (note, "conntrack agrees")))


def _is_tracked(hop: Hop, snapshot: Snapshot) -> bool:
    if not hop.change_of(*_TRANSLATED):
        return False
    known = chain.from_iterable(column(where(snapshot.connections, namespace=hop.namespace), "entries"))
    return any(is_side(entry.reply, hop.flow.reversed()) for entry in known)
