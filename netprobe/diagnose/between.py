"""What was lost in the network between the hosts: seen to leave one of them, and not to come to the other. Pure."""

from __future__ import annotations

from netprobe.model import Hop, Leg, Object, Place, Stage, Stop

from .evidence import Case, where


def lost(case: Case) -> Stop | None:
    """The end of a leg between two hosts, both of which watched; None where it ends on one of them."""
    leg = case.leg or Leg.REQUEST
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if last is None or missed is None or (last.bound, missed.bound) != ("out", "in"):
        return None
    hosts = [case.snapshot.host_of(hop.namespace) for hop in (last, missed)]
    if None in hosts or hosts[0] == hosts[1]:
        return None
    return _stop(case, leg, last, missed)


def _stop(case: Case, leg: Leg, last: Hop, missed: Hop) -> Stop:
    flow = last.flow.outer or last.flow
    port = f" {flow.protocol.upper()} port {flow.dport}" if flow.dport else ""
    text = (
        f"the {leg} left {where(last)} and did not come to {where(missed)}: it was lost in the network"
        " between the hosts"
    )
    way = f"{where(last)} - {where(missed)}"
    thing = Object("wire", way, f"from {flow.src} to {flow.dst}{port}, {flow.length} bytes")
    advice = (
        f"ask those who run the network between {flow.src} and {flow.dst} what becomes of"
        f"{port or ' ' + flow.protocol.upper()}"
    )
    place = Place(last.namespace, last.interface, Stage.TRANSMIT)
    return Stop("lost-between-hosts", place, text, thing, advice=advice)
