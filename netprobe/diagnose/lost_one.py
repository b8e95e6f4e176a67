"""The case of one probe that was lost while others passed, or would have: there the cause is to be found.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from netprobe.model import Agreement, Hop, Leg, Observation, Verdict
from netprobe.model.lookup import but, column, where
from netprobe.predict.prediction import Faring, Prediction

from .believed import believed
from .correlate import best_sequence, lay, lost_sequence
from .evidence import Case
from .verdict import agreement_of

BY_CHANCE = "rules on the way decide by chance which way a packet goes: the cause is of those that are lost"


def of_a_lost_one(case: Case, tapped: frozenset[str]) -> Case:
    """The case of one probe that was lost, of several."""
    sequence = lost_sequence(case.observations, case.probe.count)
    observations = where(case.observations, sequence=sequence)
    request, reply = paths(case.prediction, observations, tapped, sequence)
    return replace(case, observations=observations, request=request, reply=reply)


def paths(
    prediction: Prediction | None, seen: Sequence[Observation], tapped: frozenset[str], sequence: int
) -> tuple[tuple[Hop, ...], tuple[Hop, ...]]:
    """The predicted hops of both ways, with what was seen of this probe at each."""
    walks = prediction.walks if prediction is not None else ()
    request, reply, *_ = (*column(walks, "hops"), (), ())
    return lay(request, Leg.REQUEST, seen, tapped, sequence), lay(reply, Leg.REPLY, seen, tapped, sequence)


def led_otherwise(case: Case, verdict: Verdict, tapped: frozenset[str]) -> tuple[Case, Verdict]:
    """The case of those packets that rules on the way lead elsewhere by chance, where it is these that are
    lost, or that were seen; with the verdict. Both as they are where there is no such rule.
    """
    prediction = case.prediction
    plainly = case.watched and verdict is Verdict.REACHABLE and case.foreseen is None
    if prediction is None or plainly:
        return case, verdict
    from netprobe.predict.dice import fates  # a healthy network needs no search

    every = [Faring(case.snapshot, prediction), *fates(case.snapshot, prediction)]
    lost = but(every, stop=None)
    if case.watched and every[1:]:
        return _as_seen(case, verdict, tapped, every), verdict
    if verdict is Verdict.UNDETERMINED or len(lost) in (0, len(every)):
        return case, verdict
    return replace(_led(case, lost[0], tapped), by_chance=True), Verdict.INTERMITTENT


def _as_seen(case: Case, verdict: Verdict, tapped: frozenset[str], fates: Iterable[Faring]) -> Case:
    """The case of packets that fare as this one was seen to."""
    passes = verdict is Verdict.REACHABLE
    if agreement_of(case, verdict) is Agreement.CONFIRMED:
        return case
    for fate in fates:
        led = replace(_led(case, fate, tapped), by_chance=not passes)
        if agreement_of(led, verdict) is Agreement.CONFIRMED and (believed(led) is None) is passes:
            return led
    return case


def _led(case: Case, fate: Faring, tapped: frozenset[str]) -> Case:
    """The case with another prediction, and what was seen on that way."""
    request, reply = paths(fate.prediction, case.observations, tapped, best_sequence(case.observations))
    return replace(case, snapshot=fate.snapshot, prediction=fate.prediction, request=request, reply=reply)
