"""A repair together with what it would take along though nobody asked for that, given back. Pure.

With its last IPv4 address an interface loses its other routes and its neighbours (fib_disable_ip,
neigh_ifdown), with its MAC its neighbours (neigh_changeaddr), switched off for a moment its IPv6 addresses
too (addrconf_ifdown), and with the first address of a network the others there go (inet_del_ifa).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import filterfalse, islice

from msgspec.structs import replace

from netprobe.diagnose.apply import mend
from netprobe.model import Command, Namespace
from netprobe.model.lookup import all_but, among, those_not_in, where
from netprobe.predict import fixes

from .candidates.before import route_words, typed_routes, with_neighbour
from .repair import Loss, Repair
from .tried import Tried, tried

_MOST = 16  # things that are given back


def with_what_it_takes(loss: Loss, found: Tried) -> Tried:
    """The repair, and behind it what it takes along, as far as that can be given back; without that where the
    probe would end elsewhere then.
    """
    repair, more = found.repair, list[Command]()
    mended = repair.mended
    for command in islice(_taken(loss, repair), _MOST):
        back = mend(mended, replace(repair.stop, commands=(command,), advice=""))
        if back is not None:
            mended, more = back, [*more, command]
    again = tried(loss, repair.with_more(more, mended)) if more else None
    good = again is not None and again.outcome.stop in (found.outcome.stop, None)
    return again if again is not None and good else found


def _taken(loss: Loss, repair: Repair) -> Iterator[Command]:
    """What gives back each thing that is gone from an interface that is there and on, though no command
    speaks of it.
    """
    said = {*map(_about, repair.done)}
    for name in sorted(repair.mended.changed_from(loss.snapshot)):
        then, now = loss.snapshot.at(name), repair.mended.at(name)
        if then.unread.keys().isdisjoint(_RESTING) and _resting(then) != _resting(now):
            gone = those_not_in(_making(_otherwise(then, now), now), {*_making(_otherwise(now, then), now)})
            unsaid = filterfalse(partial(_is_said, said), gone)
            yield from map(partial(replace, namespace=name), unsaid)


def _is_said(said: set[str], command: Command) -> bool:
    return _about(command) in said


_RESTING = ("links", "addresses", "routes", "neighbours")


def _resting(namespace: Namespace) -> tuple[object, ...]:
    """What may go with something else."""
    return namespace.addresses, namespace.routes, namespace.neighbours


def _otherwise(one: Namespace, other: Namespace) -> Namespace:
    """A namespace with what another one does not have as well: a repair changes few of many things."""
    addresses, routes = all_but(one.addresses, other.addresses), all_but(one.routes, other.routes)
    neighbours = all_but(one.neighbours, other.neighbours)
    return replace(one, addresses=addresses, routes=routes, neighbours=neighbours)


_VERBS = {"ip", "-4", "-6", "address", "addr", "route", "neigh", "add", "append", "change", "del", "replace"}


def _about(command: Command) -> str:
    """The address or the network that a command is about, without its length."""
    return "".join(map(str, those_not_in(command.words, _VERBS)[:1])).partition("/")[0]


def _making(namespace: Namespace, now: Namespace) -> Iterator[Command]:
    """What gives the addresses of a namespace, then the routes that rest on them, then the neighbours that
    somebody wrote: on the interfaces that are there and on now, by their names.
    """
    links = {link.index: link for link in where(now.links, up=True)}
    for own in among(where(namespace.addresses, scope="global"), index=links):
        yield fixes.address("add", own, links[own.index])
    for route in where(typed_routes(namespace).values(), type="unicast"):
        if links.keys() >= {*route.indexes}:
            yield fixes.ip(route.dst, "route", "add", *route_words(now, route))
    for entry in among(where(namespace.neighbours, state="permanent", proxy=False), index=links):
        yield with_neighbour(entry.address, entry.mac or "", links[entry.index])
