"""Every namespace of the machine with its interfaces, addresses and far ends: what `netprobe ls` shows.

Namespaces are opened, read and closed again, a few at a time: a machine may have more of them than a process
may have files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from msgspec.structs import replace

from netprobe.endpoint import parse
from netprobe.errors import NetprobeError, Shortage, WrongQuestion, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.linux import deadline, netns
from netprobe.linux.netlink import Netlink
from netprobe.linux.tables.links import list_links, read_addresses
from netprobe.model import InterfaceAddress, Link, Space, SpaceInterface

from .names import Found, Processes, close_all, open_each
from .namespaces import HOST, NAMELESS, OPENED, Directory, is_generated
from .peers import numbers_of

AT_ONCE = 32  # namespaces that are open at one time
EACH_S = 1.0  # to read one of them: somebody may have given it a million addresses
_End = tuple[netns.Identity, int]  # an interface: its namespace and ifindex


@dataclass(slots=True)
class MetSpace:
    """A namespace as met on the way: all its names, and what was read inside."""

    found: list[Found]
    title: str
    links: Sequence[Link] = ()
    addresses: Sequence[InterfaceAddress] = ()
    blind: str | None = None
    identity: netns.Identity = (0, 0)
    masters: dict[int, str] = field(default_factory=dict)


Look = Callable[[MetSpace, Place], None]  # reads what is wanted of an open namespace, in which the thread is


def list_spaces(directory: Directory) -> tuple[Space, ...]:
    """All namespaces that can be seen, by name; those that cannot be entered say why.

    Raises Shortage, OSError where we lack what it takes to look.
    """
    seen, closed = meet_all(directory, _look)
    wires, shared = _wires(directory, seen), _shared_names((*seen.values(), *closed))
    spaces = (_space(each, seen, wires) for each in (*seen.values(), *closed))
    typed = (_typed(space, shared, directory.prefix) for space in spaces)
    return tuple(sorted(typed, key=lambda space: (space.kind, natural(space.name))))


def _typed(space: Space, shared: Container[str], prefix: str) -> Space:
    """The namespace with the words by which a person writes it; `prefix` of its host stands before all."""
    typed = typed_name(replace(space, name=space.name.removeprefix(prefix)), shared)
    return replace(space, typed=prefix + typed, names=tuple(prefix + name for name in space.names))


def _shared_names(all_seen: Sequence[MetSpace]) -> frozenset[str]:
    """The names that stand for more than one namespace where they are written alone."""
    of_each = ({found.name for found in each.found if _is_bare(found)} for each in all_seen)
    counts = Counter(chain.from_iterable(of_each))
    return frozenset(name for name, times in counts.items() if times > 1)


def _is_bare(found: Found) -> bool:
    """Whether its name means it without a kind; what another user says makes none ambiguous (`lookup`)."""
    return found.kind not in NAMELESS and not found.owner


def typed_name(space: Space, shared: Container[str]) -> str:
    """How a person writes a namespace in a command: its name where that means it, else with its kind."""
    with_kind = f"{space.kind}:{space.name}"
    if with_kind not in space.names:  # a process, a pod, or its title has the kind already
        return space.name if space.kind == HOST or not space.names else space.names[0]
    return with_kind if space.name in shared or _is_something_else(space.name) else space.name


def _is_something_else(name: str) -> bool:
    """Whether the word alone would be an option, an address, or the namespace that netprobe is started in."""
    try:
        return name.startswith("-") or name == HOST or parse(name).ip is not None
    except WrongQuestion:  # looked for as a whole
        return False


def meet_all(directory: Directory, look: Look) -> tuple[dict[netns.Identity, MetSpace], list[MetSpace]]:
    """All namespaces that can be seen, each looked at once, and the names of those that cannot be opened.

    Raises Shortage, OSError where we lack what it takes to look.
    """
    seen: dict[netns.Identity, MetSpace] = {}
    taken: set[str] = set()  # titles
    closed: list[MetSpace] = []
    everything = directory.everything()
    while batch := list(islice(everything, AT_ONCE)):
        results = open_each(batch)
        try:
            for found, result in zip(batch, results, strict=True):
                if isinstance(result, Shortage):
                    raise result
                if isinstance(result, NetprobeError):
                    closed.append(MetSpace([found], found.name, blind=str(result)))
                else:
                    _meet(directory, (seen, taken), found, result, look)
        finally:
            close_all(results)
    return seen, closed


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: c2 before c10."""
    pieces = re.split("([0-9]+)", name)
    return [(int(piece) if at % 2 else 0, piece) for at, piece in enumerate(pieces)]


def _look(each: MetSpace, _fd: Place) -> None:
    with Netlink() as netlink:
        each.links, each.addresses = list_links(netlink), read_addresses(netlink)


def _meet(
    directory: Directory,
    known: tuple[dict[netns.Identity, MetSpace], set[str]],
    found: Found,
    fd: Place,
    look: Look,
) -> None:
    seen, taken = known
    identity = netns.identity(fd)
    if directory.is_excluded(fd):
        return
    if identity in seen:
        seen[identity].found.append(found)
        return
    free = (title for title in directory.titles(identity, found) if title not in taken)
    title = directory.handles.name_of(identity) or next(free, f"{directory.prefix}netns-{identity[1]}")
    taken.add(title)
    seen[identity] = each = MetSpace([found], title, identity=identity)
    try:
        with deadline.within(EACH_S), netns.inside(fd):
            look(each, fd)
    except (NetprobeError, OSError) as error:
        if is_short(error):
            raise
        each.blind = (error.strerror if isinstance(error, OSError) else None) or str(error)
    names = {link.index: link.name for link in each.links}
    each.masters = {link.index: names[link.master] for link in each.links if link.master in names}


def _wires(directory: Directory, seen: dict[netns.Identity, MetSpace]) -> dict[_End, _End]:
    """Both ends of every veth.

    The namespace with most of them is asked first: its answers serve for the others too.
    """
    wires: dict[_End, _End] = {}
    for each in sorted(seen.values(), key=lambda each: -len(each.links)):
        for link in each.links:
            if link.kind == "veth" and link.link is not None and link.link.nsid is None:
                wires[each.identity, link.index] = each.identity, link.link.index
        open_ends = [
            link
            for link in each.links
            if link.kind == "veth" and link.link and (each.identity, link.index) not in wires
        ]
        if not open_ends:
            continue
        wanted = {link.link.nsid for link in open_ends if link.link and link.link.nsid is not None}
        numbers = numbers_told(each, directory.everything(), wanted)
        for link in open_ends:
            assert link.link is not None
            if link.link.nsid in numbers:
                near, far = (each.identity, link.index), (numbers[link.link.nsid], link.link.index)
                wires[near], wires[far] = far, near
    return wires


def numbers_told(each: MetSpace, others: Iterator[Found], wanted: set[int]) -> dict[int, netns.Identity]:
    """What a namespace calls `others`, up to those that it calls `wanted`; nothing where it may not be asked.

    Raises Shortage, OSError where we lack what it takes to ask.
    """
    try:
        fd = each.found[0].open()
    except Shortage:
        raise
    except NetprobeError:
        return {}
    try:
        return {nsid: identity for nsid, (_, identity) in numbers_of(fd, (others,), wanted).items()}
    except (NetprobeError, OSError) as error:
        if is_short(error):
            raise
        return {}
    finally:
        netns.close(fd)


def _space(each: MetSpace, seen: dict[netns.Identity, MetSpace], wires: dict[_End, _End]) -> Space:
    return replace(space_of(each), interfaces=tuple(_interfaces(each, seen, wires)))


def space_of(each: MetSpace) -> Space:
    """A namespace as it is called, without its interfaces."""
    # what an earlier question has opened comes under the name that it got; who has that name comes as well
    sources = [found for found in each.found if found.kind == HOST or not found.path.startswith(OPENED)]
    known = sources or each.found
    kind = next((found.kind for found in known if found.name == each.title), known[0].kind)
    given = [
        found
        for found in known
        if found.kind != "host" and (found.name == each.title or not is_generated(found.name))
    ]
    names = dict.fromkeys(found.text for found in given)
    note = next((found.note for found in known if found.note and found.name == each.title), "")
    note = note or (each.title.partition("(")[2].removesuffix(")") if kind == Processes.kind else "")
    return Space(each.title, kind, tuple(names), each.identity[1], note=note, blind=each.blind)


def _interfaces(
    each: MetSpace, seen: dict[netns.Identity, MetSpace], wires: dict[_End, _End]
) -> Iterator[SpaceInterface]:
    for link in each.links:
        own = tuple(
            f"{address.address}/{address.prefixlen}"
            for address in each.addresses
            if address.index == link.index
        )
        peer = peer_bridge = None
        identity, index = wires.get((each.identity, link.index), (None, 0))
        if identity in seen:
            far = seen[identity]
            peer = next((f"{far.title}/{other.name}" for other in far.links if other.index == index), None)
            peer_bridge = far.masters.get(index)
        yield SpaceInterface(
            link.name, link.kind, link.up, own, peer, each.masters.get(link.index), peer_bridge
        )
