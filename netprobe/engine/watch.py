"""One question asked round after round, at once when the kernel says that something changed, until enough
rounds are done or who asks ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from netprobe.errors import NetprobeError
from netprobe.model import Earlier, Probe, Run, Snapshot, Verdict
from netprobe.model.live import BeginEvent, Event, Live, LiveChange, Notice

from .world import Recall

GATHER_NS = 40_000_000  # after a notice: what belongs together comes together
REST_NS = 100_000_000  # between two rounds, at most, however much is told
LEAST_PATIENCE_NS = 150_000_000
LINGER_NS = 3_000_000_000  # for so long a notice waits for what belongs to it
MOST_PENDING = 2000  # notices
HERE = "this watch"  # in place of a file


class Listener(Protocol):
    """Hears what the kernel tells by itself about namespaces."""

    def follow(self, namespaces: Mapping[str, int]) -> None:
        """Listen in these open namespaces from now on, and in no others."""
        ...

    def wait(self, seconds: float) -> bool:
        """Whether something was told within so many seconds; returns as soon as it is."""
        ...

    def heard(self) -> tuple[Notice, ...]:
        """What was told since the last call."""
        ...

    def unheard(self) -> tuple[str, ...]:
        """What cannot be heard, and why."""
        ...


class WatchStep(Struct, frozen=True):
    """The watch after a round: its state, the events of that round, and the run; None where it could not be
    asked.
    """

    live: Live
    events: tuple[Event, ...]
    run: Run | None = None


class Rounds(Struct, frozen=True):
    """How often, and for how many rounds; None: until it is ended."""

    interval_ns: int
    limit: int | None = None


AskOnce = Callable[[Recall, int | None], Run]
"""Asks once; where something is told meanwhile, an answer is waited for no longer than so many ns."""


def watch(
    ask: AskOnce, listener: Listener, rounds: Rounds, recall: Recall | None = None
) -> Generator[WatchStep, None, None]:
    """The steps of a watch. Ctrl-C ends it where it comes.

    `ask` asks the question once, of a machine opened for it, and has `listener` follow what it read: what is
    held open in between would keep a deleted namespace alive. Raises the NetprobeError of the first round; in
    a later one it is a round that could not be asked.
    """
    from netprobe.diagnose.live import after_failure

    good = GoodRound(recall)
    live = Live(None, rounds.interval_ns, rounds.limit, time.time_ns())
    known, pending = Snapshot(), tuple[Notice, ...]()
    while rounds.limit is None or live.rounds < rounds.limit:
        pending += listener.heard()
        began, at_ns = time.monotonic_ns(), time.time_ns()
        try:
            run = ask(good, _patience(live))
        except NetprobeError as error:
            if live.report is None:
                raise
            live, events = after_failure(live, str(error), at_ns)
            yield WatchStep(live, events)
        else:
            pending += listener.heard()
            live, events, pending = _folded(live, run, known, pending, at_ns, listener.unheard())
            known = _known(known, run.snapshot)
            good.learn(run)
            yield WatchStep(live, events, run)
            if live.rounds == 1:
                _get_ready()
        if rounds.limit is None or live.rounds < rounds.limit:
            _pause(listener, began, rounds.interval_ns, any(each.at_ns > at_ns for each in pending))


def _get_ready() -> None:
    """Have the rooms come in that explain a loss, before there is one: they are a hundred modules."""
    from netprobe.causes import catalogue, symptoms  # noqa: F401
    from netprobe.diagnose import blockers, changes, entrances  # noqa: F401
    from netprobe.diagnose.repair import choice  # noqa: F401

    from . import searches  # noqa: F401


def _patience(live: Live) -> int | None:
    """For how long an answer is waited for when something has changed, in ns: much longer than any has taken;
    None while there was none.
    """
    return max(LEAST_PATIENCE_NS, 4 * live.answer.worst_ns) if live.answer.count else None


def _folded(
    live: Live, run: Run, known: Snapshot, pending: tuple[Notice, ...], at_ns: int, unheard: tuple[str, ...]
) -> tuple[Live, tuple[Event, ...], tuple[Notice, ...]]:
    """The watch after a round, its events, and the notices that the next reading is to explain."""
    from netprobe.diagnose.live import after_round, changed_since, dated, passed

    found = changed_since(known, run.snapshot, run.report)
    shown, explained = dated(found, pending, at_ns)
    # what came while it was read may be in that reading, or not: the next one tells
    rest = [each for each in pending if each not in explained]
    fleeting, rest = passed(rest, at_ns)
    changed: list[LiveChange] = sorted((*shown, *fleeting), key=lambda change: change.at_ns)
    begin: tuple[Event, ...] = ()
    if live.report is None:
        begin = (BeginEvent(at_ns, run.report.probe, live.interval_ns, live.limit, unheard),)
        live = replace(live, probe=run.report.probe, unheard=unheard)
    live, events = after_round(live, run.report, changed, at_ns)
    left = [each for each in rest if each.at_ns > at_ns - LINGER_NS]
    return live, (*begin, *events), tuple(left[-MOST_PENDING:])


def _known(known: Snapshot, fresh: Snapshot) -> Snapshot:
    from netprobe.diagnose.live import known_after

    return known_after(known, fresh)


def _pause(listener: Listener, began: int, interval_ns: int, again: bool) -> None:
    """Wait for the next round, or for a notice (`again`: there is one). Between two rounds there is some rest
    in any case.
    """
    spent = time.monotonic_ns() - began
    rest_ns, left_ns = min(spent, REST_NS), 0 if again else interval_ns - spent
    if left_ns <= rest_ns:
        time.sleep(rest_ns / 1e9)
    elif listener.wait(left_ns / 1e9):
        time.sleep(max(GATHER_NS, rest_ns) / 1e9)


class GoodRound:
    """What an earlier run is held against a loss: the last round in which all was well, else what `recall`
    knows, which is asked once.
    """

    def __init__(self, recall: Recall | None) -> None:
        self._recall = recall
        self._good: Earlier | None = None
        self._checked = self._asked = False

    def check(self, command: str, probe: Probe) -> None:
        """Raises WrongQuestion where a file was named that does not fit, in the first round."""
        if self._recall is not None and not self._checked:
            self._recall.check(command, probe)
            self._checked = True

    def find(self, command: str, probe: Probe) -> Earlier | None:
        """That round or run."""
        if self._good is None and self._recall is not None and not self._asked:
            self._asked = True
            self._good = self._recall.find(command, probe)
        return self._good

    def learn(self, run: Run) -> None:
        """Remember a round in which all was well."""
        if run.report.verdict is Verdict.REACHABLE:
            at = time.strftime("%H:%M:%S", time.localtime(run.started_ns / 1e9))
            self._good = Earlier(HERE, run.started_ns, at, run.snapshot)
