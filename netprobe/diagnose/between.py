"""What was lost in the network between the hosts: seen to leave one of them, and not to come to the other.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Flow, Leg, Object, Observation, Place, Stage, Stop
from netprobe.model.lookup import among, but, where
from netprobe.predict.drop import Unread

from .correlate import frames, is_neighbour
from .evidence import Case

_QUESTIONS = (1, 135)  # the operation of ARP, the type of ICMPv6
_End = tuple[str, str]  # a namespace and its interface


def lost(case: Case) -> Stop | None:
    """The end of a leg between two hosts, both of which watched; None where it ends on one of them.

    A packet that waits for its neighbour is lost with the question for it, or with the answer.
    """
    leg = case.leg or Leg.REQUEST
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if missed is None or not case.snapshot.homes:
        return None
    if last is None or (last.bound, missed.bound) != ("out", "in"):
        try:
            return _with_a_question(case, leg)
        except Unread:  # who has the address
            return None
    hosts = [case.snapshot.host_of(hop.namespace) for hop in (last, missed)]
    if None in hosts or hosts[0] == hosts[1]:
        return None
    ends = [(hop.namespace, hop.interface or "") for hop in (last, missed)]
    return _stop(f"the {leg}", last.flow, *ends)


def _with_a_question(case: Case, leg: Leg) -> Stop | None:
    """The same of a question for a neighbour, or of its answer."""
    seen = [*filter(is_neighbour, frames(case.observations))]
    way = [*dict.fromkeys(hop.namespace for hop in case.hops(leg))]
    left = among(where(seen, bound="out"), namespace=way)
    for each in sorted(left, key=lambda o: way.index(o.namespace)):  # who comes first on the way
        end = _receiver(case, each)
        if each.flow is not None and end is not None and not _came(seen, each, end[0]):
            asks = each.flow.icmp_type in _QUESTIONS
            what = f"the question who has {each.flow.dst}" if asks else f"the answer to {each.flow.dst}"
            return _stop(what, each.flow, (each.namespace, each.interface or ""), end)
    return None


def _receiver(case: Case, sent: Observation) -> _End | None:
    """Where another host, on which somebody has the address that a frame is for, is on the way, if that host
    watched.
    """
    address = "" if sent.flow is None else (sent.flow.outer or sent.flow).dst
    bearing = (each.name for each in case.snapshot.namespaces.values() if each.owner_of(address) is not None)
    for home in filter(None, map(case.snapshot.host_of, bearing)):
        watched = but(where((*case.request, *case.reply), namespace=home), observed=None)
        if home != case.snapshot.host_of(sent.namespace) and watched:
            return home, watched[0].interface or ""
    return None


def _came(seen: Sequence[Observation], sent: Observation, there: str) -> bool:
    """Whether a frame that left one host was seen at another."""
    came = but(where(seen, namespace=there), bound="out")
    return any(_is_same(each.flow, sent.flow) for each in came)


def _is_same(one: Flow | None, other: Flow | None) -> bool:
    """Whether two frames ask, or answer, the same."""
    words = [(f.src, f.dst, f.protocol, f.icmp_type) for f in (one, other) if f is not None]
    return len(words) == 2 and words[0] == words[1]


def _stop(what: str, flow: Flow, near: _End, far: _End) -> Stop:
    outermost = flow.outer or flow
    port = f" {outermost.protocol.upper()} port {outermost.dport}" if outermost.dport else ""
    text = (
        f"{what} left {'/'.join(near)} and did not come to {'/'.join(far)}: it was lost in the network"
        " between the hosts"
    )
    way = f"{'/'.join(near)} - {'/'.join(far)}"
    thing = Object("wire", way, f"{outermost.src} to {outermost.dst}{port}, {outermost.length} bytes")
    advice = (
        f"ask those who run the network between {outermost.src} and {outermost.dst} what becomes of"
        f"{port or ' ' + outermost.protocol.upper()}"
    )
    place = Place(*near, Stage.TRANSMIT)
    return Stop("lost-between-hosts", place, text, thing, advice=advice)
