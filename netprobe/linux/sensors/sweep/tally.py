"""What was sent and what came back: a byte and a number for each pair."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from netprobe.model.matrix import Pair, PairState

from .schedule import Wave

ANSWERED, SENT, UNASKED = int(PairState.ANSWERED), int(PairState.SENT), int(PairState.UNASKED)


class Tally:
    """Pair (i, j) of `count` members is probe i * count + j.

    `times` holds when a probe was sent, and from its answer on how long that took, in ns.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.states = bytearray(count * count)
        self.times = array("q", [0]) * (count * count)
        self.errors: dict[int, int] = {}

    def answered(self, probe: int, stamp_ns: int) -> bool:
        """An answer came at this moment; whether it is the first one to a probe that was sent."""
        if probe >= len(self.states) or self.states[probe] != SENT:
            return False
        self.states[probe] = ANSWERED
        took = stamp_ns - self.times[probe]
        self.times[probe] = took if took > 0 else 1  # the clock may be set meanwhile
        return True

    def refused(self, probe: int) -> bool:
        """A reset or an ICMP error came; whether it is about a probe that waits."""
        if probe >= len(self.states) or self.states[probe] != SENT:
            return False
        self.states[probe] = PairState.REFUSED
        return True

    def failed(self, probe: int, code: int, full: bool) -> None:
        """The kernel did not send it; `full`: for want of room in the neighbour table."""
        self.states[probe] = PairState.FULL if full else PairState.UNSENT
        self.errors[probe] = code

    def waiting(self, wave: Wave) -> list[Pair]:
        """Of a wave the pairs without an answer yet."""
        count, states = self.count, self.states
        return [(i, j) for i, others in wave.items() for j in others if states[i * count + j] == SENT]

    def alive(self) -> set[int]:
        """The members that have reached another one, or were reached."""
        count, states = self.count, self.states
        both = ((k, states[k * count : (k + 1) * count] + states[k::count]) for k in range(count))
        return {k for k, found in both if ANSWERED in found}

    def missing(self) -> Iterator[Pair]:
        """All pairs that were asked and have not answered, nor refused."""
        for state in (PairState.SENT, PairState.UNSENT, PairState.FULL):
            at = self.states.find(state)
            while at >= 0:
                yield divmod(at, self.count)
                at = self.states.find(state, at + 1)
