"""A question that is asked round after round: its statistics, what changed meanwhile, and the events of its
stream. All of it is bounded: it stays as large as it is, however long one watches.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from .flow import Probe
from .report import Cause, Changed, Hop, Leg, Report, Verdict

MOST_CHANGES = 64  # the last ones are kept
MOST_HOPS = 128  # of both directions, those of the last rounds first


class Latency(Struct, frozen=True, gc=False):
    """Statistics of spans in ns, one after the other: none of them is kept.

    B. P. Welford, Note on a method for calculating corrected sums of squares, Technometrics 4 (1962).
    """

    count: int = 0
    last_ns: int = 0
    best_ns: int = 0
    worst_ns: int = 0
    mean_ns: float = 0.0
    squares: float = 0.0  # of the distances from the mean, in ns²

    def after(self, span_ns: int) -> Latency:
        """The statistics with one more."""
        count = self.count + 1
        distance = span_ns - self.mean_ns
        mean = self.mean_ns + distance / count
        best = min(self.best_ns, span_ns) if self.count else span_ns
        worst = max(self.worst_ns, span_ns) if self.count else span_ns
        squares = self.squares + distance * (span_ns - mean)
        return Latency(count, span_ns, best, worst, mean, squares)

    @property
    def average_ns(self) -> int:
        """The mean."""
        return round(self.mean_ns)

    @property
    def deviation_ns(self) -> int:
        """The standard deviation of all that came, as ping(8) gives it (mdev)."""
        return round((self.squares / self.count) ** 0.5) if self.count else 0


class LiveHop(Struct, frozen=True, gc=False):
    """One place that shows the probe, and how often it did: `sent` rounds came to it or should have, in
    `seen` of them a sensor saw the packet, so long after it was sent as `latency` says.

    `away`: for how many rounds the way has not led here.
    """

    leg: Leg
    hop: Hop
    sent: int = 0
    seen: int = 0
    latency: Latency = Latency()
    away: int = 0

    @property
    def key(self) -> tuple[Leg, str, str | None, str, str | None]:
        """What it is known by, wherever it stands in its way."""
        hop = self.hop
        return self.leg, hop.namespace, hop.interface, str(hop.stage), hop.bound

    @property
    def lost(self) -> float:
        """The share that was not seen here, from 0 to 1."""
        return (self.sent - self.seen) / self.sent if self.sent else 0.0


class Notice(Struct, frozen=True, gc=False):
    """What the kernel told by itself: some object of a namespace changed at that moment.

    `kind` and `name` as in a Difference; `what` is "new", "gone", "up", "down", "no carrier", or empty where
    something else of it is otherwise. `by`: the program that did it, where the kernel tells (nf_tables).
    """

    at_ns: int
    namespace: str
    kind: str
    name: str
    what: str = ""
    by: str = ""


class LiveChange(Struct, frozen=True, gc=False):
    """Something that became otherwise while it was watched, and when (ns since the epoch).

    `heard`: the kernel told the moment; otherwise it was found by comparing, some time since the round
    before. `passing`: it is again as it was.
    """

    at_ns: int
    what: Changed
    heard: bool = False
    by: str = ""
    passing: bool = False


class Live(Struct, frozen=True, gc=False):
    """A watch so far. `rounds` were asked: each was answered, lost, undetermined or `failed` (could not be
    asked, as `trouble` says). `report` is that of the last one that could; since `since_ns` verdict and cause
    are as they are.
    """

    probe: Probe | None = None
    interval_ns: int = 0
    limit: int | None = None
    started_ns: int = 0
    at_ns: int = 0
    since_ns: int = 0
    rounds: int = 0
    answered: int = 0
    lost: int = 0
    undetermined: int = 0
    failed: int = 0
    trouble: str = ""
    report: Report | None = None
    hops: tuple[LiveHop, ...] = ()
    answer: Latency = Latency()
    changes: tuple[LiveChange, ...] = ()
    changed: int = 0
    unheard: tuple[str, ...] = ()  # what the kernel could not be asked to tell, and why


class SeenHop(Struct, frozen=True, gc=False):
    """One place in one round: None where no sensor was."""

    leg: Leg
    n: int
    namespace: str
    interface: str | None
    stage: str
    bound: str | None
    seen: bool | None
    time_ns: int | None


class BeginEvent(Struct, frozen=True, gc=False, tag_field="event", tag="begin"):
    """What is watched, from when on, how often; `rounds` None: until it is ended."""

    at_ns: int
    probe: Probe
    interval_ns: int
    rounds: int | None
    unheard: tuple[str, ...] = ()
    schema: Literal["netprobe.watch/1"] = "netprobe.watch/1"


class RoundEvent(Struct, frozen=True, gc=False, tag_field="event", tag="round"):
    """One probe and what became of it; `verdict` None: it could not be asked, as `trouble` says."""

    at_ns: int
    round: int
    verdict: Verdict | None
    rtt_ns: int | None = None
    code: str | None = None
    hops: tuple[SeenHop, ...] = ()
    trouble: str = ""
    schema: Literal["netprobe.watch/1"] = "netprobe.watch/1"


class ChangeEvent(Struct, frozen=True, gc=False, tag_field="event", tag="change"):
    """Something in the configuration is otherwise: see LiveChange."""

    at_ns: int
    heard: bool
    what: Changed
    passing: bool = False
    by: str = ""
    schema: Literal["netprobe.watch/1"] = "netprobe.watch/1"


class VerdictEvent(Struct, frozen=True, gc=False, tag_field="event", tag="verdict"):
    """The verdict or its cause is another one than in the round before (in the first round: is there)."""

    at_ns: int
    round: int
    verdict: Verdict
    direction: Leg | None
    summary: str
    causes: tuple[Cause, ...] = ()
    before: Verdict | None = None
    schema: Literal["netprobe.watch/1"] = "netprobe.watch/1"


class EndHop(Struct, frozen=True, gc=False):
    """The statistics of one place, in ns."""

    leg: Leg
    n: int
    namespace: str
    interface: str | None
    stage: str
    bound: str | None
    sent: int
    seen: int
    last_ns: int
    average_ns: int
    best_ns: int
    worst_ns: int
    deviation_ns: int


class EndEvent(Struct, frozen=True, gc=False, tag_field="event", tag="end"):
    """How it ended: all rounds together, and the files of the last round and of the last that was lost.

    `complete` False: it was interrupted. `report` is that of the last round.
    """

    at_ns: int
    rounds: int
    answered: int
    lost: int
    undetermined: int
    failed: int
    changed: int
    hops: tuple[EndHop, ...]
    complete: bool
    report: Report | None
    capture: str | None = None
    lost_capture: str | None = None
    schema: Literal["netprobe.watch/1"] = "netprobe.watch/1"


Event = BeginEvent | RoundEvent | ChangeEvent | VerdictEvent | EndEvent
