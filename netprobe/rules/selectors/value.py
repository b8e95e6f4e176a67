"""What a selector gives for a packet, and what all readers share.

A selector gives a number, a word, None (the packet has no such header: the rule ends without a match,
NFT_BREAK), or UNKNOWN (the packet has it, we cannot tell).
"""

# ruff: noqa: ARG001, ARG005 - the readers of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from netprobe.rules import datatypes as dt
from netprobe.rules.packet import HookPacket, Surroundings


class Unknown(Enum):
    """The value that a packet has and we cannot tell."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
Seen = int | str | None | Unknown
Reader = Callable[[HookPacket, Surroundings], Seen]
Rows = dict[str, tuple[dt.Datatype, Reader]]


def known(number: int | None) -> Seen:
    """A field that every such packet has: UNKNOWN where it was not read."""
    return UNKNOWN if number is None else number


def only(ethertype: str, read: Reader) -> Reader:
    """`read`, for packets of this network protocol; others have no such header."""
    return lambda packet, around: read(packet, around) if packet.ethertype == ethertype else None


def constant(number: int) -> Reader:
    """A field that is the same in every packet that we look at."""
    return lambda packet, around: number


def nothing(packet: HookPacket, around: Surroundings) -> Seen:
    """What none of the packets that we look at has."""
    return None
