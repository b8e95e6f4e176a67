"""Walks of many pairs over what was read of a machine, as it is and as it would be after a repair.

Each namespace is read once. A walk is over the two of its pair and those that are no member's: the more of a
segment is read, the longer each question to all of its stations takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from msgspec.structs import replace

from netprobe.errors import CannotLook
from netprobe.model import (
    Cause,
    Endpoint,
    Namespace,
    Need,
    Object,
    Observation,
    Place,
    Probe,
    ReadNamespace,
    Report,
    Snapshot,
    Stop,
    Watch,
)
from netprobe.model.matrix import Pair, Plan
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .clock import Clock, now
from .conclude import diagnosed, typed
from .rounds import foresee, look_around
from .world import Pauses, World

WALKS = 2000  # pairs that are walked, some milliseconds each; of more some of each kind
READINGS = 16  # of what a walk lacks
_PORT = 40_000

End = tuple[str, Place, Object | None]
"""Where a walk ends: code, place and object."""


class Trials:
    """The walks of one matrix."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._plan, self._world = plan, _ReadOnce(world)
        self._members = frozenset(member.namespace for member in plan.members)
        self._answers = Snapshot(moment=now())  # all that was asked besides namespaces

    def kind(self, pair: Pair) -> int:
        """Pairs of the same networks are of one kind."""
        i, j = pair
        aim = self._plan.aims[i][j]
        assert aim is not None
        return hash((tuple(each.network for each in self._plan.members[i].addresses), aim.address.network))

    def chosen(self, pairs: Sequence[Pair]) -> Sequence[Pair]:
        """All of these pairs, or of very many some of each kind."""
        if len(pairs) <= WALKS:
            return pairs
        kinds: dict[int, list[Pair]] = {}
        for pair in pairs:
            kinds.setdefault(self.kind(pair), []).append(pair)
        share = max(1, WALKS // len(kinds))
        return [pair for each in kinds.values() for pair in each[:: max(1, len(each) // share)]]

    def end(self, pair: Pair) -> End | None:
        """Where the walk of a pair ends; None where the model lets it pass, or knows no end."""
        found = self._walked(pair, lambda snapshot: snapshot)
        return _end_of(found.stop) if found is not None and not found.passes else None

    def mends(self, cause: Cause, pair: Pair) -> bool | None:
        """Whether the pair passes once the cause is mended, as the model has it; None where the repair cannot
        be tried on the model.
        """
        from netprobe.diagnose.apply import mend

        touched = [command.namespace or cause.place.namespace or "" for command in cause.commands]
        found = self._walked(pair, lambda snapshot: mend(snapshot, cause), touched)
        return None if found is None else found.passes

    def explained(self, pair: Pair) -> Report | None:
        """What `why` says of a pair; None where the model lets it pass."""
        clock = Clock()
        try:
            snapshot, found = foresee(self._world, self._probe(pair), self._start(pair, ()), clock)
        except CannotLook:
            return None
        if found is None or found.passes:
            return None
        snapshot = look_around(self._world, snapshot, found, clock, None)
        report = diagnosed("why", found.probe, snapshot, found, None, frozenset(), clock, None)
        return typed(report, snapshot)

    def _walked(
        self, pair: Pair, change: Callable[[Snapshot], Snapshot | None], touched: Sequence[str] = ()
    ) -> Prediction | None:
        """The walk over the snapshot as `change` makes it; None where it cannot be changed or read."""
        snapshot, probe = self._start(pair, touched), self._probe(pair)
        for _ in range(READINGS):
            changed = change(snapshot)
            if changed is None:
                return None
            outcome = predict(changed, probe, ask=False)
            if isinstance(outcome, Prediction):
                return outcome
            snapshot = self._world.read(snapshot, outcome)
            self._answers = replace(snapshot, namespaces={})
        return None

    def _start(self, pair: Pair, touched: Sequence[str]) -> Snapshot:
        """What is known that the walk of a pair may need."""
        known = self._world.known
        own = {*touched, *(self._plan.members[n].namespace for n in pair)}
        names = [name for name in known if name in own or name not in self._members]
        return replace(self._answers, namespaces={name: known[name] for name in names})

    def _probe(self, pair: Pair) -> Probe:
        plan = self._plan
        source, target = (plan.members[n] for n in pair)
        aim = plan.aims[pair[0]][pair[1]]
        assert aim is not None
        ports = plan.protocol.has_ports
        there = Endpoint(
            target.endpoint, target.namespace, aim.address.interface, aim.address.address, plan.port
        )
        return Probe(
            plan.protocol, "", Endpoint(source.endpoint, source.namespace), there,
            source_port=_PORT if ports else None, icmp_id=None if ports else 1,
        )  # fmt: skip


class _ReadOnce:
    """A world in which each namespace is read once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.known: dict[str, Namespace] = {}

    def reading(self, limit_ns: int) -> AbstractContextManager[Pauses]:
        """As of the world itself."""
        return self._world.reading(limit_ns)

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """As of the world itself."""
        return self._world.resolve(text, inside)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for."""
        fresh = []
        for need in needs:
            if isinstance(need, ReadNamespace) and need.name in self.known:
                snapshot = snapshot.with_namespace(self.known[need.name])
            else:
                fresh.append(need)
        snapshot = self._world.read(snapshot, fresh) if fresh else snapshot
        self.known.update(
            {name: each for name, each in snapshot.namespaces.items() if name not in self.known}
        )
        return snapshot

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """As of the world itself."""
        return self._world.observe(watch, settled)


def _end_of(stop: Stop | None) -> End | None:
    return None if stop is None else (stop.code, stop.place, stop.object)
