"""Which frames of a run are kept: of thousands of packets most are answered, and their ways are alike.

A sighting takes two kilobytes, and a packet has one at each interface it passes, both ways. Kept are those of
the first packets, and of all that are not answered; of others the answer alone.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from netprobe.model import Observation
from netprobe.wire.dissect import DissectedPacket
from netprobe.wire.recognise import Recognised

from .tap import Caught

SAMPLE = 256  # the first packets of a run, whose sightings are all kept
OFTEN = 2048  # frames, after which it is looked which of them are not needed any more


class Kept(NamedTuple):
    """A frame, and the number of the packet of the run that it is, or None."""

    frame: Caught
    packet: DissectedPacket
    sequence: int | None = None


def sequence_of(found: Recognised | None) -> int | None:
    """The number of the packet that a frame is, one way or the other; None of all else that is recognised:
    errors, neighbours, what ends a connection.
    """
    plain = found is not None and found.leg is not None and found.error is None
    return found.sequence if plain and found is not None else None


class Sample:
    """Which packets' sightings are kept; `answered` grows while the run goes on."""

    def __init__(self, answered: Set[tuple[int, bool]]) -> None:
        self._answered = answered
        self._again = OFTEN

    def is_spare(self, sequence: int | None) -> bool:
        """Whether the sightings of a packet are not needed: it was answered by whom was asked, and enough
        like it are kept.
        """
        return sequence is not None and sequence >= SAMPLE and (sequence, True) in self._answered

    def thin(self, kept: list[Kept], sightings: list[Observation]) -> None:
        """Take out of both lists what has become spare since, where they have grown much."""
        if len(kept) < self._again:
            return
        kept[:] = [each for each in kept if not self.is_spare(each.sequence)]
        sightings[:] = [each for each in sightings if each.kind != "seen" or not self._is_spare(each)]
        self._again = len(kept) + OFTEN

    def _is_spare(self, sighting: Observation) -> bool:
        plain = sighting.leg is not None and sighting.error is None
        return plain and self.is_spare(sighting.sequence)
