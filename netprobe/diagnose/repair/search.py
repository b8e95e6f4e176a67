"""The search: each candidate is applied to the snapshot, and the probe walked again, both ways. Pure."""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import End, Leg, Need, Snapshot, Stop
from netprobe.predict.prediction import Prediction

from .candidates import candidates
from .harm import harmless
from .rank import ranked
from .repair import Loss, Merit, Repair
from .tried import Tried, tried
from .whole import LACKING, whole

_MOST = 400  # candidates; a walk takes about a millisecond


class Results(Struct, frozen=True):
    """The repairs with which the probe passes, the best first; those with which it gets further; those that
    restore something, with which it is lost elsewhere; and what would have to be read to try the others.
    """

    repairs: tuple[Repair, ...] = ()
    partial: tuple[Repair, ...] = ()
    aside: tuple[Repair, ...] = ()
    needs: tuple[Need, ...] = ()


def search(
    snapshot: Snapshot,
    prediction: Prediction,
    stop: Stop,
    before: Snapshot | None = None,
    *,
    beyond: bool = False,
) -> Results:
    """What would let the probe pass.

    `beyond`: the packet left to where nobody can be seen, so that only a mended way to a visible end proves
    anything. `before` is what was configured when it passed.
    """
    loss = Loss.of(snapshot, prediction, stop, before)
    passing: list[Tried] = []
    further: list[Tried] = []
    aside: list[Tried] = []
    seen: set[object] = set()
    for number, repair in enumerate(candidates(loss)):
        same = (repair.stop.place.namespace, repair.stop.commands, repair.merit, repair.put_back)
        if number >= _MOST or same in seen:
            continue
        seen.add(same)
        found = _try(loss, repair)
        if found is None:
            continue
        if _passes(loss, found.outcome, beyond):
            passing.append(found)
        elif (beyond and _is_translated(found)) or (not beyond and _gets_further(loss, found)):
            further.append(found)
        elif not beyond and _is_lost_elsewhere(loss, found):
            aside.append(found)
    sure, partial, other = (ranked(loss, tuple(f.repair for f in each)) for each in (passing, further, aside))
    return Results(harmless(loss, sure), partial, other, tuple(loss.needs))


def _try(loss: Loss, repair: Repair) -> Tried | None:
    """The repair and what comes of it; with what went along with its object where that is needed too."""
    first = tried(loss, repair)
    return None if first is None else whole(loss, first) or first


def _passes(loss: Loss, outcome: Prediction, beyond: bool) -> bool:
    """Whether an answer comes back; to leave for the unseen is no arrival where the destination is in
    sight.
    """
    if not outcome.passes:
        return False
    if outcome.request.end is End.DELIVER:
        return True
    target = loss.goal
    seen = any(namespace.owner_of(target) is not None for namespace in loss.snapshot.namespaces.values())
    left = loss.prediction.request.end is End.EXIT
    return (left or not seen) and not beyond


def _is_translated(found: Tried) -> bool:
    """Whether what leaves for the unseen has a source then that can be answered to."""
    return found.outcome.passes and found.repair.stop.code.startswith("nat-")


def _gets_further(loss: Loss, found: Tried) -> bool:
    """Whether the probe would be lost later than it is: on the way back, or behind more hops; or goes round
    no more, which brought it nowhere however often it went.
    """
    stop = found.outcome.stop
    if stop is None or stop.code == "unknown":
        return False
    if _same(stop, loss.stop):
        return _lacks_still(loss, found.repair)
    if "route-loop" in (loss.stop.code, found.repair.stop.code) or _lets_go(loss, found.outcome):
        return True
    return _progress(found.repair.mended, found.outcome) >= _progress(loss.snapshot, loss.prediction)


def _is_lost_elsewhere(loss: Loss, found: Tried) -> bool:
    """Whether something was put right, and the probe takes another way on which it is lost as early."""
    stop = found.outcome.stop
    known = stop is not None and stop.code != "unknown" and not _same(stop, loss.stop)
    return known and found.repair.merit is Merit.RESTORES


def _lets_go(loss: Loss, outcome: Prediction) -> bool:
    """Whether who took the request for himself would hand it on."""
    before, now = ([hop.namespace for hop in each.request.hops] for each in (loss.prediction, outcome))
    taken = loss.prediction.request.end is End.DELIVER
    return taken and len(now) > len(before) > 0 and before[-1] in now and now[-1] != before[-1]


# What takes addresses and routes along.
_TAKING = {"link-admin-down", "ipv6-disabled"}


def _lacks_still(loss: Loss, repair: Repair) -> bool:
    """Whether something plainly off took along what is lacking, and nobody in sight knows what that was."""
    names = (loss.stop.place.namespace, loss.probe.destination.namespace)
    took = repair.stop.code in _TAKING and repair.stop.place.namespace in names
    return took and loss.stop.code in LACKING


def _same(one: Stop, other: Stop) -> bool:
    things = tuple(each.object.id if each.object is not None else None for each in (one, other))
    return (one.code, one.place.namespace) == (other.code, other.place.namespace) and things[0] == things[1]


def _progress(snapshot: Snapshot, prediction: Prediction) -> tuple[bool, int]:
    """(whether the request arrived, how many hops the broken leg has)."""
    ended = prediction.ending is not None
    if ended and _is_astray(snapshot, prediction):
        return False, 0
    if prediction.leg is Leg.REPLY or ended:
        return True, len(prediction.reply.hops) if prediction.reply is not None else 0
    return False, len(prediction.request.hops)


def _is_astray(snapshot: Snapshot, prediction: Prediction) -> bool:
    """Whether somebody took the request who does not bear its destination: a loopback stands for a whole
    network.
    """
    hops = prediction.request.hops
    there = snapshot.namespaces.get(hops[-1].namespace) if hops else None
    return there is not None and there.owner_of(hops[-1].flow.dst) is None
