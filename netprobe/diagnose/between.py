"""What was lost in the network between the hosts: seen to leave one of them, and not to come to the other.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from netprobe.model import Flow, Hop, Leg, Object, Place, Stage, Stop
from netprobe.model.lookup import but, has, where
from netprobe.predict.drop import Unread

from .evidence import Case
from .neighbour_messages import QUESTION, Message, neighbour_messages

_Way = tuple[Hop, Hop]  # from host to host


def lost(case: Case) -> Stop | None:
    """The end of a leg between two hosts, both of which watched; None where it ends on one of them.

    A packet that waits for its neighbour is lost with the question for it, or with the answer.
    """
    leg = case.lost_leg
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if missed is None or not case.snapshot.homes:
        return None
    ways = [*_crossings(case, leg)]
    if (last, missed) in ways and last is not None:
        return _stop(f"the {leg}", last.flow, (last, missed), (last, missed))
    waits = last is None or missed.bound == "out"
    return _with_a_question(case, [*ways, *((to, by) for by, to in ways)]) if waits else None


def _crossings(case: Case, leg: Leg) -> Iterator[tuple[Hop, Hop]]:
    """Where a leg goes from host to host: by which interface it leaves, and by which it comes in."""
    for by, to in pairwise(case.hops(leg)):
        hosts = {case.snapshot.host_of(by.namespace), case.snapshot.host_of(to.namespace)}
        if len(hosts) == 2 and None not in hosts:
            yield by, to


def _with_a_question(case: Case, ways: Sequence[tuple[Hop, Hop]]) -> Stop | None:
    """The same of a question for a neighbour that left by one of these ways, or of its answer."""
    seen = neighbour_messages(case.observations)
    for by, to in ways:
        if to.observed is None:  # nobody watched there
            continue
        for each in where(seen, namespace=by.namespace, interface=by.interface, bound="out"):
            if _is_for(case, each.outer or each.flow, to.namespace) and not _came(seen, each, to.namespace):
                what = "the question who has" if each.says == QUESTION else "the answer to"
                return _stop(f"{what} {each.dst}", each.flow, (by, to), ways[0])
    return None


def _is_for(case: Case, flow: Flow, there: str) -> bool:
    """Whether somebody on the host of a namespace has the address that a frame is for."""
    host = case.snapshot.host_of(there)
    spaces = case.snapshot.namespaces.items()
    try:
        return any(case.snapshot.host_of(name) == host and each.owner_of(flow.dst) for name, each in spaces)
    except Unread:
        return False


def _came(seen: Sequence[Message], sent: Message, there: str) -> bool:
    """Whether a frame that left one host was seen at another."""
    return has(but(seen, bound="out"), namespace=there, words=sent.words)


def _stop(what: str, flow: Flow, lost: _Way, wire: _Way) -> Stop:
    """What left by `lost`; the `wire` is named as the leg goes over it."""
    outermost = flow.outer or flow
    near, far = map(_place, lost)
    port = f" {outermost.protocol.upper()} port {outermost.dport}" if outermost.dport else ""
    text = f"{what} left {near} and did not come to {far}: it was lost in the network between the hosts"
    named = " - ".join(map(_place, wire))
    thing = Object("wire", named, f"{outermost.src} to {outermost.dst}{port}, {outermost.length} bytes")
    advice = (
        f"ask those who run the network between {outermost.src} and {outermost.dst} what becomes of"
        f"{port or ' ' + outermost.protocol.upper()}"
    )
    place = Place(wire[0].namespace, wire[0].interface, Stage.TRANSMIT)
    return Stop("lost-between-hosts", place, text, thing, advice=advice)


def _place(hop: Hop) -> str:
    """h1:host/eth0"""
    return f"{hop.namespace}/{hop.interface}"
