"""One namespace's configuration, read whole and changed never.

What cannot be read becomes a `Blind` with the reason; the rest stands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from netprobe.errors import NetprobeError, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.model import (
    AskedSet,
    AskSet,
    Blind,
    Chain,
    FdbEntry,
    FdbQuery,
    InterfaceAddress,
    Link,
    Namespace,
    ReadAsking,
    ReadChain,
    ReadFdb,
    ReadRoute,
    Route,
    RouteAnswer,
    RouteQuery,
    Ruleset,
    Settings,
    Snapshot,
)
from netprobe.model.lookup import among
from netprobe.model.settings import joined

from . import netns
from .netfilter import read as netfilter
from .netlink import Netlink
from .open_settings import OpenSettings
from .tables import bpf, bridges, counters, fib, links, neighbours, policy, sockets, sysctl, tc, xfrm

PARTS = (
    "links",
    "qdiscs",
    "addresses",
    "routes",
    "rules",
    "neighbours",
    "fdb",
    "groups",
    "sysctls",
    "asking",
    "sockets",
    "xfrm",
)

_T = TypeVar("_T")


class _Reader:
    """Calls the readers of one namespace and collects what they could not see."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blind: list[Blind] = []
        self.unread: dict[str, str] = {}

    def of(self, part: str, what: str, read: Callable[[], _T], otherwise: _T, *, rare: bool = False) -> _T:
        """What `read` returns; when the kernel refuses, `otherwise`, `part` as unread and a blind spot that
        calls it `what`.

        A part that few packets meet (`rare`) does not count as unread where we have no right to it, or the
        kernel does not have it.
        """
        try:
            return read()
        except (OSError, struct.error) as error:  # refused, or what another host made up is too short
            why = _why(error)
            self.blind.append(Blind(f"{what} of {self.name}", why))
            if not rare or is_short(error):
                self.unread[part] = why
            return otherwise


def _why(error: OSError | struct.error) -> str:
    if isinstance(error, PermissionError):
        return "CAP_NET_ADMIN is missing"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def read_namespace(name: str, fd: Place, settings: OpenSettings | None = None) -> Namespace:
    """Everything configured in the open namespace `fd`; `settings` are files that may stay open.

    Raises NotPermitted or CannotLook when it cannot be entered.
    """
    # its tools print while we read on
    with netns.inside(fd), netfilter.RulesetReading(fd, name) as rules, Netlink() as route:
        reader, cookie = _Reader(name), netns.cookie()
        held = settings.of(cookie) if settings is not None else None
        nothing: tuple[tuple[Link, ...], dict[str, Mapping[str, str]]] = ((), {})
        none: dict[str, str] = {}
        untold: tuple[dict[str, str] | None, dict[str, int]] = ({}, {})
        no_routes: tuple[tuple[Route, ...], bool] = ((), True)
        no_entries: tuple[tuple[FdbEntry, ...], bool] = ((), True)
        found, tables = reader.of("links", "interfaces", lambda: links.read_links(route), nothing)
        found = reader.of("vlans", "VLANs of bridge ports", lambda: bridges.with_vlans(route, found), found)
        addresses: tuple[InterfaceAddress, ...] = reader.of(
            "addresses", "addresses", lambda: links.read_addresses(route), ()
        )
        asking, fill = reader.of(
            "asking",
            "the settings of neighbours",
            lambda: neighbours.read_asking(route, found),
            untold,
            rare=True,
        )
        stems = neighbours.askers(found, addresses) if asking is None else ()
        asked = reader.of(
            "asking", "the settings of neighbours", lambda: neighbours.find_asking(stems), none, rare=True
        )
        own = among(addresses, index={link.index for link in found if link.up})
        routes, are_all = reader.of("routes", "routes", lambda: fib.read_routes(route, len(own)), no_routes)
        fdb, is_whole = reader.of(
            "fdb", "bridge forwarding entries", lambda: neighbours.read_fdb(route, found), no_entries
        )
        if is_whole and "fdb" not in reader.unread:
            found = bridges.with_emptied(found, fdb)
        namespace = Namespace(
            name=name,
            cookie=cookie,
            links=reader.of(
                "qdiscs", "queueing disciplines", lambda: tc.with_traffic_control(route, found), found
            ),
            addresses=addresses,
            routes=routes,
            routed=None if are_all else (),
            rules=reader.of("rules", "policy rules", lambda: policy.read_rules(route), ()),
            neighbours=reader.of("neighbours", "neighbours", lambda: neighbours.read_neighbours(route), ()),
            fdb=fdb,
            forwarded=None if is_whole else (),
            groups=reader.of(
                "groups", "bridge multicast groups", lambda: bridges.read_groups(route, found), ()
            ),
            sysctls=Settings(
                reader.of("sysctls", "sysctls", lambda: sysctl.read_globals(held), none) | (asking or asked),
                tables,
            ),
            asking=stems if asking is None else None,
            ruleset=_ruleset(rules),
            sockets=reader.of("sockets", "sockets", sockets.read_sockets, None),
            xfrm=reader.of("xfrm", "IPsec policies", xfrm.read_policies, None, rare=True),
            cgroup_programs=bpf.own_programs(),
            counters=counters.read_counters() | fill,
        )
        if route.unsteady:
            reader.blind.append(
                Blind(f"tables of {name}", "they kept changing while they were read; an entry may be missing")
            )
        return replace(namespace, blind=tuple(reader.blind), unread=reader.unread)


def read_standing(name: str, fd: Place) -> Namespace:
    """The interfaces and the addresses of the open namespace `fd` alone: where it stands among others.
    Raises NetprobeError or OSError.
    """
    with netns.inside(fd), Netlink() as route:
        return Namespace(name, links=links.list_links(route), addresses=links.read_addresses(route))


def _ruleset(rules: netfilter.RulesetReading) -> Ruleset:
    """All rules; where they cannot be had none, and a blind spot."""
    try:
        return rules.ruleset()
    except (NetprobeError, OSError) as error:
        return Ruleset(
            (Blind(f"the ruleset of {rules.name}", getattr(error, "strerror", None) or str(error)),)
        )


def unread(name: str, why: str) -> Namespace:
    """A namespace of which nothing could be read."""
    return Namespace(name, blind=(Blind(f"namespace {name}", why),), unread=dict.fromkeys(PARTS, why))


def answer_set(snapshot: Snapshot, need: AskSet, fd: Place) -> Snapshot:
    """`snapshot` with the kernel's answer to a question about a large set of rules."""
    return with_answer(snapshot, need, netfilter.ask_set(fd, need.query))


def with_answer(snapshot: Snapshot, need: AskSet, answer: AskedSet) -> Snapshot:
    """`snapshot` with this answer to `need`."""
    namespace = snapshot[need.namespace]
    return snapshot.with_namespace(
        replace(namespace, ruleset=(namespace.ruleset or Ruleset()).with_answer(answer))
    )


def read_chain(snapshot: Snapshot, need: ReadChain, fd: Place) -> Snapshot:
    """`snapshot` with a chain of a large table."""
    from .netfilter import chains

    return with_chain(snapshot, need, chains.read_chain(fd, need.query))


def with_chain(snapshot: Snapshot, need: ReadChain, chain: Chain) -> Snapshot:
    """`snapshot` with this chain, which `need` asks for."""
    namespace = snapshot[need.namespace]
    return snapshot.with_namespace(
        replace(namespace, ruleset=(namespace.ruleset or Ruleset()).with_chain(need.query, chain))
    )


def find_routes(snapshot: Snapshot, name: str, queries: Sequence[RouteQuery], fd: Place) -> Snapshot:
    """`snapshot` with the routes of one namespace, of the open namespace `fd`, that these queries lead to."""
    with netns.inside(fd), Netlink() as route:
        found = [each for query in queries for each in fib.find_routes(route, query)]
    return with_routes(snapshot, name, found, queries)


def with_routes(
    snapshot: Snapshot, name: str, found: Sequence[Route], queries: Sequence[RouteQuery]
) -> Snapshot:
    """`snapshot` with these routes of a namespace, which are all that these queries lead to."""
    namespace = snapshot[name]
    routes = tuple(dict.fromkeys((*namespace.routes, *found)))
    return snapshot.with_namespace(
        replace(namespace, routes=routes, routed=(*(namespace.routed or ()), *queries))
    )


def find_entries(snapshot: Snapshot, name: str, queries: Sequence[FdbQuery], fd: Place) -> Snapshot:
    """`snapshot` with the forwarding entries of one namespace, of the open namespace `fd`, that answer these
    queries.
    """
    with netns.inside(fd), Netlink() as route:
        found = neighbours.find_entries(route, queries)
    return with_entries(snapshot, name, found, queries)


def with_entries(
    snapshot: Snapshot, name: str, found: Sequence[FdbEntry], queries: Sequence[FdbQuery]
) -> Snapshot:
    """`snapshot` with these forwarding entries of a namespace, which are all that answer these queries."""
    namespace = snapshot[name]
    fdb = tuple(dict.fromkeys((*namespace.fdb, *found)))
    return snapshot.with_namespace(
        replace(namespace, fdb=fdb, forwarded=(*(namespace.forwarded or ()), *queries))
    )


def find_asking(snapshot: Snapshot, name: str, queries: Sequence[str], fd: Place) -> Snapshot:
    """`snapshot` with the settings below these names of one namespace, of the open namespace `fd`."""
    with netns.inside(fd):
        found = neighbours.find_asking(queries)
    return with_asking(snapshot, name, [*found.items()], queries)


def with_asking(
    snapshot: Snapshot, name: str, found: Sequence[tuple[str, str]], queries: Sequence[str]
) -> Snapshot:
    """`snapshot` with these settings of a namespace, which are all below these names."""
    namespace = snapshot[name]
    sysctls, asking = joined(namespace.sysctls, dict(found)), (*(namespace.asking or ()), *queries)
    return snapshot.with_namespace(replace(namespace, sysctls=sysctls, asking=asking))


def ask_routes(fd: Place, queries: Sequence[RouteQuery]) -> tuple[RouteAnswer, ...]:
    """What the kernel's FIB of the open namespace `fd` answers to each of `queries`."""
    with netns.inside(fd), Netlink() as route:
        return tuple(fib.ask_route(route, query) for query in queries)


class LargeTable(NamedTuple):
    """A table of a namespace that may be too large to be read, and how what a walk needs of it is."""

    need: type[ReadRoute | ReadFdb | ReadAsking]
    part: str
    called: str
    find: Callable[[Snapshot, str, Sequence[Any], Place], Snapshot]
    put: Callable[[Snapshot, str, Sequence[Any], Sequence[Any]], Snapshot]


LARGE_TABLES = (
    LargeTable(ReadRoute, "routes", "routes", find_routes, with_routes),
    LargeTable(ReadFdb, "fdb", "bridge forwarding entries", find_entries, with_entries),
    LargeTable(ReadAsking, "asking", "the settings of neighbours", find_asking, with_asking),
)
