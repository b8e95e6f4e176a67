"""A repair together with what went with the object that it gives back: addresses and routes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, filterfalse
from operator import attrgetter

from netprobe.diagnose import nat_rules
from netprobe.model import InterfaceAddress, Leg, Probe, Stop
from netprobe.model.command import words_of
from netprobe.model.lookup import among, but, column, those_not_in, where
from netprobe.predict import prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .along import needs_routes, revives, switches_on, takes_addresses, went_along
from .candidates import (
    addresses,
    beside,
    emptied,
    kernel_routes,
    missing_routes,
    proxies,
    siblings,
    told,
    translation,
    tunnel_routes,
)
from .candidates import before as earlier
from .candidates import stop as stops
from .harm import echo
from .repair import Loss, Merit, Repair
from .tried import Tried, tried
from .voices import spoken_of

_STEPS = 3  # an address, the route to its network, the route by a gateway

_IDLE = 2  # things that bring the probe no further by themselves
_TWINS = 8  # questions, the other IP version's first

# The ends of a walk that lacks what went along.
LACKING = {"no-route", "addr-missing", "neigh-no-answer", "route-loop", "rp-filter"}
# ... in the namespace of the repair itself: the source has no route, or a bridge there seems to lack the
# interface.
_OF_ITS_OWN = {"no-route", "ra-not-accepted", "rp-filter", "port-not-in-bridge"}


def whole(loss: Loss, first: Tried) -> Tried | None:
    """The repair and what must come back with it; None where nobody in sight knows that."""
    if not needs_routes(first.repair):
        return None
    return _completed(loss, first, _STEPS if takes_addresses(first.repair) else 1)


def in_both_families(loss: Loss, repair: Repair) -> Repair:
    """The repair with what else its interface lost, of either IP version, as far as that is known."""
    for twin in _twins(loss, repair) if takes_addresses(repair) else ():
        if loss.patience.is_over():
            break
        lost = predict(loss.snapshot, twin, ask=False)
        if isinstance(lost, Prediction) and lost.stop is not None:
            repair = _also_of(_other(loss, lost, lost.stop), repair)
    return repair


def _other(loss: Loss, lost: Prediction, stop: Stop) -> Loss:
    """The loss of another question in the same configuration."""
    return Loss(loss.snapshot, lost, stop, before=loss.before, patience=loss.patience)


def _also_of(other: Loss, repair: Repair) -> Repair:
    """The repair with what must come back for another question to be answered as well, where that is
    known.
    """
    so_far = tried(other, repair)
    whole = _completed(other, so_far, _STEPS) if so_far is not None else None
    if whole is not None and whole.outcome.passes:
        return whole.repair
    return repair


def _twins(loss: Loss, repair: Repair) -> list[Probe]:
    """The question and its answer in both IP versions, also to and from the repaired end; a ping from there
    to each station beside.
    """
    source, named = loss.probe.source.namespace, loss.probe.destination.namespace
    goal, name = next(iter(loss.bearers(loss.goal)), None), repair.stop.place.namespace
    ends = dict.fromkeys(((source, goal), (source, name), (name, source), (name, named)))
    pairs = [(one, repair.mended.at(other)) for one, other in ends if one != other]
    asked = [(one, own) for one, other in pairs for own in where(other.addresses, scope="global")]
    asked += [(name, own) for own in _beside(loss, repair)]
    asked.sort(key=lambda each: each[1].version == loss.version)
    return [echo(loss, who, a.address) for who, a in dict.fromkeys(asked[:_TWINS]) if who is not None]


def _beside(loss: Loss, repair: Repair) -> list[InterfaceAddress]:
    """The addresses of the stations beside the repaired interface."""
    place = loss.snapshot.link_at(repair.stop.place)
    if place is None:
        return []
    after, name = Loss(repair.mended, loss.prediction, loss.stop, patience=loss.patience), place[0].name
    link = repair.mended[name].link(place[1].index)
    if link is None:
        return []
    return [*after.addresses_beside(name, link, 4), *after.addresses_beside(name, link, 6)]


def _completed(loss: Loss, so_far: Tried, steps: int) -> Tried | None:
    """With what lets the probe pass; else with what brings it to something that is no longer lacking."""
    best: Tried | None = None
    for way in _ways(loss, so_far, steps):
        if way.outcome.passes:
            return way
        best = best or way
    return best


def _ways(loss: Loss, so_far: Tried, steps: int) -> Iterator[Tried]:
    """The repair with one thing more, or with several; later what changes nothing yet: an address, on which
    the route by its network rests; last what would do without that address.
    """
    stop = so_far.outcome.stop
    if stop is None or not steps or not _lacks(so_far.repair, stop) or _is_another(loss, so_far, stop):
        return
    idle: list[Tried] = []
    makeshift: list[Tried] = []
    for again in _with_more(loss, so_far, stop):
        end = again.outcome.stop
        if _is_makeshift(again.repair):
            makeshift.append(again)
        elif end is None:
            yield again
        elif end.text == stop.text:
            idle.append(again)
        elif _lacks(again.repair, end) and not _is_elsewhere(again.repair, stop, end):
            yield from _deeper(loss, [again], steps)
        else:
            yield again
    yield from _deeper(loss, idle[:_IDLE], steps)
    yield from makeshift if makeshift and not _has_another_network(loss, so_far, stop) else ()


def _has_another_network(loss: Loss, so_far: Tried, stop: Stop) -> bool:
    """Whether an address of the interface that comes to life disagrees with its segment: that is wrong as
    well, and kept the network away.
    """
    after = _behind(loss, so_far, stop)
    due = where(addresses.candidates(after), code="addr-wrong-subnet", merit=Merit.RESTORES)
    return so_far.repair.at in map(attrgetter("at"), due)


def _behind(loss: Loss, so_far: Tried, stop: Stop) -> Loss:
    """What the probe meets behind a repair, of which nothing is asked."""
    rulings, patience = loss.rulings, loss.patience
    return Loss(so_far.repair.mended, so_far.outcome, stop, rulings=rulings, patience=patience)


def _is_makeshift(repair: Repair) -> bool:
    """Whether a route leads by a gateway of which no network is there: one that went along had one."""
    return "onlink" in repair.stop.commands[-1].words


def _is_another(loss: Loss, so_far: Tried, stop: Stop) -> bool:
    """Whether a walk ends for something else that is plainly wrong as well, and nothing went."""
    after = _behind(loss, so_far, stop)
    kept = not _replaces(loss, so_far.repair)
    return _is_bare(after, kept) or _is_misaddressed(after, so_far.repair)


def _is_bare(after: Loss, kept: bool) -> bool:
    """Whether an answer has no way because its question came with the address that it has inside, from a
    router that gives others another one, or is there to do so where the repair has `kept` all routes.
    """
    if after.prediction.leg is not Leg.REPLY:
        return False
    due = where(translation.candidates(after), merit=Merit.RESTORES)
    return any(kept or _translates(after, each.stop) for each in due)


def _is_misaddressed(after: Loss, repair: Repair) -> bool:
    """Whether a route leads by an interface that was not off to a station that nobody is, and another one
    there has an address that disagrees with its segment, in whose place that one would be.
    """
    place = after.stop.place
    if after.stop.code != "neigh-no-answer" or revives(repair, place):
        return False
    due = among(where(addresses.candidates(after), merit=Merit.RESTORES), code=_DISAGREES)
    others = filterfalse(lambda each: each.stop.place.namespace == repair.stop.place.namespace, due)
    then = filter(None, (tried(after, each) for each in others))
    return any(_ends_elsewhere(after.stop, each.outcome) for each in then)


_DISAGREES = ("addr-wrong-subnet", "addr-wrong-prefix")  # who has no address may be meant to have none


def _ends_elsewhere(before: Stop, outcome: Prediction) -> bool:
    return outcome.stop is None or outcome.stop.identity != before.identity


def _translates(loss: Loss, stop: Stop) -> bool:
    """Whether the namespace of a translation that is missing gives some packets that leave there another
    source.
    """
    router = loss.snapshot.link_at(stop.place)
    return router is not None and nat_rules.translates(router[0], loss.version, router[1])


def _deeper(loss: Loss, some: list[Tried], steps: int) -> Iterator[Tried]:
    """The best of what each of them comes to with more."""
    return filter(None, (_completed(loss, each, steps - 1) for each in some))


def _is_elsewhere(repair: Repair, before: Stop, now: Stop) -> bool:
    """Whether a walk ends in another namespace than it did, and not in the repaired one."""
    return now.place.namespace not in (before.place.namespace, repair.stop.place.namespace)


def _with_more(loss: Loss, so_far: Tried, stop: Stop) -> Iterator[Tried]:
    """The repair with each thing that may have gone along, and what comes of it."""
    after = loss.behind(so_far.repair.mended, so_far.outcome, stop)
    for each in _given_back(after, so_far.repair):
        if _fits(after, so_far.repair, each) and not _is_supposed(loss, after, so_far.repair, each):
            yield from filter(None, [tried(loss, so_far.repair.also(each))])


def _fits(after: Loss, repair: Repair, more: Repair) -> bool:
    """Whether a repair gives something back in the same namespace, and may help."""
    if more.stop.place.namespace != repair.stop.place.namespace or not went_along(repair, more):
        return False
    if switches_on(repair) and _ipv4_of(after, more):  # they stay on what is off
        return False
    takes = "del" in words_of(more.stop.commands) or more.is_to_fill_in
    odd = any(is_so(after, more) for is_so in _ODD)
    return not (takes or odd) and _leads_there(after, more)


def _is_second(after: Loss, more: Repair) -> bool:
    """Whether an interface would get an IPv4 address beside one that it has: they do not go with its life."""
    there, come = after.snapshot.at(more.stop.place.namespace), {*column(_ipv4_of(after, more), "index")}
    return any(where(there.addresses_at(index), version=4, scope="global") for index in come)


def _ipv4_of(after: Loss, more: Repair) -> tuple[InterfaceAddress, ...]:
    """The IPv4 addresses that come."""
    name = more.stop.place.namespace
    return where(those_not_in(more.mended.at(name).addresses, after.snapshot.at(name).addresses), version=4)


def _replaces(after: Loss, more: Repair) -> bool:
    """Whether a route goes for another one: what went along leaves room for what comes."""
    name = more.stop.place.namespace
    return not {*after.snapshot.at(name).routes} <= {*more.mended.at(name).routes}


def _makes_a_router(after: Loss, more: Repair) -> bool:
    """Whether a station that forwards nothing, and that nobody sends to for the world, would have an address
    then that others send to for that.
    """
    there = more.mended.at(more.stop.place.namespace)
    others = but(after.snapshot.namespaces.values(), name=there.name)
    routes = where(chain.from_iterable(column(others, "routes")), is_default=True)
    led = {*chain.from_iterable(column(routes, "gateways"))}
    now, then = after.snapshot.at(there.name), {*column(there.addresses, "address")}
    known = led.isdisjoint(column(now.addresses, "address"))
    return known and not led.isdisjoint(then) and not is_router(there, after.version)


def gives_to_the_asker(loss: Loss, more: Repair) -> bool:
    """Whether the asker would have the address then that it asks others for, and has not yet."""
    name = more.stop.place.namespace
    given = [each.at(name).address(loss.goal) is not None for each in (loss.snapshot, more.mended)]
    return name == loss.probe.source.namespace and given == [False, True]


# what speaks against a thing that comes: it was not there before
_ODD = (gives_to_the_asker, told.is_waited_for, _makes_a_router, _replaces, _is_second)


def _is_supposed(loss: Loss, after: Loss, repair: Repair, more: Repair) -> bool:
    """Whether what may have gone along speaks of an address that stands in, for a trial, for a word of the
    repair that is for the reader to know.
    """
    supposed = after.owned - loss.owned - spoken_of(repair.stop.commands)
    return not supposed.isdisjoint(spoken_of(more.stop.commands))


def _leads_there(loss: Loss, more: Repair) -> bool:
    """Whether a route that comes leads to where none was found; of hundreds that went, one is worth a
    walk. On the one that comes with an address another may rest.
    """
    if loss.stop.code != "no-route":
        return True
    name = more.stop.place.namespace
    come = {*more.mended.at(name).routes} - {*loss.snapshot.at(name).routes}
    if "route" not in more.stop.commands[-1].words:  # the kernel's own are there with an address
        come = {*but(come, protocol="kernel")}
    routed = where(reversed(loss.prediction.routed), namespace=name)
    lacked = next((each.dst for each in routed if each.decision.route is None), None)
    if not come or lacked is None:
        return True
    return prefix.within(column(come, "dst"), lacked)


def _lacks(repair: Repair, stop: Stop) -> bool:
    """Whether a walk ends for want of what may have gone along."""
    own = stop.place.namespace == repair.stop.place.namespace
    if own and stop.code in _OF_ITS_OWN:
        return True
    return takes_addresses(repair) and stop.code in LACKING


def _given_back(after: Loss, repair: Repair) -> Iterator[Repair]:
    """What may have gone along, the surest first."""
    yield from earlier.routes(after)
    yield from kernel_routes.candidates(after)
    if takes_addresses(repair):
        yield from told.candidates(after)
        yield from addresses.candidates(after)
        yield from proxies.as_beside(after)
        yield from where(beside.straight(after), merit=Merit.RESTORES)
    if after.stop.code == "no-route":
        yield from stops.candidates(after)
    yield from emptied.candidates(after)
    yield from siblings.candidates(after)
    yield from tunnel_routes.candidates(after)
    yield from missing_routes.no_way_back(after)
    yield from missing_routes.missing(after)
