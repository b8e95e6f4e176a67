"""Which repair is called the cause, and what else would do. Pure."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import partial
from operator import attrgetter

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import engines
from netprobe.diagnose.apply import mend
from netprobe.model import End, Leg, Namespace, Need, Nexthop, Object, Place, Snapshot, Stage, Stop, lookup
from netprobe.model.command import words_of
from netprobe.model.lookup import column
from netprobe.predict.drop import lost
from netprobe.predict.fib import describe
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.routing import without_route
from netprobe.predict.trace import Routed

from .along import needs_routes
from .blame import blamed, not_in_a_map
from .candidates.stop import completed
from .candidates.stop import target as wanted
from .other import Other
from .patience import ALONE_ONLY, Patience
from .rank import reason
from .repair import Loss, Merit, Repair, is_meant
from .search import Results
from .several import Searches, is_doubtful, leads_around
from .tried import tried
from .waited import with_waiting
from .whole import in_both_families
from .worn import of_another_address, of_another_name, of_worn

_ALTERNATIVES = 3
# What takes routes along, where it is off or gone.
_TAKING = {
    "link-admin-down", "link-missing", "ipv6-disabled",
    "addr-missing", "addr-wrong-subnet", "addr-wrong-prefix",
}  # fmt: skip
_WAYLESS = {"no-route", "ra-not-accepted", "addr-missing"}  # ends of a walk that finds no way
_PLAIN = Searches()


class Choice(Struct, frozen=True):
    """The end of the walk as the thing to change; the leg it counts to (None: as predicted); what else would
    do; what was not tried, in words, though it could have been.
    """

    stop: Stop
    leg: Leg | None = None
    others: tuple[Other, ...] = ()
    untried: str = ""


def choose(
    snapshot: Snapshot,
    prediction: Prediction,
    stop: Stop,
    before: Snapshot | None = None,
    searches: Searches = _PLAIN,
) -> Choice:
    """The repair that stands first; the end of the walk itself where none that is more than a detour would
    do.
    """
    told = engines.told(snapshot, prediction, stop)
    if told is not None:
        return Choice(told)
    found = searches.alone(snapshot, prediction, stop, before)
    patience = searches.patience
    loss = Loss.of(snapshot, prediction, stop, before, patience)
    single = _passing(found.repairs)
    for lacking_element in not_in_a_map(loss) if single is None else ():
        return Choice(lacking_element)
    doubtful = is_doubtful(found) or leads_around(loss, found)
    several = _together(loss, found, searches) if doubtful else None
    first = several or single or _plainly_off(found) or _instead(found, stop) or _off_here(loss, found)
    if first is None:
        loss = Loss.of(snapshot, prediction, stop, patience=patience)
        end = blamed(loss) or _astray(loss, found) or _honest(loss, stop, found)
        return Choice(
            of_worn(snapshot, engines.reconnected(snapshot, end), loss.version),
            others=_others(loss, found, None),
            untried=_untried(found, patience),
        )
    first = in_both_families(loss, _blamed(loss, first) if first.put_back else first)
    if searches is not _PLAIN and first.is_to_fill_in:
        searches.supposed[first.stop.commands] = first.done
    timed = with_waiting(loss, first)
    end = engines.reconnected(snapshot, _by_who_refuses(_explaining(timed, stop), stop))
    end = of_another_address(snapshot, of_another_name(snapshot, of_worn(snapshot, end, loss.version)))
    end = _of_lost_address(found, end)
    return Choice(end, first.leg, _others(loss, found, first), _untried(found, patience))


def _untried(found: Results, patience: Patience) -> str:
    """What was not tried, in words: of single repairs, or of what comes behind them."""
    return found.untried or ALONE_ONLY * patience.is_over()


def _of_lost_address(found: Results, end: Stop) -> Stop:
    """The end of a walk that lacks a way, of which nobody knows where it led, as one of the address that one
    interface there lacks as well, by those beside it: what led by it went with that.
    """
    bare = lookup.where(found.idle, code="addr-missing", merit=Merit.RESTORES)
    told = "route" in words_of(end.commands)
    for stop in lookup.sole(lookup.first(column(bare, "stop"), attrgetter("place")).values()):
        if (end.code, end.place.namespace, told) == ("no-route", stop.place.namespace, False):
            why = f"{stop.text}: its routes went with it"
            return replace(end, object=stop.object, proof=(*end.proof, why))
    return end


def _together(loss: Loss, found: Results, searches: Searches) -> Repair | None:
    """The first of several repairs, or what is to be switched on before it."""
    first, _ = searches.together(loss, found)
    if first is None:
        return None
    # what is off is switched on before anything else is done about it
    return lookup.find(found.partial, code="link-admin-down", at=first.at) or first


def _blamed(loss: Loss, repair: Repair) -> Repair:
    """What was put back, called as the translation that is to blame, where it is that."""
    found = blamed(loss)
    if found is None or not _is_about(found, repair.stop):
        return repair
    return replace(repair, stop=replace(repair.stop, code=found.code))


def _honest(loss: Loss, stop: Stop, found: Results) -> Stop:
    """The end of the walk itself, without commands of which the model says that they help not a step; mended
    as far as anything mends it.
    """
    on = lookup.find(filter(is_meant, found.partial), about=stop.about)
    if on is not None:
        return replace(stop, commands=on.stop.commands, advice="")
    whole = completed(loss, _without_announcements(loss, stop))
    helps = any(repair.stop.commands == whole.commands for repair in (*found.repairs, *found.partial))
    known = mend(loss.snapshot, whole) is not None
    return whole if helps or not known else replace(whole, commands=())


def _without_announcements(loss: Loss, stop: Stop) -> Stop:
    """No route instead of one that no router has announced, where nobody on the segment is a router."""
    place, target = loss.snapshot.link_at(stop.place), wanted(loss)
    if stop.code != "ra-not-accepted" or place is None or target is None:
        return stop
    namespace, link = place
    beside = [loss.snapshot[name] for name, _ in loss.others(namespace.name, link)]
    silent = all(each.sysctl("net.ipv6.conf.all.forwarding") != "1" for each in beside)
    if beside and silent:
        return without_route(namespace, target)
    return stop


def _passing(repairs: tuple[Repair, ...]) -> Repair | None:
    """The first that passes and is no detour; a route that goes for another one is replaced, where that
    would do.
    """
    meant = [*filter(is_meant, repairs)]
    first = next(iter(meant), None)
    if first is None or not _exchanges_routes(first):
        return first
    alone = (each for each in meant if len(each.stop.commands) == 1 and _is_about(each.stop, first.stop))
    return next(alone, first)


def _exchanges_routes(repair: Repair) -> bool:
    """Whether a repair deletes a route and gives another one."""
    words = [{*command.words} for command in repair.stop.commands]
    return len(words) > 1 and {"route", "del"} <= words[0] and {"route", "add"} <= words[-1]


def _plainly_off(found: Results) -> Repair | None:
    """The first thing on the way that is plainly not as it should be."""
    return lookup.find(found.partial, merit=Merit.RESTORES)


def _instead(found: Results, stop: Stop) -> Repair | None:
    """The first thing that is not as it should be and leads to where the packet is lost, where to mend that
    place would be a detour.
    """
    here = lookup.where(found.partial, about=stop.about)
    if not here or any(map(is_meant, here)):
        return None
    return lookup.find(found.aside, merit=Merit.RESTORES)


def _off_here(loss: Loss, found: Results) -> Repair | None:
    """What is plainly off where the packet finds no way, or the end of a cable there that lies elsewhere, and
    took along what is missing, of which nobody in sight knows what it was.
    """
    if loss.stop.code not in _WAYLESS or blamed(loss) is not None:
        return None
    off = lookup.among(lookup.where(found.idle, merit=Merit.RESTORES, is_to_fill_in=False), code=_TAKING)
    here = [each for each in off if each.stop.place.namespace == loss.stop.place.namespace]
    moved = filter(partial(_revives, loss.here), lookup.where(off, code="link-missing"))
    return next(filter(needs_routes, (*here, *moved)), None)


def _revives(namespace: Namespace, repair: Repair) -> bool:
    """Whether an interface of a namespace gets its carrier back with a repair."""
    now = column(lookup.where(repair.mended.at(namespace.name).links, runs=True), "index")
    return not {*now} <= {*column(lookup.where(namespace.links, runs=True), "index")}


def _astray(loss: Loss, found: Results) -> Stop | None:
    """What is to be taken away for the probe to get to who has its destination, whatever it lacks there,
    where the walk's end names nothing by itself.
    """
    undone = filter(partial(_gets_there, loss), lookup.where(found.partial, merit=Merit.UNDOES))
    first = next(undone, None) if loss.stop.object is None else None
    return None if first is None else _explaining(first, loss.stop)


def _gets_there(loss: Loss, repair: Repair) -> bool:
    """Whether the probe gets to who has its destination with a repair."""
    then = tried(loss, repair)
    return then is not None and then.outcome.request.end is End.DELIVER


def _explaining(repair: Repair, end: Stop) -> Stop:
    """The repair's name, with the end that it explains as its proof; the end's own name where it is of one
    object.
    """
    stop = repair.stop
    if _is_about(stop, end):
        why = () if stop.text in (end.text, *end.proof) or stop.commands == end.commands else (stop.text,)
        return replace(end, commands=stop.commands, advice="", proof=(*end.proof, *why))
    told = stop.text == end.text or end.text in stop.proof
    if told or not end.text:
        return stop
    return replace(stop, proof=(*stop.proof, end.text))


def _by_who_refuses(stop: Stop, end: Stop) -> Stop:
    """What a set lacks is told of the rule or policy of its table that refuses the packet for it, as what a
    set holds is: who reads the ruleset, or counters, meets that one.
    """
    of = tuple(stop.thing.id.split()[:3])  # of ipset's any table's rules ask
    theirs = of[:1] == ("ipset",) or of == end.thing.line[:3]
    same = (stop.code, stop.place.namespace) == (end.code, end.place.namespace)
    return replace(stop, object=end.object) if stop.thing.kind == "set" and theirs and same else stop


def _is_about(one: Stop, other: Stop) -> bool:
    """Whether two ends name the same object."""
    return one.object is not None and one.about == other.about


def _others(loss: Loss, found: Results, first: Repair | None) -> tuple[Other, ...]:
    """The others that would do, one for each object."""
    named = None if first is None else _thing(first)
    others = [each for each in filter(is_meant, found.repairs) if _thing(each) != named]
    each_once = [*lookup.first(others, _thing).values()][:_ALTERNATIVES]
    return tuple(Other(repair.stop, reason(loss, first, repair)) for repair in each_once)


def _thing(repair: Repair) -> tuple[str, str | None, str]:
    """What a repair changes, as far as it would be told apart: settings of one name are one thing."""
    thing = repair.stop.thing
    return repair.stop.code, repair.stop.place.namespace, "" if thing.kind == "sysctl" else thing.id


def lacking(
    snapshot: Snapshot,
    prediction: Prediction,
    before: Snapshot | None = None,
    searches: Searches = _PLAIN,
    asked: Container[Need] = (),
) -> tuple[Need, ...]:
    """What must be read before a choice can be made; what was `asked` before has been answered as far as that
    can be, and the search for several goes on without.
    """
    if (stop := prediction.stop) is not None:
        if of_engines := engines.lacking(snapshot, stop):
            return of_engines
        if engines.told(snapshot, prediction, stop) is not None:
            return ()
        found = searches.alone(snapshot, prediction, stop, before)
        fresh = lookup.those_not_in(found.needs, asked)
        loss = Loss.of(snapshot, prediction, stop, before, searches.patience)
        sure = _passing(found.repairs) is not None and not is_doubtful(found)
        if fresh or sure:
            return fresh
        first, needs = searches.together(loss, found)
        return needs if first is None else ()
    gone = _gone(prediction)
    if gone is not None:
        return searches.alone(snapshot, prediction, gone, before, beyond=True).needs
    return ()


def outside(
    snapshot: Snapshot,
    prediction: Prediction,
    before: Snapshot | None = None,
    searches: Searches = _PLAIN,
) -> Choice | str:
    """The cause of a loss beyond what can be seen: a way out that should not have been taken, or a source
    that nobody can answer; where none is found, what was not tried.
    """
    gone = _gone(prediction)
    if gone is None:
        return ""
    found = searches.alone(snapshot, prediction, gone, before, beyond=True)
    first = _passing(found.repairs) or _plainly_off(found)
    if first is None:
        return found.untried
    back = first.stop.code.startswith("nat-") or prediction.request.end is not End.EXIT
    leg = Leg.REPLY if back else Leg.REQUEST
    return Choice(replace(first.stop, proof=()), leg, untried=found.untried)


def _gone(prediction: Prediction) -> Stop | None:
    """The place where the packet, or its answer, left for what cannot be seen, as an end: who asks is seen,
    and the answer should get there.
    """
    away = lookup.where(filter(None, (prediction.request, prediction.reply)), end=End.EXIT)
    hops = away[0].hops if away else ()
    if not hops:
        return None
    place = Place(hops[-1].namespace, hops[-1].interface, Stage.EXIT)
    return Stop("unknown", place, "no answer came back from where it cannot be seen")


def of_several_ends(snapshot: Snapshot, prediction: Prediction, stop: Stop, chosen: Choice) -> Choice:
    """The choice where rules lead to one of several ends by chance: first the rule that leads to the one who
    does not answer, whatever else would do.
    """
    told = (chosen.stop, *column(chosen.others, "stop"))
    rule = lookup.find(told, code="dnat-dead-target") or blamed(Loss.of(snapshot, prediction, stop))
    if rule is None or rule == chosen.stop:
        return chosen
    kept = lookup.all_but(chosen.others, lookup.where(chosen.others, stop=rule))
    return replace(chosen, stop=rule, others=(Other(chosen.stop, _ELSEWHERE), *kept))


_ELSEWHERE = "other ends of the same rules answer where they are"


def of_some(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """Why some probes pass and others do not, as far as routing tells: a leg of a multipath route is dead."""
    bare = replace(snapshot, answers=())
    for routed in prediction.routed:
        for leg in _legs(routed):
            outcome = predict(_by_leg(bare, routed, leg), prediction.probe, ask=False)
            if isinstance(outcome, Prediction) and outcome.stop is not None:
                return _dead_leg(snapshot, routed, leg, outcome.stop)
    return None


def _legs(routed: Routed) -> Sequence[Nexthop]:
    """The legs that a routing decision could have taken, where there are several."""
    legs = routed.decision.candidates
    if routed.decision.route is not None and len(legs) > 1:
        return legs
    return ()


def _by_leg(snapshot: Snapshot, routed: Routed, leg: Nexthop) -> Snapshot:
    """The snapshot with this leg as the only one of the route."""
    namespace = snapshot[routed.namespace]
    routes = tuple(
        replace(route, nexthops=(leg,)) if route == routed.decision.route else route
        for route in namespace.routes
    )
    return snapshot.with_namespace(replace(namespace, routes=routes))


def _dead_leg(snapshot: Snapshot, routed: Routed, leg: Nexthop, stop: Stop) -> Stop:
    assert routed.decision.route is not None
    link = snapshot[routed.namespace].link(leg.index)
    named = describe(routed.decision.route, leg, link)
    text = f"{named}, one leg of several in {routed.namespace}, is dead: {stop.text}"
    thing = Object("route", named, named)
    return lost("ecmp-dead-nexthop", routed.namespace, link, Stage.ROUTE, text, object=thing)
