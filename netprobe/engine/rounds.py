"""Rounds of asking and reading: the walk, or the diagnosis, says what it lacks, and the world reads that,
until nothing is lacking or reading brings nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from msgspec.structs import replace

from netprobe.errors import CannotLook
from netprobe.model import (
    AskEngines,
    Earlier,
    FindBare,
    FindMacvlans,
    FindOthers,
    FindPeer,
    FindWire,
    LookBehind,
    Need,
    Observation,
    Probe,
    ReadAsking,
    ReadNamespace,
    Report,
    Snapshot,
)
from netprobe.predict.peers import mutual
from netprobe.predict.predict import Course, Prediction, predict
from netprobe.predict.view import Rulings

from .clock import Clock
from .conclude import explain
from .world import World

_EXPLORES = 0.5  # of the time for searches: to find out what is to be read for the one that counts
_LATER = 0.65  # ... of that: what one of these leaves to the next ones, with what was read for it
_TOO_SHORT_S = 0.02  # s; a search of a small network

_AROUND = 64  # namespaces that a diagnosis reads at once, for what else could have been


def foresee(
    world: World, probe: Probe, snapshot: Snapshot, clock: Clock
) -> tuple[Snapshot, Prediction | None]:
    """Predict, reading what the prediction asks for, until it is complete.

    Raises CannotLook when reading brings nothing new: then nobody knows, which is no answer.
    """
    rulings: Rulings = {}
    course, reading = Course(), _Progress(world)
    while True:
        with clock.of("predict"):
            outcome = predict(snapshot, probe, rulings=rulings, course=course)
        if isinstance(outcome, Prediction):
            return snapshot, outcome
        with clock.of("snapshot"):
            grown = reading.grown(snapshot, outcome)
        if grown == snapshot:
            raise CannotLook(
                f"cannot read {needed(outcome)}",
                "It may have vanished while netprobe was looking; try again.",
            )
        snapshot = grown


def look_around(
    world: World, snapshot: Snapshot, prediction: Prediction, clock: Clock, earlier: Earlier | None
) -> Snapshot:
    """Read what the diagnosis of a loss asks for: where the packet would have gone, had one thing been
    different.
    """
    from netprobe.diagnose.repair.choice import lacking

    before = earlier.snapshot if earlier is not None else None
    reading = _Progress(world)
    clock.allow(_EXPLORES)
    while True:
        with clock.of("search"), clock.searches().patience.keeping(_LATER):
            needs = lacking(snapshot, prediction, before, clock.searches(), reading.asked)
        with clock.of("predict"):
            needs = needs or _unfinished(snapshot, prediction.probe)
            needs = needs or _by_chance(snapshot, prediction, before, clock)
        if needs and clock.left() < _TOO_SHORT_S:
            clock.hurried = True
            break
        with clock.of("snapshot"):
            grown = reading.grown(snapshot, _at_once(needs))
        if grown == snapshot:
            break
        snapshot = grown
    return snapshot


def _by_chance(
    snapshot: Snapshot, prediction: Prediction, before: Snapshot | None, clock: Clock
) -> tuple[Need, ...]:
    """What is to be read of packets that rules on the way lead elsewhere by chance."""
    from netprobe.diagnose.repair.choice import lacking
    from netprobe.predict import dice

    if needs := dice.lacking(snapshot, prediction):
        return needs
    every = dice.fates(snapshot, prediction)
    found = (lacking(each.snapshot, each.prediction, before, clock.searches()) for each in every if each.stop)
    return next(filter(None, found), ())


def look_for_the_cause(
    world: World,
    snapshot: Snapshot,
    prediction: Prediction,
    seen: Sequence[Observation] | None,
    clock: Clock,
    earlier: Earlier | None,
) -> Snapshot:
    """The snapshot with what the search for the cause asks for; what questions that nobody answered, or
    another one than was foretold, have shown is for that search alone.
    """
    known = _listen(world, snapshot, prediction, seen, clock) if seen else None
    if known is None:
        return look_around(world, snapshot, prediction, clock, earlier)
    grown = look_around(world, *known, clock, earlier)
    for name, here in snapshot.namespaces.items():
        grown = grown.with_namespace(replace(grown[name], neighbours=here.neighbours))
    return replace(grown, wires=tuple(each for each in grown.wires if not each.silent))


def _listen(
    world: World, snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation], clock: Clock
) -> tuple[Snapshot, Prediction] | None:
    """The snapshot, and the walk over it, with what questions that nobody answered have shown; None where
    that tells nothing new.
    """
    from netprobe.diagnose.silence import listened

    reading = _Progress(world)
    while (found := listened(snapshot, prediction, seen)) is not None:
        known, outcome = found
        if isinstance(outcome, Prediction):
            return known, outcome
        with clock.of("snapshot"):
            grown = reading.grown(snapshot, outcome)
        if grown == snapshot:
            break
        snapshot = grown
    return None


def foretell(
    world: World | None, report: Report, snapshot: Snapshot, clock: Clock, earlier: Earlier | None
) -> tuple[Report, Snapshot]:
    """The report with what would come after its cause; `world` reads on where the mended way leads through
    the unread.
    """
    if not report.causes:
        return report, snapshot
    from netprobe.diagnose.blockers import look, with_outlook

    # a look ahead: whatever it stumbles over in a model that is not real, the answer stands
    clock.allow(1.0)
    with suppress(Exception):
        reading = _Progress(world) if world is not None else None
        asked = reading.asked if reading is not None else None
        with clock.of("diagnose"):
            found = look(report, snapshot, explain, earlier, clock.searches, asked)
        while reading is not None and found is not None and found.needs:
            with clock.of("snapshot"):
                snapshot = reading.grown(snapshot, found.needs)
            with clock.of("diagnose"):
                found = look(report, snapshot, explain, earlier, clock.searches, asked)
        report = with_outlook(report, found)
    return report, snapshot


def ask_tracking(world: World, snapshot: Snapshot, prediction: Prediction, clock: Clock) -> Snapshot:
    """Ask connection tracking what it made of the probe, in each namespace that translates it."""
    from netprobe.diagnose.nat_evidence import questions

    needs = questions(prediction.request.hops)
    with clock.of("observe"):
        return world.read(snapshot, needs) if needs else snapshot


def ask_holders(world: World, snapshot: Snapshot, prediction: Prediction, clock: Clock) -> Snapshot:
    """Ask the container engines whose the port is at which the probe ends, where it may be one of theirs."""
    from netprobe.diagnose.engines import holding

    needs = holding(snapshot, prediction)
    with clock.of("snapshot"):
        return world.read(snapshot, needs) if needs else snapshot


class _Progress:
    """Reads what is asked for, each thing once: who asks for no more than was answered gets no further.
    `asked`: what was asked for so far.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: set[Need] = set()
        # of which namespaces something has come since it was last told who is at whose other end
        self._come: dict[str, None] = {}
        self._told = False

    def grown(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """The snapshot with what was not asked for before; itself where there is nothing of that kind.

        A namespace that was found behind a veth is read at once: the walk is about to enter it; and the way
        back is known by it.
        """
        fresh = [need for need in needs if need not in self.asked]
        if not fresh:
            return snapshot
        self.asked.update(fresh)
        snapshot = self._world.read(snapshot, fresh)
        asked = {(need.namespace, need.nsid) for need in fresh if isinstance(need, FindPeer)}
        self._come |= dict.fromkeys(name for name, _ in asked)
        self._come |= dict.fromkeys(need.name for need in fresh if isinstance(need, ReadNamespace))
        found = (p.peer for p in snapshot.peers if (p.namespace, p.nsid) in asked)
        unread = dict.fromkeys(peer for peer in found if peer is not None and peer not in snapshot)
        if not unread:
            return snapshot
        snapshot = self._world.read(snapshot, [ReadNamespace(name) for name in unread])
        self._come |= unread
        snapshot = mutual(snapshot, self._come.keys() if self._told else None)
        self._told, self._come = True, {}
        return snapshot


def _at_once(needs: Sequence[Need]) -> tuple[Need, ...]:
    """What is read of them before it is asked again what is lacking; a look behind a port costs little."""
    looks = tuple(need for need in needs if isinstance(need, LookBehind))
    others = (need for need in needs if not isinstance(need, LookBehind))
    return (*looks, *islice(others, _AROUND))


def _unfinished(snapshot: Snapshot, probe: Probe) -> tuple[Need, ...]:
    """What the walk asks for now that more was read, so that a saved run can be walked again."""
    outcome = predict(snapshot, probe, ask=False)
    return () if isinstance(outcome, Prediction) else outcome


def needed(needs: Sequence[Need]) -> str:
    """The first of these needs, for people."""
    need = needs[0]
    if isinstance(need, ReadNamespace):
        return f"the configuration of {need.name}"
    if isinstance(need, FindPeer | LookBehind):
        return f"what {need.namespace} is connected to"
    if isinstance(need, FindBare):
        return "which namespaces are connected to nothing"
    if isinstance(need, FindOthers):
        return "which namespaces there are besides"
    if isinstance(need, AskEngines):
        return "what the container engines say"
    if isinstance(need, FindMacvlans):
        return f"what stands on the interfaces of {need.namespace}"
    if isinstance(need, FindWire):
        return f"which host has {need.sought}"
    if isinstance(need, ReadAsking):
        return f"the settings of neighbours of {need.namespace}"
    return f"the routes of {need.namespace}"
