"""A repair together with what went with the object that it gives back: addresses and routes. Pure.

An interface that is switched off loses its routes, and its IPv6 addresses too (addrconf_ifdown); one whose
MTU is below 1280 loses IPv6 altogether; an address takes its routes along (fib_del_ifaddr).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import InterfaceAddress, Probe, Stop
from netprobe.predict import prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .candidates import addresses, kernel_routes, routes, siblings, told
from .candidates import before as earlier
from .candidates import stop as stops
from .repair import Loss, Repair
from .tried import Tried, tried

_STEPS = 3  # an address, the route to its network, the route by a gateway

_IDLE = 2  # things that bring the probe no further by themselves
_TWINS = 8  # questions, the other IP version's first

# The ends of a walk that lacks what went along.
LACKING = {"no-route", "addr-missing", "neigh-no-answer"}


def whole(loss: Loss, first: Tried) -> Tried | None:
    """The repair and what must come back with it; None where nobody in sight knows that."""
    if not first.repair.needs_routes:
        return None
    return _completed(loss, first, _STEPS if first.repair.takes_addresses else 1)


def in_both_families(loss: Loss, repair: Repair) -> Repair:
    """The repair with what else its interface lost, of either IP version, as far as that is known."""
    for twin in _twins(loss, repair) if repair.takes_addresses else ():
        lost = predict(loss.snapshot, twin, ask=False)
        if not isinstance(lost, Prediction) or lost.stop is None:
            continue
        other = Loss(loss.snapshot, lost, lost.stop, before=loss.before)
        so_far = tried(other, repair)
        whole = _completed(other, so_far, _STEPS) if so_far is not None else None
        if whole is not None and whole.outcome.passes:
            repair = whole.repair
    return repair


def _twins(loss: Loss, repair: Repair) -> list[Probe]:
    """The question and its answer in both IP versions, also to and from the repaired end; a ping from there
    to each station beside.
    """
    after = Loss(repair.mended, loss.prediction, loss.stop)
    source, goal = loss.probe.source.namespace, loss.probe.destination.namespace
    name = repair.stop.place.namespace
    ends = [(source, goal), (source, name), (name, source), (name, goal)]
    asked = [(one, a) for one, other in dict.fromkeys(ends) if one != other for a in _addresses(after, other)]
    place = loss.snapshot.link_at(repair.stop.place)
    link = repair.mended[place[0].name].link(place[1].index) if place is not None else None
    if name is not None and link is not None:
        asked += [(name, a) for version in (4, 6) for _, _, a in after.beside(name, link, version)]
    asked = sorted(
        (each for each in asked if each[1].scope == "global"),
        key=lambda each: each[1].version == loss.version,
    )
    return [loss.echo(who, a.address) for who, a in dict.fromkeys(asked[:_TWINS]) if who is not None]


def _addresses(loss: Loss, name: str | None) -> tuple[InterfaceAddress, ...]:
    namespace = loss.snapshot.get(name)
    return namespace.addresses if namespace is not None else ()


def _completed(loss: Loss, so_far: Tried, steps: int) -> Tried | None:
    """With what lets the probe pass; else with what brings it to something that is no longer lacking."""
    best: Tried | None = None
    for way in _ways(loss, so_far, steps):
        if way.outcome.passes:
            return way
        best = best or way
    return best


def _ways(loss: Loss, so_far: Tried, steps: int) -> Iterator[Tried]:
    """The repair with one thing more, or with several; what changes nothing yet last: an address, on which
    the route by its network rests.
    """
    stop = so_far.outcome.stop
    if stop is None or not steps or not _lacks(so_far.repair, stop):
        return
    idle: list[Tried] = []
    for again in _with_more(loss, so_far, stop):
        end = again.outcome.stop
        if end is not None and end.text == stop.text:
            idle.append(again)
        elif end is None or end.place.namespace != stop.place.namespace or not _lacks(again.repair, end):
            yield again
        else:
            yield from filter(None, [_completed(loss, again, steps - 1)])
    for again in idle[:_IDLE]:
        yield from filter(None, [_completed(loss, again, steps - 1)])


def _with_more(loss: Loss, so_far: Tried, stop: Stop) -> Iterator[Tried]:
    """The repair with each thing that may have gone along, and what comes of it."""
    name = so_far.repair.stop.place.namespace
    after = Loss(so_far.repair.mended, so_far.outcome, stop, loss.needs, loss.before, loss.rulings)
    for more in _given_back(after, so_far.repair):
        gives = not any("del" in command.words or command.blanks for command in more.stop.commands)
        if more.stop.place.namespace != name or not gives or not _leads_there(after, more):
            continue
        again = tried(loss, so_far.repair.also(more))
        if again is not None:
            yield again


def _leads_there(loss: Loss, more: Repair) -> bool:
    """Whether a route that comes leads to where none was found; of hundreds that went, one is worth a
    walk.
    """
    name = more.stop.place.namespace or ""
    known = set(loss.snapshot[name].routes)
    come = [route for route in more.mended[name].routes if route not in known]
    lacked = (
        r.dst for r in reversed(loss.prediction.routed) if r.namespace == name and r.decision.route is None
    )
    wanted = next(lacked, None) if loss.stop.code == "no-route" else None
    return wanted is None or not come or any(prefix.contains(route.dst, wanted) for route in come)


def _lacks(repair: Repair, stop: Stop) -> bool:
    """Whether a walk ends for want of what may have gone along."""
    own = stop.place.namespace == repair.stop.place.namespace
    if own and stop.code in ("no-route", "ra-not-accepted", "rp-filter"):  # the source has no route
        return True
    return repair.takes_addresses and stop.code in LACKING


def _given_back(after: Loss, repair: Repair) -> Iterator[Repair]:
    """What may have gone along, the surest first."""
    yield from earlier.routes(after)
    yield from kernel_routes.candidates(after)
    if repair.takes_addresses:
        yield from told.candidates(after)
        yield from addresses.candidates(after)
    if after.stop.code == "no-route":
        yield from stops.candidates(after)
    yield from siblings.candidates(after)
    yield from routes.no_way_back(after)
    yield from routes.missing(after)
