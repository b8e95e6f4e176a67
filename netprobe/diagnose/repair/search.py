"""The search: each candidate is applied to the snapshot, and the probe walked again, both ways. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import End, Leg, Need, Snapshot, Stop
from netprobe.model.lookup import but, column, first, gathered, has, those_not_in, where
from netprobe.predict import prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.sockets import PROGRAMS
from netprobe.predict.trace import Resolved, Routed

from .candidates import Place, candidates
from .candidates import stop as walk_s_end
from .candidates.neighbours import usurped
from .candidates.told import is_waited_for
from .harm import harmless, is_astray
from .kept import with_what_it_takes
from .patience import Patience, untried
from .rank import ranked
from .repair import Loss, Merit, Repair
from .routers import is_for_one
from .tried import Tried, tried
from .whole import LACKING, whole

_MOST = 400  # candidates; a walk takes about a millisecond
_TRIES = 0.5  # of the patience: what is left to try what was made
_WEIGHS = 0.2  # ... and to weigh what would do


class Results(Struct, frozen=True):
    """The repairs with which the probe passes, the best first; those with which it gets further; those that
    restore something, or take away what stops it, with which it is lost elsewhere, or as before; what would
    have to be read to try the others; and what was not tried, in words, though it could have been.
    """

    repairs: tuple[Repair, ...] = ()
    partial: tuple[Repair, ...] = ()
    aside: tuple[Repair, ...] = ()
    idle: tuple[Repair, ...] = ()
    needs: tuple[Need, ...] = ()
    untried: str = ""


def search(
    snapshot: Snapshot,
    prediction: Prediction,
    stop: Stop,
    before: Snapshot | None = None,
    *,
    beyond: bool = False,
    patience: Patience | None = None,
) -> Results:
    """What would let the probe pass.

    `beyond`: the packet left to where nobody can be seen, so that only a mended way to a visible end proves
    anything. `before` is what was configured when it passed. `patience` ends the search early, and is told
    what was not tried.
    """
    loss = Loss.of(snapshot, prediction, stop, before, patience)
    with loss.patience.keeping(_WEIGHS):
        found, left_out = _tried(loss)
    by_standing = gathered((_standing(loss, each, beyond), each.repair) for each in found)
    every = (_PASSES, _FURTHER, _ASIDE, _IDLE)
    sure, further, aside, idle = (ranked(loss, by_standing.get(each, ())) for each in every)
    return Results(harmless(loss, sure), further, aside, idle, tuple(loss.needs), left_out)


def _tried(loss: Loss) -> tuple[list[Tried], str]:
    """The candidates with what comes of each, in the order of their kinds; and what was not tried. The
    likeliest are tried first: it matters where not all can be. Nothing counts then that might come behind
    one that was not.
    """
    with loss.patience.keeping(_TRIES):
        coming = candidates(loss)
        made = sorted(islice(coming, _MOST), key=itemgetter(0))
        more = loss.patience.is_over() or next(coming, None) is not None
    some = first(made, lambda each: _what(each[1])).values()
    meant = [(place, repair) for place, repair in some if not is_waited_for(loss, repair)]
    meant.sort(key=lambda each: _likelihood(loss, *each))
    misled = usurped(loss)
    found = dict[Place, Tried | None]()
    for place, repair in meant:
        if loss.patience.is_over():
            break
        found[place] = _try(loss, repair, misled)
    left_out = untried(len(found), len(meant), more)
    limits = [_standing_before(loss, repair) for _, repair in meant[len(found) :]]
    limit = min((*limits, *[_UNKNOWN] * more), default=_NONE)
    in_order = filter(None, (each for _, each in sorted(found.items(), key=itemgetter(0))))
    return [each for each in in_order if _standing_before(loss, each.repair) < limit], left_out


def _likelihood(loss: Loss, place: Place, repair: Repair) -> tuple[tuple[bool, int], int, int]:
    """What is tried first: the first of each kind before the second."""
    kind, number = place
    return _standing_before(loss, repair), number, kind


def _standing_before(loss: Loss, repair: Repair) -> tuple[bool, int]:
    """What stands before others: what the walk itself named, then what restores something."""
    return repair.stop.identity != loss.stop.identity, repair.merit


_UNKNOWN = True, min(Merit)  # of what did not come to mind
_NONE = True, len(Merit)


_PASSES, _FURTHER, _ASIDE = "passes", "gets further", "is lost elsewhere"
_IDLE, _NOWHERE = "is lost as before", "brings nothing"


def _standing(loss: Loss, found: Tried, beyond: bool) -> str:
    """What becomes of the probe with a repair."""
    if _passes(loss, found.outcome, beyond):
        return _PASSES
    if beyond:
        return _FURTHER if _is_translated(found) else _NOWHERE
    end = found.outcome.stop
    if end is None or end.is_unknown:
        return _NOWHERE
    if _gets_further(loss, found, end):
        return _FURTHER
    if end.identity == loss.stop.identity:
        return _IDLE if found.repair.merit is Merit.RESTORES else _NOWHERE
    if _is_there(loss):
        return _NOWHERE
    return _ASIDE if found.repair.merit is Merit.RESTORES or _takes_the_end(loss, found.repair) else _NOWHERE


def _is_there(loss: Loss) -> bool:
    """Whether the request came to the only one who has its destination: no other way is better."""
    request = loss.prediction.request
    arrived = loss.prediction.leg is Leg.REQUEST and request.end is End.DELIVER
    return arrived and [*column(request.hops[-1:], "namespace")] == loss.bearers(loss.goal)


def _takes_the_end(loss: Loss, repair: Repair) -> bool:
    """Whether a repair takes away what the walk itself named: that it is lost elsewhere then is another
    thing.
    """
    return repair.merit is Merit.UNDOES and repair.stop.identity == loss.stop.identity


def _what(repair: Repair) -> tuple[object, ...]:
    """What tells one candidate from another."""
    return repair.stop.place.namespace, repair.stop.commands, repair.merit, repair.put_back


def _try(loss: Loss, repair: Repair, misled: frozenset[Resolved]) -> Tried | None:
    """The repair and what comes of it, with what it would take along itself, and with what went along with
    its object where that is needed too. `misled`: the entries by which the packet went to another one.
    """
    first = tried(loss, repair)
    if first is None:
        return None
    kept = with_what_it_takes(loss, _once_more(loss, first))
    best = whole(loss, kept) or kept
    still = not misled.isdisjoint(best.outcome.resolved)
    if still or _is_another_s(loss, best) or _comes_by_another(loss, best):
        return replace(best, repair=replace(best.repair, merit=Merit.GOES_AROUND))
    if _leads_wider(loss, first, best):
        return replace(best, repair=replace(best.repair, merit=max(best.repair.merit, Merit.ADDS)))
    return best


def _once_more(loss: Loss, first: Tried) -> Tried:
    """The repair with what the same rule or policy must let in by the next interfaces as well, where that
    refuses the packet there: a router asks on either side of it.
    """
    for _ in range(_DOORS):
        end, before = first.outcome.stop, first.repair.stop
        if end is None or end.identity != before.identity or end.place.interface == before.place.interface:
            break
        after = loss.behind(first.repair.mended, first.outcome, end)
        then = (tried(loss, first.repair.also(each)) for each in walk_s_end.candidates(after))
        wider = next((each for each in then if each is not None and _ends_elsewhere(each, end)), None)
        if wider is None:
            break
        first = wider
    return first


_DOORS = 2  # further ones


def _ends_elsewhere(found: Tried, end: Stop) -> bool:
    """Whether a probe is not lost any more where it was."""
    then = found.outcome.stop
    return then is None or (then.identity, then.place) != (end.identity, end.place)


def _leads_wider(loss: Loss, first: Tried, whole: Tried) -> bool:
    """Whether a route to a network that somebody wrote, by who is there, goes, and one to all the world must
    come for it: what was there was no fault.
    """
    name = first.repair.stop.place.namespace
    before, between, after = (
        each.at(name).routes for each in (loss.snapshot, first.repair.mended, whole.repair.mended)
    )
    gone, come = where(those_not_in(before, between), is_written=True), those_not_in(after, between)
    led = {*chain.from_iterable(column(gone, "gateways"))}
    return bool(led & {*loss.owned}) and not has(gone, is_default=True) and has(come, is_default=True)


def _is_another_s(loss: Loss, found: Tried) -> bool:
    """Whether another one of several who have the destination answers then than the one to whom the packet
    was led, and who is meant; but not he who is led to straight, as a double is and no one of several who
    serve for each other, and has no program on the port, where the other one has.
    """
    asked = loss.asked(Leg.REQUEST)
    straight = not but(filter(is_for_one, asked), gateway=None)
    serves = loss.stop.code == "port-closed" and found.outcome.passes
    goals = {loss.goal, dict.fromkeys(PROGRAMS, loss.prediction.target).get(loss.stop.code, loss.goal)}
    bearers = set() if serves and straight else {*chain.from_iterable(map(loss.bearers, goals))}
    sent = (*asked[-1:], *filter(is_for_one, asked))
    led = {name for each in sent for name in loss.bearers(each.gateway) or _beyond(loss, each)} & bearers
    ends = {*column(found.outcome.request.hops[-1:], "namespace")} & bearers
    ends -= {*_told_by_rules(loss, found)}
    return bool(led and ends) and led.isdisjoint(ends)


def _told_by_rules(loss: Loss, found: Tried) -> Iterator[str]:
    """Who is asked where a policy rule for that one address is put right: it says who is meant, and is asked
    before the routes are.
    """
    goal, thing = f"{loss.goal}/{prefix.bits(loss.goal)}", found.repair.stop.thing
    if found.repair.merit is Merit.RESTORES and thing.kind == "policy-rule" and goal in thing.id.split():
        yield from column(found.outcome.request.hops[-1:], "namespace")


def _comes_by_another(loss: Loss, found: Tried) -> bool:
    """Whether what restores nothing only lets the probe come in by another interface of the one who has it
    already, whose program is for that one alone.
    """
    if not _is_there(loss) or loss.stop.code not in PROGRAMS or found.repair.merit is Merit.RESTORES:
        return False
    before, now = loss.prediction.request.hops[-1:], found.outcome.request.hops[-1:]
    same = [*column(before, "namespace")] == [*column(now, "namespace")]
    return same and [*column(before, "interface")] != [*column(now, "interface")]


def _beyond(loss: Loss, routed: Routed) -> tuple[str, ...]:
    """The namespace at the other end of the cable that a route leads out of, as far as that was read: who had
    its gateway.
    """
    far = loss.known_end(routed.namespace, loss.out(routed))
    return () if far is None else (far[0],)


def _passes(loss: Loss, outcome: Prediction, beyond: bool) -> bool:
    """Whether an answer comes back; to leave for the unseen is no arrival where the destination is in
    sight.
    """
    if not outcome.passes or outcome.request.end is End.DELIVER:
        return outcome.passes and not (beyond and _answer_leaves(outcome))
    left = loss.prediction.request.end is End.EXIT
    nowhere = loss.goal not in loss.owned and not loss.snapshot.homes
    return not beyond and (left or nowhere)


def _answer_leaves(outcome: Prediction) -> bool:
    """Whether the answer leaves for the unseen, though who asked is in sight."""
    return outcome.reply is not None and outcome.reply.end is End.EXIT


def _is_translated(found: Tried) -> bool:
    """Whether what leaves for the unseen has a source then that can be answered to."""
    return found.outcome.passes and found.repair.stop.code.startswith("nat-")


def _gets_further(loss: Loss, found: Tried, end: Stop) -> bool:
    """Whether the probe would be lost later than it is: on the way back, or behind more hops; or goes round
    no more. `end`: where it would be lost.
    """
    if end.identity == loss.stop.identity:
        return _lacks_still(loss, found.repair)
    if found.repair.stop.code == "route-loop" or _lets_go(loss, found.outcome, end):
        return True
    return _progress(found.repair.mended, found.outcome) >= _progress(loss.snapshot, loss.prediction)


_REFUSALS = {"route-prohibit", "route-unreachable", "route-blackhole", "rule-prohibit"}


def _lets_go(loss: Loss, outcome: Prediction, end: Stop) -> bool:
    """Whether who took the packet for himself, the request or its answer, would hand it on, if only a route
    did not lack or refuse that.
    """
    answer = loss.stop.code == _TAKEN_BACK
    before, now = (each.reply if answer else each.request for each in (loss.prediction, outcome))
    if before is None or now is None or not before.names or not (answer or before.end is End.DELIVER):
        return False
    taker = before.names[-1]
    # by its loopback it is many hops to oneself
    further = len(now.names) > len(before.names) or len({*now.names}) > len({*before.names})
    if further and taker in now.names:
        return now.names[-1] != taker or now.end is not End.DELIVER
    goal = before.hops[-1].flow.dst if answer else loss.goal
    return end.place.namespace == taker and _is_refused(loss, taker, goal, end)


_TAKEN_BACK = "nat-not-reversed"  # an answer that another one than who asked takes for its own


def _is_refused(loss: Loss, name: str, goal: str, stop: Stop) -> bool:
    """Whether a route refuses what is for others, or the one to who else has the destination is missing."""
    others = those_not_in(loss.bearers(goal), (name,))
    return stop.code in _REFUSALS or (stop.code == "no-route" and bool(others))


# What takes addresses and routes along.
_TAKING = {"link-admin-down", "ipv6-disabled"}


def _lacks_still(loss: Loss, repair: Repair) -> bool:
    """Whether something plainly off took along what is lacking, and nobody in sight knows what that was."""
    names = (loss.stop.place.namespace, loss.probe.destination.namespace)
    took = repair.stop.code in _TAKING and repair.stop.place.namespace in names
    return took and loss.stop.code in LACKING


def _progress(snapshot: Snapshot, prediction: Prediction) -> tuple[bool, int]:
    """(whether the request arrived, how many hops the broken leg has)."""
    ended = prediction.ending is not None
    if ended and is_astray(snapshot, prediction):
        return False, 0
    if prediction.leg is Leg.REPLY or ended:
        return True, len(prediction.hops) - len(prediction.request.hops)
    return False, len(prediction.request.hops)
