"""Several things at once: a repair with which the probe gets further, one of what it meets then, and so on.

They are looked for only where no single one is found: the best first, by what speaks for each (R. Reiter,
see this package). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import heappop, heappush
from itertools import chain, count, filterfalse

from msgspec import Struct

from netprobe.diagnose.dnat_rules import ENGINES
from netprobe.diagnose.nat_rules import rewriting
from netprobe.model import Command, Hop, Leg, Need, Snapshot
from netprobe.model.command import words_of
from netprobe.model.lookup import among, has, not_among, those_not_in, where
from netprobe.predict import prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.sockets import PROGRAMS

from .patience import Patience
from .repair import Loss, Merit, Repair, is_meant
from .search import Results, search
from .tried import tried
from .whole import LACKING, gives_to_the_asker

_SEARCHES = 16  # of the ways that are followed; one takes some 40 ms
_BREADTH = 5  # repairs that are followed from each place
_ASIDE = 2  # of those, with which the probe gets no further, but is lost elsewhere
_DEPTH = 4  # things at once
_TOO_MUCH = 1 << 30
_UNKNOWN = 2  # how a repair stands to what has changed since the probe passed, of which nothing is known
_BY_HAND = 5  # what a program costs that the reader has to start: as much as what is added
# what is added costs so much more behind what changes nothing by itself: more than all else
_LATE = 12


class _Sequence(Struct, frozen=True):
    """The repairs so far: what they cost together, the first of them, and the loss behind the last one.

    `idle`: nothing has come of them yet.
    """

    cost: int
    depth: int
    first: Repair
    last: Repair
    outcome: Prediction
    idle: bool = False


class Budget:
    """How many searches may still be made behind other repairs."""

    def __init__(self, most: int) -> None:
        self.left = most

    def spent(self) -> bool:
        """Whether none is left; else one is taken."""
        self.left -= 1
        return self.left < 0


class Searches:
    """The searches for a cause: `search`, and `of_several` where none alone was found. Who asks twice may
    remember what was found, and who likes measures.

    `patience`: how long they may go on.
    `supposed`: the fixes that were chosen and have words for the reader to fill in, with what was carried out
    in their place.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self.alone: Callable[..., Results] = partial(search, patience=self.patience)
        self.together = of_several
        self.supposed: dict[tuple[Command, ...], tuple[Command, ...]] = {}

    def sparing(self) -> Searches:
        """The same for a look ahead: its questions share what one question may take of several at once."""
        spare, shared = Searches(self.patience), Budget(_SEARCHES)
        spare.alone, spare.supposed = self.alone, self.supposed
        spare.together = lambda loss, found, budget=shared: self.together(loss, found, budget)
        return spare


def of_several(
    loss: Loss, found: Results, budget: Budget | None = None
) -> tuple[Repair | None, tuple[Need, ...]]:
    """`first_of_several`, or `first_of_two` where a single one would do, and what it lacked."""
    asked = first_of_two if any(map(is_meant, found.repairs)) else first_of_several
    return asked(loss, found, budget or Budget(_SEARCHES)), tuple(loss.needs)


def is_doubtful(found: Results) -> bool:
    """Whether no single repair would do, or those that would add something though another thing is plainly
    not as it should be: that and one more may be what is wrong. What only the reader could fill in is added,
    and so is another thing in the place of one that could be put right.
    """
    off = where((*found.partial, *found.aside, *found.idle), merit=Merit.RESTORES)
    best = next(filter(is_meant, found.repairs), None)
    if best is None:
        return True
    instead = "add" in words_of(best.stop.commands)
    speaking = {Merit.ADDS: off, Merit.UNDOES: where(off, about=best.about) * instead}
    invents = best.merit is Merit.UNDOES and best.is_to_fill_in
    known = (*off, *_undone(found)) if invents else speaking.get(best.merit, ())
    return best.near == _UNKNOWN and bool(known)


def leads_around(loss: Loss, found: Results) -> bool:
    """Whether the best that would do adds a way around the interface at which the probe is lost, or past
    policy rules of which one behind another refuses it, or to an address that a rule made up, though what
    stops it there could be taken away: that and one more may be what is wrong.
    """
    best = next(filter(is_meant, found.repairs), None)
    place = loss.stop.place
    adds = best is not None and best.merit is Merit.ADDS and best.near == _UNKNOWN
    if best is None or not adds or not _undone(found):
        return False
    if place.interface is None:
        return _is_made_up(loss) or any(map(partial(_is_refused_again, loss), _undone(found)))
    then = tried(loss, best)
    at = {"namespace": place.namespace, "interface": place.interface}
    return then is not None and not has(then.outcome.hops, **at)


def _is_made_up(loss: Loss) -> bool:
    """Whether an answer has no way to an address that is nobody's, and that a rule has given to the asker."""
    made = [hop.flow.src for hop in rewriting(reversed(loss.prediction.request.hops), "src")][:1]
    lost = loss.prediction.leg is Leg.REPLY and loss.stop.code == "no-route"
    return lost and not {*made} & {*loss.owned} and loss.stop.thing.id in made


def _is_refused_again(loss: Loss, repair: Repair) -> bool:
    """Whether a route or policy rule refuses the probe, and one of the same namespace does so again behind a
    policy rule that is taken away.
    """
    then = tried(loss, repair) if repair.stop.thing.kind == "policy-rule" else None
    end = None if then is None else then.outcome.stop
    if end is None or end.place.namespace != loss.here.name:
        return False
    return {loss.stop.code, end.code} <= _REFUSALS


_REFUSALS = {"route-blackhole", "route-unreachable", "route-prohibit", "rule-prohibit"}


def _undone(found: Results) -> tuple[Repair, ...]:
    """What takes away something at the end of the walk, with which the probe gets further."""
    return where(found.partial, merit=Merit.UNDOES, is_to_fill_in=False)[:_BREADTH]


def first_of_two(loss: Loss, alone: Results, budget: Budget) -> Repair | None:
    """The first of two repairs that together let the probe pass, of which neither adds anything and neither
    would do alone: it restores what is plainly not as it should be, or takes away what stops the probe. Or
    the first of more, where what would do alone would lead around the others behind it, or adds what
    something tells to be another one.
    """
    off = (*alone.partial[:_BREADTH], *alone.idle[:_ASIDE], *alone.aside[:_ASIDE])
    known = {each.done for each in alone.repairs}
    best = next(filter(is_meant, alone.repairs))
    plain = where(off, merit=Merit.RESTORES, is_to_fill_in=False)
    plain += _undone(alone) if not plain or _is_made_up(loss) else ()
    for repair, cost, outcome in _lost_behind(loss, _costs(plain, 0)):
        if budget.spent():
            break
        way = _Sequence(cost, 2, repair, repair, outcome)
        _, found = _looked_behind(loss, way)
        around = where(found.repairs, merit=Merit.GOES_AROUND)
        arrives = loss.stop.code not in PROGRAMS and _arrives(loss, way)
        # something tells what it was that is lacking: what may be added in its place is not meant
        told = where(among((repair,), code=LACKING), merit=Merit.RESTORES, code=best.code, at=best.at)
        odd = told or (_is_made_up(loss) and repair.merit is Merit.UNDOES)
        meant = filter(is_meant, found.repairs) if odd else not_among(_sound(loss, found), done=known)
        if arrives or any(meant) or has(around, done=best.done):
            return repair
    return None


def _sound(loss: Loss, found: Results) -> tuple[Repair, ...]:
    """The repairs that let the probe pass and add nothing."""
    given = filterfalse(partial(gives_to_the_asker, loss), found.repairs)
    return among(given, merit=(Merit.RESTORES, Merit.UNDOES))


def first_of_several(loss: Loss, alone: Results, budget: Budget) -> Repair | None:
    """The first of the repairs that together let the probe pass, those for which most speaks; None where a
    few do not.

    `alone` is what was found of single ones. `loss.needs` grows.
    """
    queue = _Queue()
    queue.put(_begun(loss, alone))
    best: tuple[int, Repair | None] = (_TOO_MUCH, None)
    known = [_configured(loss.snapshot)]
    while (way := queue.next(best[0])) is not None and not budget.spent():
        if (now := _configured(way.last.mended)) in known:  # one repair took back what another had done
            continue
        known.append(now)
        after, found = _looked_behind(loss, way)
        last = _last_step(loss, way, found)
        if last is None:
            queue.put(_continued(after, way, found) if way.depth < _DEPTH else ())
        elif way.cost + last < best[0]:
            best = way.cost + last, way.first
    return best[1]


def _configured(snapshot: Snapshot) -> tuple[object, ...]:
    """What repairs change."""
    return snapshot.namespaces, snapshot.connections


class _Queue:
    """The ways that are still to be followed, those that cost least first, and of as many the older one."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, _Sequence]] = []
        self._number = count()

    def put(self, ways: Iterable[_Sequence]) -> None:
        """More ways to follow."""
        for way in ways:
            heappush(self._waiting, (way.cost, next(self._number), way))

    def next(self, limit: int) -> _Sequence | None:
        """The one to follow now; None where none costs less than `limit`."""
        if not self._waiting or self._waiting[0][0] >= limit:
            return None
        return heappop(self._waiting)[2]


def _last_step(loss: Loss, way: _Sequence, found: Results) -> int | None:
    """What it costs to let the probe pass behind a way; None where nothing that was found does. Behind what
    has changed nothing it should be something that is wrong as well: added can be much.
    """
    repairs = [*filterfalse(partial(gives_to_the_asker, loss), found.repairs)]
    if way.idle:
        added = (_cost(each) + _LATE for each in filter(is_meant, repairs))
        return next(chain(map(_cost, _sound(loss, found)), added), None)
    by_hand = _BY_HAND if _arrives(loss, way) else None
    return next(map(_cost, filter(is_meant, repairs)), by_hand)


def _looked_behind(loss: Loss, way: _Sequence) -> tuple[Loss, Results]:
    """What the probe meets behind the repairs so far, and what would help there."""
    assert way.outcome.stop is not None
    after = loss.behind(way.last.mended, way.outcome, way.outcome.stop)
    found = search(way.last.mended, way.outcome, way.outcome.stop, loss.before, patience=loss.patience)
    loss.needs.update(dict.fromkeys(found.needs))
    return after, found


def _begun(loss: Loss, found: Results) -> Iterator[_Sequence]:
    """The first step: with each of the repairs that get further, or lead elsewhere; later with those that
    change nothing yet.
    """
    some = [*_further(found), *_costs(found.aside[:_ASIDE], 1)]
    idle = _costs(filter(is_meant, found.idle[:_ASIDE]), 2)
    for steps in (some, idle):
        for repair, cost, outcome in _lost_behind(loss, steps):
            yield _Sequence(cost, 2, repair, repair, outcome, idle=steps is idle)


def _continued(loss: Loss, way: _Sequence, found: Results) -> Iterator[_Sequence]:
    """One step more, with each of the repairs that get further."""
    steps = (each for each in _further(found) if not _takes_back(each[0], (way.first, way.last)))
    for repair, cost, outcome in _lost_behind(loss, steps):
        yield _Sequence(way.cost + cost, way.depth + 1, way.first, repair, outcome, way.idle)


def _further(found: Results) -> list[tuple[Repair, int]]:
    return _costs(filter(is_meant, found.partial), 0)[:_BREADTH]


def _costs(repairs: Iterable[Repair], more: int) -> list[tuple[Repair, int]]:
    return [(each, _cost(each) + more) for each in repairs]


def _lost_behind(loss: Loss, steps: Iterable[tuple[Repair, int]]) -> Iterator[tuple[Repair, int, Prediction]]:
    """Those of the steps behind which the probe is lost still, and how."""
    for repair, cost in steps:
        then = tried(loss, repair)
        if then is not None and then.outcome.stop is not None:
            yield repair, cost, then.outcome


def _takes_back(repair: Repair, before: tuple[Repair, ...]) -> bool:
    """Whether a repair gives back an address that one before it took away: only what went along is gone
    then.
    """
    taken = set(chain.from_iterable(_addresses(each, "del") for each in before))
    return not taken.isdisjoint(_addresses(repair, "add"))


def _addresses(repair: Repair, verb: str) -> Iterator[str]:
    """The addresses that a repair adds, or deletes."""
    for command in repair.stop.commands:
        if command.words[:3] == ("ip", "address", verb):
            yield str(command.words[3])


def _arrives(loss: Loss, way: _Sequence) -> bool:
    """Whether the packet is where it was sent to, and nothing but a program is missing there; not where
    something was taken away, but an address of who had it beside its own.
    """
    stop, hops = way.outcome.stop, way.outcome.request.hops
    undone = Merit.UNDOES in (way.first.merit, way.last.merit)
    if stop is None or stop.code not in PROGRAMS or (undone and not _asks_itself(loss)):
        return False
    target = next((hop.flow.dst for hop in hops[-1:]), None)
    there = loss.snapshot.at(stop.place.namespace)
    return target in _meant(loss, hops) and there.owner_of(target or "") is not None


def _asks_itself(loss: Loss) -> bool:
    """Whether the asker has the address that it asks for, beside another one of the same network."""
    there = loss.snapshot.at(loss.probe.source.namespace)
    own = where(there.addresses, address=loss.goal)
    return bool(own and prefix.neighbours_of(loss.goal, those_not_in(there.addresses, own)))


def _meant(loss: Loss, hops: tuple[Hop, ...]) -> tuple[str, ...]:
    """The addresses at which a program is to be: the one that was asked for, and the one to which an engine
    has published a port of it; by another translation, another place may be meant.
    """
    published = [hop.flow.dst for hop in rewriting(hops, "dst") if hop.thing.owner in ENGINES]
    return (loss.goal, *published)


def _cost(repair: Repair) -> int:
    """One thing is better than two; of as many, what is restored better than what is added. What only the
    reader could fill in is added.
    """
    return 3 + max(repair.merit, Merit.ADDS if repair.is_to_fill_in else Merit.RESTORES)
