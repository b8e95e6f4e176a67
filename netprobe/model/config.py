"""What is configured: one namespace's links, addresses, routes and the rest, frozen as read.

No name here is escaped yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from msgspec import Struct, field

from .address import version
from .link import Link, MulticastEntry, Vxlan
from .lookup import first, grouped, indexed
from .place import Blind
from .ruleset import Ruleset, Table


class InterfaceAddress(Struct, frozen=True):
    """An address on an interface.

    `flags` holds ip-address(8)'s words: tentative, dadfailed, deprecated, noprefixroute.
    """

    index: int
    address: str
    prefixlen: int
    broadcast: str | None = None
    peer: str | None = None
    scope: str = "global"
    flags: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """4 or 6."""
        return version(self.address)

    @property
    def written(self) -> str:
        """As ip-address(8) writes it: ADDRESS/LENGTH."""
        return f"{self.address}/{self.prefixlen}"


class Nexthop(Struct, frozen=True):
    """One leg of a route. `flags`: onlink, dead, linkdown, pervasive as ip-route(8) prints them."""

    index: int | None = None
    via: str | None = None
    weight: int = 1
    flags: tuple[str, ...] = ()


class Route(Struct, frozen=True):
    """One FIB entry. `dst` is a prefix ("0.0.0.0/0" for default); `type` unicast, local, blackhole, ... of
    ip-route(8). `by_object`: it refuses because its nexthop object does, and the kernel counts it as unicast.
    """

    dst: str
    type: str = "unicast"
    table: int = 254
    nexthops: tuple[Nexthop, ...] = ()
    source: str | None = None
    metric: int = 0
    protocol: str = "boot"
    scope: str = "global"
    tos: int = 0
    mtu: int | None = None
    mtu_lock: bool = False
    tunnel: str | None = None
    hoplimit: int | None = None
    by_object: bool = False

    @property
    def version(self) -> int:
        """4 or 6."""
        return version(self.dst)

    @property
    def indexes(self) -> list[int | None]:
        """The ifindexes that its legs leave by."""
        return [leg.index for leg in self.nexthops]

    @property
    def gateways(self) -> list[str | None]:
        """The next hops of its legs; None of one that leads straight to a network."""
        return [leg.via for leg in self.nexthops]

    @property
    def is_default(self) -> bool:
        """Whether it is for the whole world."""
        return self.dst.endswith("/0")

    @property
    def target(self) -> str:
        """The destination as ip-route(8) names it."""
        return "default" if self.is_default else self.dst


class PolicyRule(Struct, frozen=True):
    """A routing policy rule of ip-rule(8).

    `action`: lookup, blackhole, unreachable, prohibit, goto or nop.
    """

    priority: int
    version: int
    action: str = "lookup"
    table: int | None = None
    src: str | None = None
    dst: str | None = None
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    mask: int = 0xFFFFFFFF
    uids: tuple[int, int] | None = None
    protocol: int | None = None
    sports: tuple[int, int] | None = None
    dports: tuple[int, int] | None = None
    tos: int = 0
    inverted: bool = False
    goto: int | None = None
    suppress_prefixlen: int | None = None
    l3mdev: bool = False


class Neighbour(Struct, frozen=True):
    """An ARP or ND entry; `state` in ip-neighbour(8)'s words, lower case (reachable, stale, permanent,
    failed, ...).
    """

    index: int
    address: str
    mac: str | None
    state: str
    proxy: bool = False
    router: bool = False


class FdbEntry(Struct, frozen=True):
    """A forwarding entry: frames for `mac` leave by `index`.

    `remote` is a VXLAN destination; `local` the bridge's own.
    """

    index: int
    mac: str
    master: int | None = None
    vlan: int | None = None
    state: str = "reachable"
    local: bool = False
    sticky: bool = False
    remote: str | None = None
    vni: int | None = None

    @property
    def static(self) -> bool:
        """Whether it was made by hand (or by a daemon) rather than learned from a frame."""
        return self.state in ("permanent", "static")


class Socket(Struct, frozen=True):
    """A socket that could take the packet.

    `state` listen, unconnected or established (of UDP: takes packets of `peer` alone).

    `queue` is (used, limit) of a listener's backlog in connections, of another's receive buffer in bytes; a
    limit of 0 is not known. `address` "::" takes IPv4 as well unless `v6only`. `interface` is the ifindex it
    is bound to, 0 for any. `programs` are the BPF programs of its cgroup, each of which sees its packets:
    "cgroup /x.slice ingress NAME id 7". `transparent`: IP_TRANSPARENT, without which TPROXY gives it nothing;
    None where it is not known.
    """

    protocol: str
    address: str
    port: int
    state: str
    uid: int = 0
    interface: int = 0
    queue: tuple[int, int] = (0, 0)
    drops: int = 0
    v6only: bool = False
    peer: tuple[str, int] | None = None
    programs: tuple[str, ...] = ()
    transparent: bool | None = None


class ConntrackEntry(Struct, frozen=True):
    """One tracked connection, both tuples as `Flow`-like text fields; `status` words of
    nf_conntrack_common.h.
    """

    protocol: str
    original: tuple[str, str, int | None, int | None]
    reply: tuple[str, str, int | None, int | None]
    zone: int = 0
    mark: int | None = 0
    status: tuple[str, ...] = ()
    state: str | None = None
    timeout_s: int | None = None


class XfrmPolicy(Struct, frozen=True):
    """An IPsec policy: `direction` in, out or fwd; `action` allow or block; `templates` as text, empty for
    none.

    `keyed`: every required template has a state (SA) that fits it; None when there is no template, or it was
    not looked at.
    """

    direction: str
    src: str
    dst: str
    action: str
    templates: tuple[str, ...] = ()
    text: str = ""
    priority: int = 0
    keyed: bool | None = None


class RouteQuery(Struct, frozen=True):
    """A question to the kernel's FIB (RTM_GETROUTE). `iif` None asks for local output."""

    src: str | None
    dst: str
    iif: int | None = None
    oif: int | None = None
    mark: int = 0
    uid: int | None = None
    protocol: int | None = None
    sport: int | None = None
    dport: int | None = None


class RouteAnswer(Struct, frozen=True):
    """The kernel's answer: a resolved leg, or the errno it refused with (`error` is a name such as
    ENETUNREACH).

    `mtu` is the route's own or, before it, what the kernel has learned of the path to this destination.
    """

    error: str | None = None
    type: str = "unicast"
    table: int | None = None
    index: int | None = None
    via: str | None = None
    source: str | None = None
    mtu: int | None = None
    prefix: str | None = None
    mtu_lock: bool = False


class FdbQuery(Struct, frozen=True):
    """A question to the forwarding table of a bridge (RTM_GETNEIGH): which entries have a MAC address, in a
    VLAN and in none? `vlan` None asks for the latter alone.
    """

    bridge: int
    mac: str
    vlan: int | None = None


class Namespace(Struct, frozen=True):
    """Everything read of one network namespace, and what of it could not be read (`blind`).

    `cgroup_programs` are the BPF programs of netprobe's own cgroup, which see what a probe sends; a socket
    has its own. `unread` are the parts (fields, and `qdiscs` of the links) that the kernel would not give us,
    each with the reason: what such a field holds means nothing, least of all "none". `routed`: the routes are
    too many to be read; those are here that the kernel makes, that refuse, defaults, and those for these
    queries. `forwarded`: the forwarding entries are too many to be read; those are here that VXLAN devices
    keep, and the bridges' for these queries. `enter` are the words before a command that run it in here, from
    the shell that netprobe was started from; None: not known.
    """

    name: str
    inode: int = 0
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

    def link(self, index: int | None) -> Link | None:
        """The interface with this ifindex, or None."""
        return indexed(_by_index, self.links).get(index)

    def link_of(self, leg: Nexthop | InterfaceAddress | None) -> Link | None:
        """The interface that a next hop leaves by or that an address is on, or None."""
        return self.link(leg.index) if leg is not None else None

    def link_named(self, name: str) -> Link | None:
        """The interface with this name, or None."""
        return indexed(_by_name, self.links).get(name)

    def links_of(self, kind: str) -> tuple[Link, ...]:
        """The interfaces of one kind, in ifindex order."""
        return indexed(_by_kind, self.links).get(kind, ())

    def ports(self, bridge: Link) -> tuple[Link, ...]:
        """The interfaces enslaved to `bridge`, in ifindex order."""
        return indexed(_by_master, self.links).get(bridge.index, ())

    def entries_of(self, mac: str) -> tuple[FdbEntry, ...]:
        """The forwarding entries of all bridges and devices for a MAC address."""
        return indexed(_by_mac, self.fdb).get(mac, ())

    def entries_for(self, link: Link, address: str) -> tuple[Neighbour, ...]:
        """The neighbour entries for an address on an interface, a proxy entry among them."""
        return indexed(_by_neighbour, self.neighbours).get((link.index, address), ())

    def addresses_of(self, link: Link, version: int | None = None) -> tuple[InterfaceAddress, ...]:
        """The addresses configured on `link`, of one IP version where it is given."""
        found = indexed(_by_interface, self.addresses).get(link.index, ())
        if version is None:
            return found
        return tuple(each for each in found if each.version == version)

    def waiting(self, protocol: str) -> tuple[Socket, ...]:
        """The sockets of a protocol that take what comes from anybody; none where they were not read."""
        wanted = ((protocol, "listen"), (protocol, "unconnected"))
        return tuple(each for each in self.sockets or () if (each.protocol, each.state) in wanted)

    def listeners(self, bridge: Link, group: str, vlan: int = 0) -> frozenset[int]:
        """The ports of `bridge` behind which somebody listens to a group, or a router to all of them; the
        bridge itself among them where the host does.
        """
        wanted = ((bridge.index, None, 0), (bridge.index, group, vlan))
        return frozenset(e.port for e in self.groups if (e.bridge, e.group, e.vlan) in wanted)

    def address(self, address: str) -> InterfaceAddress | None:
        """The address as it is configured, on whichever interface, or None."""
        return indexed(_by_address, self.addresses).get(address)

    def has_on(self, link: Link, address: str) -> bool:
        """Whether `link` carries `address`."""
        return any(each.address == address for each in self.addresses_of(link))

    def owner_of(self, address: str) -> Link | None:
        """The interface that carries `address`, or None."""
        return self.link_of(self.address(address))

    @property
    def gateways(self) -> frozenset[str | None]:
        """The next hops of all routes; None among them where one leads straight to a network."""
        return indexed(_gateways, self.routes)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of its rules, as far as they were read."""
        return self.ruleset.tables if self.ruleset is not None else ()

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
        return tuple(link for link in self.links if link.kind != "loopback" and link.master is None)

    @property
    def vxlans(self) -> tuple[tuple[Link, Vxlan], ...]:
        """The VXLAN devices, with what they are set to."""
        return tuple((link, link.vxlan) for link in self.links if link.vxlan is not None)


# How the tables of a namespace are looked up.


def _by_index(links: tuple[Link, ...]) -> dict[int | None, Link]:
    return first(links, lambda link: link.index)


def _by_name(links: tuple[Link, ...]) -> dict[str, Link]:
    return first(links, lambda link: link.name)


def _by_kind(links: tuple[Link, ...]) -> dict[str, tuple[Link, ...]]:
    return grouped(links, lambda link: link.kind)


def _gateways(routes: tuple[Route, ...]) -> frozenset[str | None]:
    legs = chain.from_iterable(route.nexthops for route in routes)
    return frozenset(leg.via for leg in legs)


def _by_master(links: tuple[Link, ...]) -> dict[int | None, tuple[Link, ...]]:
    return grouped(links, lambda link: link.master)


def _by_interface(addresses: tuple[InterfaceAddress, ...]) -> dict[int, tuple[InterfaceAddress, ...]]:
    return grouped(addresses, lambda address: address.index)


def _by_address(addresses: tuple[InterfaceAddress, ...]) -> dict[str, InterfaceAddress]:
    return first(addresses, lambda address: address.address)


def _by_mac(entries: tuple[FdbEntry, ...]) -> dict[str, tuple[FdbEntry, ...]]:
    return grouped(entries, lambda entry: entry.mac)


def _by_neighbour(entries: tuple[Neighbour, ...]) -> dict[tuple[int, str], tuple[Neighbour, ...]]:
    return grouped(entries, lambda entry: (entry.index, entry.address))
