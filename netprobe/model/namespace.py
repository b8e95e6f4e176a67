"""One network namespace, frozen as read, and how its tables are looked up.

No name here is escaped yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from operator import attrgetter

from msgspec import Struct, field

from .config import (
    FdbEntry,
    FdbQuery,
    InterfaceAddress,
    Neighbour,
    Nexthop,
    PolicyRule,
    Route,
    RouteQuery,
    Socket,
    XfrmPolicy,
)
from .link import Link, MulticastEntry, Vxlan
from .lookup import but, first, gathered, grouped, has, indexed, where
from .place import Blind
from .ruleset import Ruleset, Table

_NO_RULES = Ruleset()


class Namespace(Struct, frozen=True, gc=False):
    """Everything read of one network namespace, and what of it could not be read (`blind`).

    `cgroup_programs` are the BPF programs of netprobe's own cgroup, which see what a probe sends; a socket
    has its own. `groups` are read where a bridge chooses by them (`Bridge.chooses`). `unread` are the parts
    (fields, and `qdiscs` of the links) that the kernel would not give us, each with the reason: what such a
    field holds means nothing, least of all "none". `routed`: the routes are too many to be read; those are
    here that the kernel makes, that refuse, defaults, and those for these queries. `forwarded`: the
    forwarding entries are too many to be read; those are here that VXLAN devices keep, and the bridges' for
    these queries. `asking`: the interfaces are too many for the settings of their neighbours to be read;
    those are here that stand below these names. `enter` are the words before a command that run it in here,
    from the shell that netprobe was started from; None: not known.
    """

    name: str
    cookie: int = 0
    links: tuple[Link, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    groups: tuple[MulticastEntry, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ruleset: Ruleset | None = None
    sockets: tuple[Socket, ...] | None = None
    xfrm: tuple[XfrmPolicy, ...] | None = None
    cgroup_programs: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    blind: tuple[Blind, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    routed: tuple[RouteQuery, ...] | None = None
    enter: tuple[str, ...] | None = None
    forwarded: tuple[FdbQuery, ...] | None = None
    asking: tuple[str, ...] | None = None

    def link(self, index: int | None) -> Link | None:
        """The interface with this ifindex, or None."""
        return indexed(_by_index, self.links).get(index)

    def link_of(self, leg: Nexthop | InterfaceAddress | None) -> Link | None:
        """The interface that a next hop leaves by or that an address is on, or None."""
        return self.link(leg.index) if leg is not None else None

    def link_named(self, name: str | None) -> Link | None:
        """The interface with this name, or None."""
        return indexed(_by_name, self.links).get(name)

    def links_of(self, kind: str) -> tuple[Link, ...]:
        """The interfaces of one kind, in ifindex order."""
        return indexed(_by_kind, self.links).get(kind, ())

    def ports(self, bridge: Link | None) -> tuple[Link, ...]:
        """The interfaces enslaved to `bridge`, in ifindex order; none where there is none."""
        return indexed(_by_master, self.links).get(bridge.index, ()) if bridge is not None else ()

    def remotes_of(self, link: Link) -> tuple[str, ...]:
        """Where a VXLAN device sends to, each once: its own remote end first, then those of its entries."""
        entries = (entry.remote for entry in where(self.fdb, index=link.index))
        return tuple(filter(None, dict.fromkeys((link.tunnel.remote, *entries))))

    def entries_of(self, mac: str) -> tuple[FdbEntry, ...]:
        """The forwarding entries of all bridges and devices for a MAC address."""
        return indexed(_by_mac, self.fdb).get(mac, ())

    def entries_for(self, link: Link, address: str) -> tuple[Neighbour, ...]:
        """The neighbour entries for an address on an interface, a proxy entry among them."""
        return indexed(_by_neighbour, self.neighbours).get((link.index, address), ())

    def addresses_of(self, link: Link | None, version: int | None = None) -> tuple[InterfaceAddress, ...]:
        """The addresses on `link`, of one IP version where it is given; none where there is no interface."""
        found = self.addresses_at(link.index) if link is not None else ()
        return found if version is None else where(found, version=version)

    def addresses_at(self, index: int | None) -> tuple[InterfaceAddress, ...]:
        """The addresses on the interface with this ifindex."""
        return indexed(_by_interface, self.addresses).get(index, ())

    def routes_by(self, link: Link | None) -> tuple[Route, ...]:
        """The routes of all tables that lead out of an interface, in their order; none of no interface."""
        return indexed(_by_way_out, self.routes).get(link.index, ()) if link is not None else ()

    def waiting(self, protocol: str) -> tuple[Socket, ...]:
        """The sockets of a protocol that take what comes from anybody; none where they were not read."""
        wanted = ((protocol, "listen"), (protocol, "unconnected"))
        return tuple(each for each in self.sockets or () if (each.protocol, each.state) in wanted)

    def listeners(self, bridge: Link, group: str, vlan: int = 0) -> frozenset[int]:
        """The ports of `bridge` behind which somebody listens to a group, or a router to all of them; the
        bridge itself among them where the host does.
        """
        known = indexed(_by_group, self.groups)
        return frozenset(
            (*known.get((bridge.index, None, 0), ()), *known.get((bridge.index, group, vlan), ()))
        )

    def address(self, address: str | None) -> InterfaceAddress | None:
        """The address as it is configured, on whichever interface, or None."""
        return indexed(_by_address, self.addresses).get(address)

    def has_on(self, link: Link, address: str) -> bool:
        """Whether `link` carries `address`."""
        return has(self.addresses_of(link), address=address)

    def owner_of(self, address: str | None) -> Link | None:
        """The interface that carries `address`, or None."""
        return self.link_of(self.address(address))

    @property
    def entrance(self) -> tuple[str, ...]:
        """The words that run a command in here; none where they are not known."""
        return self.enter or ()

    @property
    def is_of_a_process(self) -> bool:
        """Whether it is entered by a process that lives in it, as a container's is."""
        return self.entrance[:2] == ("nsenter", "-t")

    @property
    def programs(self) -> tuple[Socket, ...]:
        """Its sockets; none where they were not read."""
        return self.sockets or ()

    @property
    def policies(self) -> tuple[XfrmPolicy, ...]:
        """Its IPsec policies; none where they were not read."""
        return self.xfrm or ()

    @property
    def gateways(self) -> frozenset[str | None]:
        """The next hops of all routes; None among them where one leads straight to a network."""
        return indexed(_gateways, self.routes)

    @property
    def filters(self) -> Ruleset:
        """Its ruleset, an empty one where it was not read."""
        return self.ruleset or _NO_RULES

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of its rules, as far as they were read."""
        return self.filters.tables

    def sysctl(self, name: str, default: str | None = None) -> str | None:
        """The text of one sysctl (`net.ipv4.ip_forward`; an interface's dots written as slashes), or the
        default.
        """
        return self.sysctls.get(name, default)

    def number(self, name: str, default: int = 0) -> int:
        """The number that a sysctl holds, or the default."""
        return int(self.sysctl(name) or default)

    @property
    def outward(self) -> tuple[Link, ...]:
        """The interfaces by which it is a station of a segment: no loopback, and no port of another one."""
        return indexed(_outward, self.links)

    @property
    def receiving(self) -> tuple[Link, ...]:
        """The interfaces at which it takes packets itself: a bridge takes what comes in at its ports."""
        return indexed(_receiving, self.links)

    @property
    def is_bare(self) -> bool:
        """Whether it has a loopback alone, as far as its interfaces were read."""
        return bool(self.links) and not self.outward and "links" not in self.unread

    @property
    def vxlans(self) -> tuple[tuple[Link, Vxlan], ...]:
        """The VXLAN devices, with what they are set to."""
        return tuple((link, link.vxlan) for link in self.links if link.vxlan is not None)


# How the tables of a namespace are looked up.


def _outward(links: tuple[Link, ...]) -> tuple[Link, ...]:
    return but(where(links, master=None), kind="loopback")


def _receiving(links: tuple[Link, ...]) -> tuple[Link, ...]:
    return where(links, port=None)


def _by_index(links: tuple[Link, ...]) -> dict[int | None, Link]:
    return first(links, attrgetter("index"))


def _by_name(links: tuple[Link, ...]) -> dict[str | None, Link]:
    return first(links, attrgetter("name"))


def _by_kind(links: tuple[Link, ...]) -> dict[str, tuple[Link, ...]]:
    return grouped(links, attrgetter("kind"))


def _gateways(routes: tuple[Route, ...]) -> frozenset[str | None]:
    legs = chain.from_iterable(route.nexthops for route in routes)
    return frozenset(leg.via for leg in legs)


def _by_master(links: tuple[Link, ...]) -> dict[int | None, tuple[Link, ...]]:
    return grouped(links, attrgetter("master"))


def _by_interface(addresses: tuple[InterfaceAddress, ...]) -> dict[int | None, tuple[InterfaceAddress, ...]]:
    return grouped(addresses, attrgetter("index"))


def _by_way_out(routes: tuple[Route, ...]) -> dict[int | None, tuple[Route, ...]]:
    return gathered((index, route) for route in routes for index in dict.fromkeys(route.indexes))


def _by_address(addresses: tuple[InterfaceAddress, ...]) -> dict[str | None, InterfaceAddress]:
    return first(addresses, attrgetter("address"))


def _by_mac(entries: tuple[FdbEntry, ...]) -> dict[str, tuple[FdbEntry, ...]]:
    return grouped(entries, lambda entry: entry.mac)


def _by_group(entries: tuple[MulticastEntry, ...]) -> dict[tuple[int, str | None, int], tuple[int, ...]]:
    return gathered(((each.bridge, each.group, each.vlan), each.port) for each in entries)


def _by_neighbour(entries: tuple[Neighbour, ...]) -> dict[tuple[int, str], tuple[Neighbour, ...]]:
    return grouped(entries, lambda entry: (entry.index, entry.address))
