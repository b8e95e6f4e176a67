"""What the questions of the kernels on the way show that no configuration does: addresses for which nobody at
the network between the hosts answers. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.model import ARP_REQUEST, FoundWire, Observation, Snapshot
from netprobe.model.lookup import where
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .correlate import frames, is_neighbour

_SOLICITATION, _ANSWERS = (
    135,
    (2, 136),
)  # of ICMPv6; the operations of ARP and the types of ICMPv6 that answer


def heard(
    snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation]
) -> tuple[Snapshot, Prediction] | None:
    """The configuration with what was heard of who is not there, and the walk over it; None where that tells
    nothing new, as on one machine.
    """
    silent = _silent(snapshot, seen) if snapshot.homes else ()
    if not silent:
        return None
    found = (FoundWire(address, silent=True) for address in silent)
    known = replace(snapshot, wires=(*snapshot.wires, *found))
    again = predict(known, prediction.probe, ask=False)
    return (known, again) if isinstance(again, Prediction) else None


def _silent(snapshot: Snapshot, seen: Sequence[Observation]) -> tuple[str, ...]:
    """The addresses that a host has asked for by an interface of its own, and got no answer there."""
    asked: dict[str, None] = {}
    of_hosts = [each for each in filter(is_neighbour, frames(seen)) if each.namespace in snapshot.homes]
    answered = {each.flow.src for each in where(of_hosts, bound="in") if each.flow is not None
                and each.flow.icmp_type in _ANSWERS}  # fmt: skip
    for each in where(of_hosts, bound="out"):
        asks = each.flow is not None and each.flow.icmp_type in (ARP_REQUEST, _SOLICITATION)
        if each.flow is not None and asks and each.flow.outer is None:
            asked[each.flow.dst] = None
    return tuple(address for address in asked if address not in answered)
