"""Whom each member of a matrix asks, and for which address. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Protocol
from netprobe.model.matrix import Aim, Member


def aims(members: Sequence[Member], protocol: Protocol) -> tuple[tuple[Aim | None, ...], ...]:
    """A row for each member: the address of each other one that lies on a network of its own, else the first;
    by ARP none but the former. Members of the same networks share a row.
    """
    made: dict[frozenset[str], tuple[Aim | None, ...]] = {}
    rows = []
    for member in members:
        networks = frozenset(each.network for each in member.addresses)
        if networks not in made:
            made[networks] = tuple(_aim(networks, other, protocol.on_segment) for other in members)
        rows.append(made[networks])
    return tuple(rows)


def _aim(networks: frozenset[str], other: Member, on_segment: bool) -> Aim | None:
    if not networks:
        return None
    shared = next((each for each in other.addresses if each.network in networks), None)
    if shared is not None:
        return Aim(shared, shared.network)
    return Aim(other.addresses[0], None) if other.addresses and not on_segment else None
