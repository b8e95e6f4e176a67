"""Rounds of asking and reading: the walk, or the diagnosis, says what it lacks, and the world reads that,
until nothing is lacking or reading brings nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from netprobe.errors import CannotLook
from netprobe.model import Earlier, FindMacvlans, FindPeer, Need, Probe, ReadNamespace, Report, Snapshot
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.view import Rulings

from .clock import Clock
from .conclude import explain
from .world import World

# a path asks for a few namespaces and a route lookup at each; this many rounds mean that reading does not
# help
_ROUNDS = 200
_AROUND = 64  # namespaces that a diagnosis reads at once, for what else could have been


def foresee(
    world: World, probe: Probe, snapshot: Snapshot, clock: Clock
) -> tuple[Snapshot, Prediction | None]:
    """Predict, reading what the prediction asks for, until it is complete.

    None when reading brings nothing new.
    """
    rulings: Rulings = {}
    for _ in range(_ROUNDS):
        with clock.of("predict"):
            outcome = predict(snapshot, probe, rulings=rulings)
        if isinstance(outcome, Prediction):
            return snapshot, outcome
        with clock.of("snapshot"):
            grown = _with_peers(world, world.read(snapshot, outcome), outcome)
        if grown == snapshot:
            raise CannotLook(
                f"cannot read {_needed(outcome)}",
                "It may have vanished while netprobe was looking; try again.",
            )
        snapshot = grown
    return snapshot, None


def look_around(
    world: World, snapshot: Snapshot, prediction: Prediction, clock: Clock, earlier: Earlier | None
) -> Snapshot:
    """Read what the diagnosis of a loss asks for: where the packet would have gone, had one thing been
    different.
    """
    from netprobe.diagnose.repair.choice import lacking

    before = earlier.snapshot if earlier is not None else None
    for _ in range(_ROUNDS):
        needs = lacking(snapshot, prediction, before, clock.searches())
        with clock.of("predict"):
            needs = (needs or _unfinished(snapshot, prediction.probe))[:_AROUND]
        with clock.of("snapshot"):
            grown = _with_peers(world, world.read(snapshot, needs), needs) if needs else snapshot
        if grown == snapshot:
            break
        snapshot = grown
    return snapshot


def foretell(
    world: World | None, report: Report, snapshot: Snapshot, clock: Clock, earlier: Earlier | None
) -> tuple[Report, Snapshot]:
    """The report with what would come after its cause; `world` reads on where the mended way leads through
    the unread.
    """
    if not report.causes:
        return report, snapshot
    from netprobe.diagnose.blockers import lacking, with_outlook

    # a look ahead: whatever it stumbles over in a model that is not real, the answer stands
    with suppress(Exception):
        for _ in range(_ROUNDS if world is not None else 0):
            needs = lacking(report, snapshot, explain, earlier, clock.searches)
            with clock.of("snapshot"):
                grown = (
                    _with_peers(world, world.read(snapshot, needs), needs)
                    if needs and world is not None
                    else snapshot
                )
            if grown == snapshot:
                break
            snapshot = grown
        report = with_outlook(report, snapshot, explain, earlier, clock.searches)
    return report, snapshot


def ask_tracking(world: World, snapshot: Snapshot, prediction: Prediction, clock: Clock) -> Snapshot:
    """Ask connection tracking what it made of the probe, in each namespace that translates it."""
    from netprobe.diagnose.nat_evidence import questions

    needs = questions(prediction.request.hops)
    with clock.of("observe"):
        return world.read(snapshot, needs) if needs else snapshot


def _with_peers(world: World, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
    """A namespace that was found behind a veth is read at once: the walk is about to enter it."""
    asked = {(need.namespace, need.nsid) for need in needs if isinstance(need, FindPeer)}
    found = [
        p.peer
        for p in snapshot.peers
        if (p.namespace, p.nsid) in asked and p.peer is not None and p.peer not in snapshot
    ]
    return world.read(snapshot, [ReadNamespace(name) for name in found]) if found else snapshot


def _unfinished(snapshot: Snapshot, probe: Probe) -> tuple[Need, ...]:
    """What the walk asks for now that more was read, so that a saved run can be walked again."""
    outcome = predict(snapshot, probe, ask=False)
    return () if isinstance(outcome, Prediction) else outcome


def _needed(needs: Sequence[Need]) -> str:
    need = needs[0]
    if isinstance(need, ReadNamespace):
        return f"the configuration of {need.name}"
    if isinstance(need, FindPeer):
        return f"what {need.namespace} is connected to"
    if isinstance(need, FindMacvlans):
        return f"what stands on the interfaces of {need.namespace}"
    return f"the routes of {need.namespace}"
