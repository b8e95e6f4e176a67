"""Which namespace is it that another one calls nsid 3, and which have a macvlan on an interface of this one?

The kernel tells the first by RTM_GETNSID, for one open candidate at a time, and the second by the candidates'
own interfaces.

Source: net/core/net_namespace.c (rtnl_net_getid), include/uapi/linux/net_namespace.h.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, islice

from netprobe.errors import NetprobeError, Shortage, is_short
from netprobe.linux import deadline, netns
from netprobe.linux.netlink import BATCH, Netlink, Record, Request
from netprobe.linux.tables.links import RTM_GETLINK, link_of

from .names import Found, close_all, open_each
from .namespaces import Directory, opened

RTM_GETNSID = 90
# a dump can be asked for interfaces of one kind (rtnl_dump_ifinfo)
MACVLAN = {"attrs": [["IFLA_INFO_KIND", "macvlan"]]}
UNKNOWN = 0xFFFFFFFF  # -1 of NETNSA_NSID: it has no number
FIRST = 6
Place = tuple[Found, netns.Identity]
Numbers = dict[int, Place]  # where and which the namespace is that has this number


class Peers:
    """Finds far ends and remembers what it learned on the way: a search that fails has looked at every
    namespace.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, Numbers] = {}

    def find(self, asking: str, nsid: int) -> str | None:
        """The name of the namespace that the open namespace `asking` calls `nsid`; None when it cannot be
        seen from here.
        """
        known = self._known.get(asking, {})
        name = self._adopted(known.get(nsid))
        if name is None:
            self._known[asking] = known = self._search(asking, nsid)
            name = self._adopted(known.get(nsid))
        return name

    def _adopted(self, place: Place | None) -> str | None:
        """The namespace of `place`, opened; None when it is gone, or another has taken its name since."""
        if place is None:
            return None
        found, identity = place
        known = self._directory.handles.name_of(identity)
        if known is not None:
            return known
        fd = opened(found)
        if fd is None:
            return None
        if netns.identity(fd) != identity or self._directory.is_excluded(fd):
            os.close(fd)
            return None
        return self._directory.adopt(fd, found)

    def macvlans_on(self, namespace: str, index: int) -> tuple[str, ...]:
        """The names of the namespaces that have a macvlan on interface `index` of the open `namespace`."""
        parent = self._directory.handles[namespace]
        names: list[str] = []
        for place in list(self._everywhere()):
            deadline.check()
            fd = opened(place[0])
            if fd is None:
                continue
            try:
                stands = _has_macvlan(fd, parent, index)
            except (NetprobeError, OSError) as error:
                if is_short(error):
                    raise
                continue  # not ours to enter: what stands there is not seen from here
            finally:
                os.close(fd)
            if stands and (name := self._adopted(place)) is not None:
                names.append(name)
        return tuple(names)

    def _everywhere(self) -> Iterator[Place]:
        """Every namespace that can be seen, once."""
        met: set[netns.Identity] = set()
        for found in chain.from_iterable(self._directory.candidates()):
            identity = found.identity()
            if identity is not None and identity not in met:
                met.add(identity)
                yield found, identity

    def _search(self, asking: str, nsid: int) -> Numbers:
        return numbers_of(self._directory.handles[asking], self._directory.candidates(), {nsid})


def numbers_of(asking: int, candidates: Iterable[Iterator[Found]], wanted: Set[int]) -> Numbers:
    """What the open namespace `asking` calls the `candidates`, kind by kind, up to those that it calls
    `wanted`.
    """
    numbers: Numbers = {}
    size = FIRST  # the likely ones come first, and often one of them is it
    with netns.inside(asking), Netlink() as netlink:
        for kind in candidates:  # never a batch of two kinds: the next one may cost much, and be for nothing
            while not wanted <= numbers.keys() and (batch := list(islice(kind, size))):
                for place, number in _numbered(netlink, batch):
                    numbers.setdefault(number, place)
                size = BATCH
            if wanted <= numbers.keys():
                break
    return numbers


def _numbered(netlink: Netlink, batch: Sequence[Found]) -> Iterator[tuple[Place, int]]:
    """((where, which), number) of those in `batch` that the namespace of `netlink` has a number for."""
    deadline.check()
    results = open_each(batch)
    try:
        # which says nothing of the file
        if short := next((each for each in results if isinstance(each, Shortage)), None):
            raise short
        fds = {found: each for found, each in zip(batch, results, strict=True) if isinstance(each, int)}
        for (found, fd), nsid in zip(fds.items(), nsids(netlink, list(fds.values())), strict=True):
            if nsid is not None:
                yield (found, netns.identity(fd)), nsid
    finally:
        close_all(results)


def _has_macvlan(there: int, parent: int, index: int) -> bool:
    """Whether the open namespace `there` has a macvlan on interface `index` of the open namespace
    `parent`.
    """
    with netns.inside(there), Netlink() as netlink:
        links = [
            link_of(record)
            for record in netlink.dump(Request(RTM_GETLINK, attributes=[("IFLA_LINKINFO", MACVLAN)]))
        ]
        lower = {
            link.link.nsid
            for link in links
            if link.kind == "macvlan" and link.link is not None and link.link.index == index
        }
        own = netns.identity(there) == netns.identity(parent)
        return None in lower if own else bool(lower) and nsids(netlink, [parent])[0] in lower - {None}


def nsids(netlink: Netlink, fds: Sequence[int]) -> list[int | None]:
    """What the namespace of `netlink` calls each of the open namespaces `fds`; None where it has no number.

    Assigns none.
    """
    answers = netlink.ask_all([Request(RTM_GETNSID, attributes=[("NETNSA_FD", fd)]) for fd in fds])
    return [None if answer is None else _nsid(answer) for answer in answers]


def _nsid(record: Record) -> int | None:
    nsid: int = record.get("NETNSA_NSID", UNKNOWN)
    return None if nsid == UNKNOWN else nsid
