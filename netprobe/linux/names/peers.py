"""Which namespace is it that another one calls nsid 3, which have a macvlan on an interface of this one, and
which have no interface at all?

The kernel tells the first by RTM_GETNSID, for one open candidate at a time, and the others by the candidates'
own interfaces.

Source: net/core/net_namespace.c (rtnl_net_getid), include/uapi/linux/net_namespace.h.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence, Set
from itertools import chain, islice

from netprobe.errors import NetprobeError, Shortage, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.linux import deadline, netns
from netprobe.linux.netlink import BATCH, Netlink, Record, Request
from netprobe.linux.tables.links import RTM_GETLINK, link_of
from netprobe.linux.tables.stations import look_behind
from netprobe.model import Link, LookBehind, SeenBehind

from .names import Found, close_all, open_each
from .namespaces import Directory, opened

RTM_GETNSID = 90
# a dump can be asked for interfaces of one kind (rtnl_dump_ifinfo)
_KINDS = {False: "macvlan", True: "vxlan"}  # by whether it is the namespace that they are of
UNKNOWN = 0xFFFFFFFF  # -1 of NETNSA_NSID: it has no number
FIRST = 6
_MOST_ENDS = 5  # interfaces of one from which nothing leads out
_MOST_BARE = 8  # namespaces without a cable that are looked at
_MOST_OTHERS = 16  # namespaces that nobody has come to, of which one may have lost an interface
Whereabouts = tuple[Found, netns.Identity]
Numbers = dict[int, Whereabouts]  # where and which the namespace is that has this number


class Peers:
    """Finds far ends and remembers what it learned on the way: a search that fails has looked at every
    namespace.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, Numbers] = {}
        # the namespaces behind ports, for one question: whether something may stand on another's device there
        self._behind_ports: dict[netns.Identity, bool] = {}

    def begin(self) -> None:
        """A new question begins: what stands behind ports may have changed."""
        self._behind_ports.clear()

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

    def _adopted(self, place: Whereabouts | None) -> str | None:
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
            netns.close(fd)
            return None
        return self._directory.adopt(fd, found)

    def look_behind(self, ports: Sequence[LookBehind]) -> tuple[SeenBehind, ...]:
        """What stands behind these ports of one open namespace; all namespaces are gone through once. What
        cannot be seen or entered is not plain.
        """
        asking, wanted = ports[0].namespace, {port.nsid for port in ports}
        known = self._known.setdefault(asking, {})
        if not wanted <= known.keys():
            handle = self._directory.handles[asking]
            known.update(numbers_of(handle, self._directory.candidates(), wanted))
        return tuple(self._behind(port, known.get(port.nsid)) for port in ports)

    def _behind(self, port: LookBehind, place: Whereabouts | None) -> SeenBehind:
        """What stands behind a port, whose namespace is the one of `place`."""
        deadline.check()
        unknown = SeenBehind(port.namespace, port.nsid, port.index)
        fd = opened(place[0]) if place is not None else None
        if place is None or fd is None:
            return unknown
        try:
            # another may have taken its name since
            if netns.identity(fd) != place[1] or self._directory.is_excluded(fd):
                return unknown
            with netns.inside(fd):
                seen, self._behind_ports[place[1]] = look_behind(port)
            return seen
        except (NetprobeError, OSError) as error:
            if is_short(error):
                raise
            return unknown
        finally:
            netns.close(fd)

    def macvlans_on(self, parents: Sequence[tuple[str, int]]) -> dict[tuple[str, int], tuple[str, ...]]:
        """The names of the namespaces that have a macvlan on each of these (open namespace, ifindex), or of
        0 a VXLAN device that was made in the namespace.
        """
        standing: dict[tuple[str, int], list[str]] = {parent: [] for parent in parents}
        for place in list(self._everywhere()):
            deadline.check()
            if self._behind_ports.get(place[1]) is False:
                continue
            on = self._standing(place, parents)
            name = self._adopted(place) if on else None
            for parent in on if name is not None else ():
                standing[parent].append(name or "")
        return {parent: tuple(names) for parent, names in standing.items()}

    def bare(self) -> tuple[str, ...]:
        """The names of the first few of the namespaces made by ip-netns(8) from which nothing leads out: they
        have nothing but a loopback, and a cable or two with both ends.
        """
        bare = filter(None, map(self._bare, self._directory.named.all()))
        return tuple(islice(bare, _MOST_BARE))

    def others(self, known: Container[str]) -> tuple[str, ...]:
        """The names of the first few of the namespaces made by ip-netns(8) that are not `known`."""
        every = ((found, found.identity()) for found in self._directory.named.all())
        names = (self._adopted((found, which)) for found, which in every if which is not None)
        return tuple(islice((name for name in names if name is not None and name not in known), _MOST_OTHERS))

    def _bare(self, found: Found) -> str | None:
        """The name of a namespace from which nothing leads out."""
        deadline.check()
        identity = found.identity()
        fd = opened(found) if identity is not None and identity not in self._behind_ports else None
        if fd is None or identity is None:  # gone, or a cable leads out of it
            return None
        try:
            with netns.inside(fd), Netlink() as netlink:
                asked = Request(RTM_GETLINK, attributes=[("IFLA_EXT_MASK", 0)])
                links = [*map(link_of, netlink.first(asked, _MOST_ENDS + 1))]
        except (NetprobeError, OSError) as error:
            if is_short(error):
                raise
            return None
        finally:
            netns.close(fd)
        alone = len(links) <= _MOST_ENDS and not any(map(_leads_out, links))
        return self._adopted((found, identity)) if alone else None

    def _standing(self, place: Whereabouts, parents: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those of `parents` that a device in the namespace of `place` stands on."""
        fd = opened(place[0])
        if fd is None:
            return []
        try:
            lower = _lower(fd, {_KINDS[not index] for _, index in parents})
            wanted = [parent for parent in parents if parent[1] in lower]
            handles = self._directory.handles
            return [each for each in wanted if _is_on(fd, lower[each[1]], handles[each[0]])]
        except (NetprobeError, OSError) as error:
            if is_short(error):
                raise
            return []  # not ours to enter: what stands there is not seen from here
        finally:
            netns.close(fd)

    def _everywhere(self) -> Iterator[Whereabouts]:
        """Every namespace that can be seen, once."""
        met: set[netns.Identity] = set()
        for found in chain.from_iterable(self._directory.candidates()):
            identity = found.identity()
            if identity is not None and identity not in met:
                met.add(identity)
                yield found, identity

    def _search(self, asking: str, nsid: int) -> Numbers:
        return numbers_of(self._directory.handles[asking], self._directory.candidates(asking), {nsid})


def _leads_out(link: Link) -> bool:
    """Whether an interface is more than a loopback, or an end of a cable whose other one is here as well."""
    ends_here = link.kind == "veth" and link.link is not None and link.link.nsid is None
    return not (ends_here or link.kind == "loopback")


def numbers_of(asking: Place, candidates: Iterable[Iterator[Found]], wanted: Set[int]) -> Numbers:
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


def _numbered(netlink: Netlink, batch: Sequence[Found]) -> Iterator[tuple[Whereabouts, int]]:
    """((where, which), number) of those in `batch` that the namespace of `netlink` has a number for."""
    deadline.check()
    results = open_each(batch)
    try:
        # which says nothing of the file
        if short := next((each for each in results if isinstance(each, Shortage)), None):
            raise short
        fds = {
            found: each
            for found, each in zip(batch, results, strict=True)
            if not isinstance(each, NetprobeError)
        }
        for (found, fd), nsid in zip(fds.items(), nsids(netlink, list(fds.values())), strict=True):
            if nsid is not None:
                yield (found, netns.identity(fd)), nsid
    finally:
        close_all(results)


def _lower(there: Place, kinds: Set[str]) -> dict[int, set[int | None]]:
    """The ifindexes that the devices of these kinds of an open namespace stand on, 0 of VXLAN devices, each
    with what that namespace calls the one that has it.
    """
    lower: dict[int, set[int | None]] = {}
    with netns.inside(there), Netlink() as netlink:
        for kind in sorted(kinds):
            about = {"attrs": [["IFLA_INFO_KIND", kind]]}
            for link in map(
                link_of, netlink.dump(Request(RTM_GETLINK, attributes=[("IFLA_LINKINFO", about)]))
            ):
                if link.kind == "vxlan":
                    lower.setdefault(0, set()).add(link.nsid)
                elif link.kind == "macvlan" and link.link is not None:
                    lower.setdefault(link.link.index, set()).add(link.link.nsid)
    return lower


def _is_on(there: Place, numbers: Set[int | None], parent: Place) -> bool:
    """Whether one of these `numbers` is what the open namespace `there` calls the open namespace `parent`."""
    if netns.identity(there) == netns.identity(parent):
        return None in numbers
    named = numbers - {None}
    if not named:
        return False
    with netns.inside(there), Netlink() as netlink:
        return nsids(netlink, [parent])[0] in named


def nsids(netlink: Netlink, fds: Sequence[Place]) -> list[int | None]:
    """What the namespace of `netlink` calls each of the open namespaces `fds`; None where it has no number.

    Assigns none.
    """
    answers = netlink.ask_all(
        [Request(RTM_GETNSID, attributes=[("NETNSA_FD", netns.number(fd))]) for fd in fds]
    )
    return [None if answer is None else _nsid(answer) for answer in answers]


def _nsid(record: Record) -> int | None:
    nsid: int = record.get("NETNSA_NSID", UNKNOWN)
    return None if nsid == UNKNOWN else nsid
