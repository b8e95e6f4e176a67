"""One namespace's configuration, read whole and changed never.

What cannot be read becomes a `Blind` with the reason; the rest stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from netprobe.model import AskSet, Blind, Link, Namespace, RouteAnswer, RouteQuery, Ruleset, Snapshot

from . import counters, fib, links, neighbours, netfilter, netns, programs, sockets, sysctl, tc, xfrm
from .netlink import Netlink

FORWARDING = "net.ipv4.ip_forward"

_T = TypeVar("_T")


class _Reader:
    """Calls the readers of one namespace and collects what they could not see."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blind: list[Blind] = []

    def of(self, what: str, read: Callable[[], _T], otherwise: _T) -> _T:
        """What `read` returns; when the kernel refuses, `otherwise` and a blind spot that names `what`."""
        try:
            return read()
        except OSError as error:
            why = "CAP_NET_ADMIN is missing" if isinstance(error, PermissionError) else error.strerror or str(error)
            self.blind.append(Blind(f"{what} of {self.name}", why))
            return otherwise


def read_namespace(name: str, fd: int) -> Namespace:
    """Everything configured in the open namespace `fd`. Raises NotPermitted or CannotLook when it cannot be entered."""
    with netns.inside(fd), netfilter.RulesetReading(fd, name) as rules, Netlink() as route:  # its tools print while we read on
        reader = _Reader(name)
        nothing: tuple[tuple[Link, ...], dict[str, str]] = ((), {})
        found, per_interface = reader.of("interfaces", lambda: links.read_links(route), nothing)
        namespace = Namespace(
            name=name,
            inode=netns.inode(fd),
            cookie=netns.cookie(),
            links=reader.of("queueing disciplines", lambda: tc.with_traffic_control(route, found), found),
            addresses=reader.of("addresses", lambda: links.read_addresses(route), ()),
            routes=reader.of("routes", lambda: fib.read_routes(route), ()),
            rules=reader.of("policy rules", lambda: fib.read_rules(route), ()),
            neighbours=reader.of("neighbours", lambda: neighbours.read_neighbours(route), ()),
            fdb=reader.of("bridge forwarding entries", lambda: neighbours.read_fdb(route), ()),
            sysctls=_sysctls(reader) | per_interface,
            ruleset=rules.ruleset(),
            sockets=reader.of("sockets", sockets.read_sockets, None),
            xfrm=reader.of("IPsec policies", xfrm.read_policies, None),
            cgroup_programs=programs.cgroup_programs(programs.own_cgroup()),
            counters=counters.read_counters(),
        )
        if route.unsteady:
            reader.blind.append(Blind(f"tables of {name}", "they kept changing while they were read; an entry may be missing"))
        return replace(namespace, blind=tuple(reader.blind))


def _sysctls(reader: _Reader) -> dict[str, str]:
    values = sysctl.read_globals()
    if FORWARDING not in values:  # which every kernel has
        reader.blind.append(Blind(f"sysctls of {reader.name}", "/proc/sys/net cannot be read"))
    return values


def answer_set(snapshot: Snapshot, need: AskSet, fd: int) -> Snapshot:
    """`snapshot` with the kernel's answer to a question about a large set of rules."""
    namespace = snapshot[need.namespace]
    ruleset = (namespace.ruleset or Ruleset()).with_answer(netfilter.ask_set(fd, need.query))
    return snapshot.with_namespace(replace(namespace, ruleset=ruleset))


def ask_routes(fd: int, queries: Sequence[RouteQuery]) -> tuple[RouteAnswer, ...]:
    """What the kernel's FIB of the open namespace `fd` answers to each of `queries`."""
    with netns.inside(fd), Netlink() as route:
        return tuple(fib.ask_route(route, query) for query in queries)
