"""What the connection tracking of a router remembers of packets like the probe's: connections that were
answered, and how they left. Pure.

A connection that had an answer proves what worked when it was made: who lets its packets out with their own
source is a router on purpose, whose neighbours had a way back.
"""

from __future__ import annotations

from enum import Enum
from itertools import takewhile

from netprobe.model import AskConnection, ConntrackEntry, Flow
from netprobe.model.lookup import column, find

from .repair import Loss


class Left(Enum):
    """How connections that were answered left a router; `UNKNOWN` also where some left so, and some so."""

    AS_THEY_WERE = "with their own source"
    TRANSLATED = "with another source"
    UNKNOWN = "none is known"


_ONE_WAY = {frozenset({False}): Left.AS_THEY_WERE, frozenset({True}): Left.TRANSLATED}


def left(loss: Loss, name: str) -> Left:
    """How earlier connections from the probe's source to its destination left a namespace on the way; noted
    as a need where that was not asked.
    """
    before = [*takewhile(lambda hop: hop.namespace != name, loss.prediction.request.hops)]
    came = [*column(before[-1:], "flow")]
    # of any source port, or ICMP id: other connections of the same two
    flows = [Flow(each.src, each.dst, each.protocol, dport=each.dport) for each in came]
    ways = {_is_translated(each) for flow in flows for each in _answered(loss, name, flow)}
    return _ONE_WAY.get(frozenset(ways), Left.UNKNOWN)


def _answered(loss: Loss, name: str, flow: Flow) -> tuple[ConntrackEntry, ...]:
    found = find(loss.snapshot.connections, namespace=name, flow=flow)
    if found is None:
        loss.needs[AskConnection(name, flow)] = None
        return ()
    return tuple(
        each for each in found.entries if "seen_reply" in each.status and each.original[0] == flow.src
    )


def _is_translated(entry: ConntrackEntry) -> bool:
    return entry.reply[1] != entry.original[0]
