"""Two cables, each plugged into the bridge of the other: who is behind one is of the network of the stations
on the other's bridge, and of none on its own. And two interfaces of a router, each with the addresses of the
other. One of them alone could as well be meant for another network. Pure.

See: ip-link(8), master; ip-address(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, islice
from typing import NamedTuple

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, all_addresses, meet, own_addresses
from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Place, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import where
from netprobe.predict import fixes

_MOST = 64  # ports of a namespace
_INTERFACES = 8  # of a router, behind each of which may be others to read
_AGREEING = 100  # those whom an exchange brings together are more than others who say the same


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each exchange of two such ports, and of the addresses of two such interfaces."""
    yield from _of_ports(loss)
    strange = (name for name, link in loss.hearers() if _is_of_another(loss, loss.snapshot[name], link))
    for name in dict.fromkeys((*loss.way, *strange)):
        yield from _of_interfaces(loss, loss.snapshot[name])


def _is_of_another(loss: Loss, here: Namespace, link: Link) -> bool:
    """Whether the addresses of an interface are of no network of those beside it."""
    side = _Side(link, own_addresses(here, link, loss.version))
    return bool(side.own) and not _meets(loss, here, side, link)


def _of_interfaces(loss: Loss, here: Namespace) -> Iterator[Repair]:
    """The addresses of two interfaces, each of the network of those beside the other one, and of nobody's
    beside its own.
    """
    bare = where(here.outward, up=True, master=None)[:_INTERFACES]
    sides = [_Side(link, own_addresses(here, link, loss.version)) for link in bare]
    seen = [each for each in sides if each.own and loss.addresses_beside(here.name, each.link, loss.version)]
    odd = [each for each in seen if not _meets(loss, here, each, each.link)]
    for one, other in combinations(odd, 2):
        if _meets(loss, here, one, other.link) and _meets(loss, here, other, one.link):
            yield from _renumbered(loss, here, one, other)


class _Side(NamedTuple):
    """An interface, and its addresses of one IP version."""

    link: Link
    own: Sequence[InterfaceAddress]

    def moved(self, to: Link) -> Iterator[Command]:
        """What takes the addresses to another interface, from this one first."""
        yield from (fixes.address("del", each, self.link) for each in self.own)
        yield from (fixes.address("add", replace(each, index=to.index), to) for each in self.own)


def _meets(loss: Loss, here: Namespace, side: _Side, link: Link) -> bool:
    """Whether the addresses of a side are of a network of those beside an interface."""
    return meet(list(side.own), loss.addresses_beside(here.name, link, loss.version))


def _renumbered(loss: Loss, here: Namespace, one: _Side, other: _Side) -> Iterator[Repair]:
    named = f"{one.own[0].written} dev {one.link.name}"
    text = (
        f"{one.link.name} and {other.link.name} of {here.name} have each other's addresses:"
        f" {one.own[0].address} is of the network beside {other.link.name}"
    )
    both = (one.moved(other.link), other.moved(one.link))
    thing, place = Object("address", named, named), Place(here.name, one.link.name, Stage.ROUTE)
    stop = Stop("addr-wrong-subnet", place, text, thing, (*chain(*both),), (loss.stop.text,))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=_AGREEING)


def _of_ports(loss: Loss) -> Iterator[Repair]:
    """Each exchange of two ports."""
    for name in loss.around:
        here = loss.snapshot[name]
        bridges = here.links_of("bridge")
        ports = islice(chain.from_iterable(map(here.ports, bridges[: _MOST * (len(bridges) > 1)])), _MOST)
        odd = [each for each in loss.known_ends(name, ports) if _is_strange(loss, here, *each)]
        for one, other in combinations(odd, 2):
            if _are_crossed(loss, here, one, other):
                yield from _exchanged(loss, here, one, other)


_End = tuple[Link, Station]


def _is_strange(loss: Loss, here: Namespace, port: Link, far: Station) -> bool:
    """Whether who is behind a port has addresses, of no network of anybody on its bridge."""
    own = all_addresses(loss.snapshot[far[0]], far[1])
    return bool(own) and not _meet_on(loss, here, here.link(port.master), own, far)


def _are_crossed(loss: Loss, here: Namespace, one: _End, other: _End) -> bool:
    """Whether each of two is of the network of those on the other's bridge."""
    apart = one[0].master != other[0].master
    return apart and _belongs_to(loss, here, one, other) and _belongs_to(loss, here, other, one)


def _belongs_to(loss: Loss, here: Namespace, one: _End, other: _End) -> bool:
    own = all_addresses(loss.snapshot[one[1][0]], one[1][1])
    return _meet_on(loss, here, here.link(other[0].master), own, other[1])


def _meet_on(
    loss: Loss, here: Namespace, bridge: Link | None, own: list[InterfaceAddress], but: Station
) -> bool:
    """Whether addresses are of a network of a bridge, or of a station on it, but for one."""
    if bridge is None:
        return False
    beside = chain.from_iterable(loss.beside(here.name, bridge, version) for version in (4, 6))
    others = [each for name, link, each in beside if (name, link.index) != (but[0], but[1].index)]
    return meet(own, [*all_addresses(here, bridge), *others])


def _exchanged(loss: Loss, here: Namespace, one: _End, other: _End) -> Iterator[Repair]:
    (port, far), (second, _) = one, other
    now, then = (name_of(here.link(each.master), "") for each in (port, second))
    text = (
        f"{port.name} and {second.name} in {here.name} are each a port of the other's bridge:"
        f" {far[0]}/{far[1].name} has an address of {then}'s network"
    )
    thing = Object("bridge-port", port.name, f"{port.name} master {now}")
    fix = (fixes.link_set(port, "master", then), fixes.link_set(second, "master", now))
    place = Place(here.name, port.name, Stage.BRIDGE)
    stop = Stop("port-wrong-bridge", place, text, thing, fix, (loss.stop.text,))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=_AGREEING)
