"""Every namespace of the machine as a map shows it: interfaces and what they stand on, addresses, default
routes, the rules that translate, and which namespace each one calls by which number.

Nothing else is read, and each namespace is closed again before the next few are opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.kernel.elsewhere import Place
from netprobe.linux import netns
from netprobe.linux.netfilter.translating import read_translating
from netprobe.linux.netlink import Netlink
from netprobe.linux.tables.fib import read_defaults
from netprobe.linux.tables.layers import list_layers
from netprobe.linux.tables.links import read_addresses
from netprobe.model import Link, Namespace, Route, Ruleset
from netprobe.model.wiring import PAIRS, Layer, MachineReading, SpaceReading

from .listing import MetSpace, meet_all, natural, numbers_told, space_of
from .namespaces import Directory

_Identity = netns.Identity
_Numbers = dict[_Identity, dict[int, _Identity]]  # what each namespace calls others


class _WiringReader:
    """Reads namespaces one by one, and keeps of each what a listing does not have."""

    def __init__(self) -> None:
        self.layers: dict[_Identity, Mapping[int, Layer]] = {}
        self.routes: dict[_Identity, tuple[Route, ...]] = {}
        self.rulesets: dict[_Identity, Ruleset] = {}

    def look(self, each: MetSpace, fd: Place) -> None:
        """One open namespace, in which the thread is."""
        with Netlink() as netlink:
            each.links, self.layers[each.identity] = list_layers(netlink)
            each.addresses = read_addresses(netlink)
            self.routes[each.identity] = read_defaults(netlink)
        self.rulesets[each.identity] = read_translating(fd, each.title)


def read_wiring(directory: Directory) -> MachineReading:
    """All namespaces that can be seen; those that cannot be entered say why.

    Raises Shortage, OSError where we lack what it takes to look.
    """
    reader = _WiringReader()
    seen, closed = meet_all(directory, reader.look)
    numbers = _all_numbers(seen)
    titles = {identity: each.title for identity, each in seen.items()}
    found = [
        _reading(each, reader, _named(numbers.get(identity, {}), titles)) for identity, each in seen.items()
    ]
    found += [SpaceReading(space_of(each), Namespace(each.title)) for each in closed]
    found.sort(key=lambda each: natural(each.space.name))
    blind = [blind for each in reader.rulesets.values() for blind in each.blind]
    return MachineReading(tuple(found), tuple(directory.containers.networks()), tuple(blind))


def _reading(each: MetSpace, reader: _WiringReader, nsids: dict[int, str]) -> SpaceReading:
    config = Namespace(
        each.title,
        each.identity[1],
        links=tuple(each.links),
        addresses=tuple(each.addresses),
        routes=reader.routes.get(each.identity, ()),
        ruleset=reader.rulesets.get(each.identity),
    )
    layers = reader.layers.get(each.identity, {})
    return SpaceReading(space_of(each), config, layers, nsids, _networks(each))


def _networks(each: MetSpace) -> tuple[str, tuple[str, ...]]:
    """The engine and the networks of the container that a namespace belongs to."""
    containers = (getattr(found, "container", None) for found in each.found)
    own = next((one for one in containers if one is not None and one.networks), None)
    return (own.runtime, own.networks) if own is not None else ("", ())


def _named(numbers: dict[int, _Identity], titles: Mapping[_Identity, str]) -> dict[int, str]:
    return {nsid: titles[identity] for nsid, identity in numbers.items() if identity in titles}


def _all_numbers(seen: dict[_Identity, MetSpace]) -> _Numbers:
    """What each namespace calls those that its interfaces name.

    The one with most of them is asked first: both ends of a pair tell of each other, and its answers serve
    for the others too.
    """
    numbers: _Numbers = {}
    ends: dict[tuple[_Identity, int], _Identity] = {}  # of a pair's end, where the other one is
    for identity, each in sorted(seen.items(), key=lambda item: -len(item[1].links)):
        mine = numbers.setdefault(identity, {})
        for link, nsid in _away(each):
            if (other := ends.get((identity, link.index))) is not None:
                mine[nsid] = other
        wanted = {nsid for _, nsid in _away(each)} - mine.keys()
        if wanted:
            mine |= numbers_told(each, iter([other.found[0] for other in seen.values()]), wanted)
        for link, nsid in _away(each):
            if link.kind in PAIRS and link.link is not None and nsid in mine:
                ends[mine[nsid], link.link.index] = identity
    return numbers


def _away(each: MetSpace) -> Iterator[tuple[Link, int]]:
    """The interfaces that name one in another namespace, each with the number of that."""
    for link in each.links:
        if link.link is not None and link.link.nsid is not None:
            yield link, link.link.nsid
