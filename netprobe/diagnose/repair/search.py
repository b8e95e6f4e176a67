"""The search: each candidate is applied to the snapshot, and the probe walked again, both ways. Pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import End, Leg, Need, Probe, Snapshot, Stop
from netprobe.predict import prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .candidates import before as earlier
from .candidates import candidates, routes
from .candidates import stop as stops
from .harm import harmless
from .rank import ranked
from .repair import Loss, Repair
from .segment import own_addresses

_MOST = 400  # candidates; a walk takes about a millisecond


class Tried(Struct, frozen=True):
    """A repair, and what the probe would do with it."""

    repair: Repair
    outcome: Prediction


class Results(Struct, frozen=True):
    """The repairs with which the probe passes, the best first; those with which it gets further; and what
    would have to be read to try the others.
    """

    repairs: tuple[Repair, ...] = ()
    partial: tuple[Repair, ...] = ()
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
    seen: set[object] = set()
    for number, repair in enumerate(candidates(loss)):
        same = (repair.stop.place.namespace, repair.stop.commands, repair.merit, repair.put_back)
        if number >= _MOST or same in seen:
            continue
        seen.add(same)
        tried = _try(loss, repair)
        if tried is None:
            continue
        if _passes(loss, tried.outcome, beyond):
            passing.append(tried)
        elif (beyond and _is_translated(tried)) or (not beyond and _gets_further(loss, tried)):
            further.append(tried)
    sure, partial = (ranked(loss, tuple(tried.repair for tried in each)) for each in (passing, further))
    return Results(harmless(loss, sure), partial, tuple(loss.needs))


def _try(loss: Loss, repair: Repair) -> Tried | None:
    """The repair and what comes of it; with a route beside it where the namespace needs one then."""
    outcome = _walked(loss, repair)
    if not isinstance(outcome, Prediction):
        loss.needs.update(dict.fromkeys(outcome))
        return None
    whole = _with_a_route(loss, repair, outcome) if repair.needs_routes else None
    return whole or Tried(repair, outcome)


def _with_a_route(loss: Loss, repair: Repair, outcome: Prediction) -> Tried | None:
    """The repair and a route with which the probe passes: one that went with the object, or stood in its
    place.
    """
    stop, name = outcome.stop, repair.stop.place.namespace
    if stop is None or (stop.code, stop.place.namespace) != ("no-route", name):
        return None
    after = Loss(repair.mended, outcome, stop, loss.needs, loss.before)
    for more in (
        *earlier.routes(after),
        *routes.gone(after),
        *stops.candidates(after),
        *routes.missing(after),
    ):
        if more.stop.place.namespace != name:
            continue
        whole = repair.also(*(replace(command, namespace=name) for command in more.stop.commands))
        again = _walked(loss, whole) if whole is not None else ()
        if not isinstance(again, Prediction):
            loss.needs.update(dict.fromkeys(again))
        elif whole is not None and again.passes:
            return Tried(whole, again)
    return None


def _walked(loss: Loss, repair: Repair) -> Prediction | tuple[Need, ...]:
    """The probe as its source would send it then: it chooses its address anew where its own namespace
    changed.
    """
    return predict(repair.mended, _sent_anew(loss, repair), ask=False)


def _sent_anew(loss: Loss, repair: Repair) -> Probe:
    """The probe then: a source that changed chooses its address anew, a destination may have got another
    one.
    """
    probe, name = loss.probe, loss.probe.source.namespace or ""
    before = loss.snapshot.namespaces.get(name)
    given = before is None or before.owner_of(probe.source.address or "") is None  # by the one who asks
    if repair.mended.namespaces.get(name) != before and not (given and probe.source.address):
        probe = replace(probe, source=replace(probe.source, address=None))
    moved = _moved(loss, repair)
    return replace(probe, destination=replace(probe.destination, address=moved)) if moved else probe


def _moved(loss: Loss, repair: Repair) -> str | None:
    """The address that the named destination has in the place of the one that was asked."""
    name, asked = loss.probe.destination.namespace or "", loss.probe.destination.address or ""
    before, after = loss.snapshot.namespaces.get(name), repair.mended.namespaces.get(name)
    link = before.owner_of(asked) if before is not None else None
    if after is None or link is None or after.owner_of(asked) is not None:
        return None
    return next((a.address for a in own_addresses(after, link, prefix.version(asked))), None)


def _passes(loss: Loss, outcome: Prediction, beyond: bool) -> bool:
    """Whether an answer comes back; to leave for the unseen is no arrival where the destination is in
    sight.
    """
    if not outcome.passes:
        return False
    if outcome.request.end is End.DELIVER:
        return True
    target = loss.probe.destination.address or ""
    seen = any(namespace.owner_of(target) is not None for namespace in loss.snapshot.namespaces.values())
    left = loss.prediction.request.end is End.EXIT
    return (left or not seen) and not beyond


def _is_translated(tried: Tried) -> bool:
    """Whether what leaves for the unseen has a source then that can be answered to."""
    return tried.outcome.passes and tried.repair.stop.code.startswith("nat-")


def _gets_further(loss: Loss, tried: Tried) -> bool:
    """Whether the probe would be lost later than it is: on the way back, or behind more hops; or goes round
    no more.
    """
    stop = tried.outcome.stop
    if stop is None or stop.code == "unknown":
        return False
    if _same(stop, loss.stop):
        return _lacks_still(loss, tried.repair)
    return tried.repair.stop.code == "route-loop" or _progress(tried.outcome) >= _progress(loss.prediction)


# What takes addresses and routes along, and the ends of a walk that lacks them.
_TAKING = {"link-admin-down", "ipv6-disabled"}
_LACKING = {"no-route", "addr-missing", "neigh-no-answer"}


def _lacks_still(loss: Loss, repair: Repair) -> bool:
    """Whether something plainly off took along what is lacking, and nobody in sight knows what that was."""
    names = (loss.stop.place.namespace, loss.probe.destination.namespace)
    took = repair.stop.code in _TAKING and repair.stop.place.namespace in names
    return took and loss.stop.code in _LACKING


def _same(one: Stop, other: Stop) -> bool:
    things = tuple(each.object.id if each.object is not None else None for each in (one, other))
    return (one.code, one.place.namespace) == (other.code, other.place.namespace) and things[0] == things[1]


def _progress(prediction: Prediction) -> tuple[bool, int]:
    """(whether the request arrived, how many hops the broken leg has)."""
    if prediction.leg is Leg.REPLY or prediction.ending is not None:
        return True, len(prediction.reply.hops) if prediction.reply is not None else 0
    return False, len(prediction.request.hops)
