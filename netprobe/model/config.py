"""What is configured in a namespace besides its interfaces: addresses, routes, policy rules and the rest.

No name here is escaped yet.
"""

from __future__ import annotations

from itertools import chain
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from .address import version


class InterfaceAddress(Struct, frozen=True, gc=False):
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


class Nexthop(Struct, frozen=True, gc=False):
    """One leg of a route. `flags`: onlink, dead, linkdown, pervasive as ip-route(8) prints them."""

    index: int | None = None
    via: str | None = None
    flags: tuple[str, ...] = ()


class Route(Struct, frozen=True, gc=False):
    """One FIB entry. `dst` is a prefix ("0.0.0.0/0" for default); `type` unicast, local, blackhole, ... of
    ip-route(8). `nhid` is the nexthop object that it goes by, if any (ip-nexthop(8)); `by_object`: it refuses
    because that does, and the kernel counts it as unicast.
    `origin`: of IPv6, the prefix that a packet must come from to take it ("from"); None: any.
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
    advmss: int | None = None
    by_object: bool = False
    nhid: int | None = None
    origin: str | None = None

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
    def is_written(self) -> bool:
        """Whether somebody wrote it, and not for the whole world."""
        return self.protocol != "kernel" and not self.is_default

    @property
    def is_to_a_network(self) -> bool:
        """Whether it leads somewhere, and not to the whole world."""
        return self.type == "unicast" and not self.is_default

    @property
    def target(self) -> str:
        """The destination as ip-route(8) names it."""
        return "default" if self.is_default else self.dst


def is_particular(route: Route | None) -> TypeGuard[Route]:
    """Whether there is a route, and no mere default: somebody knows of the destination."""
    return route is not None and not route.is_default


class PolicyRule(Struct, frozen=True, gc=False):
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

    @property
    def is_for_all(self) -> bool:
        """Whether it selects every packet, and takes every route of its table: as the kernel's own do."""
        return self == PolicyRule(self.priority, self.version, self.action, self.table, mask=self.mask)

    @property
    def asks(self) -> tuple[bool, ...]:
        """What it asks for, whatever the values."""
        said = (self.mark, self.src, self.dst, self.iif, self.oif, self.inverted)
        fewer = (self.protocol, self.sports, self.dports, self.uids, self.tos)
        return (*map(bool, (*said, *fewer)), self.suppress_prefixlen is not None)

    @property
    def asked(self) -> PolicyRule:
        """Whom it selects, wherever it leads: the same in all rules of which one makes the others idle."""
        return replace(self, priority=0, table=None)


class Neighbour(Struct, frozen=True, gc=False):
    """An ARP or ND entry; `state` in ip-neighbour(8)'s words, lower case (reachable, stale, permanent,
    failed, ...).
    """

    index: int
    address: str
    mac: str | None
    state: str
    proxy: bool = False
    router: bool = False

    @property
    def version(self) -> int:
        """4 or 6."""
        return version(self.address)


class FdbEntry(Struct, frozen=True, gc=False):
    """A forwarding entry: frames for `mac` leave by `index`.

    `remote` is a VXLAN destination, `via` the interface by which alone it is sought, where the entry is bound
    to one; `vni` and `port` where they are others than the device's; `local` the bridge's own.
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
    via: int | None = None
    port: int | None = None

    @property
    def end(self) -> str:
        """The VXLAN destination; "" where it has none."""
        return self.remote or ""

    @property
    def static(self) -> bool:
        """Whether it was made by hand (or by a daemon) rather than learned from a frame."""
        return self.state in ("permanent", "static")


class Socket(Struct, frozen=True, gc=False):
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
    v6only: bool = False
    peer: tuple[str, int] | None = None
    programs: tuple[str, ...] = ()
    transparent: bool | None = None


class ConntrackEntry(Struct, frozen=True, gc=False):
    """One tracked connection, both tuples as `Flow`-like text fields; `status` words of
    nf_conntrack_common.h. `zone` is that of the original direction, and of the other one as well unless
    `reply_zone` says otherwise.
    """

    protocol: str
    original: tuple[str, str, int | None, int | None]
    reply: tuple[str, str, int | None, int | None]
    zone: int = 0
    mark: int | None = 0
    status: tuple[str, ...] = ()
    state: str | None = None
    reply_zone: int | None = None

    @property
    def zone_of_replies(self) -> int:
        """The zone in which the reply direction is looked for."""
        return self.zone if self.reply_zone is None else self.reply_zone


class XfrmPolicy(Struct, frozen=True, gc=False):
    """An IPsec policy: `direction` in, out or fwd; `action` allow or block; `templates` as text, empty for
    none.

    `keyed`: every required template has a state (SA) that fits it; None when there is no template, or it was
    not looked at. `protocol`, `sport` and `dport` are what else it selects by, a port with its mask; of ICMP
    the ports are type and code. `default`: what holds where no other selects a packet (`setdefault`).
    """

    direction: str
    src: str
    dst: str
    action: str
    templates: tuple[str, ...] = ()
    text: str = ""
    priority: int = 0
    keyed: bool | None = None
    protocol: int | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    default: bool = False

    @property
    def selector(self) -> tuple[str, ...]:
        """The words by which ip-xfrm(8) knows it, but for its direction."""
        names = ("type", "code") if self.protocol in _OF_ICMP else ("sport", "dport")
        ports = zip(names, (self.sport, self.dport), strict=True)
        said = (
            ("proto", str(self.protocol)) if self.protocol else (),
            *((name, str(port[0])) for name, port in ports if port),
        )
        return ("src", self.src, "dst", self.dst, *chain.from_iterable(said))


_OF_ICMP = (1, 58)


class RouteQuery(Struct, frozen=True, gc=False):
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

    @property
    def is_answered(self) -> bool:
        """Whether the kernel takes the protocol: TCP, UDP, ICMP or any (rtm_getroute_parse_ip_proto)."""
        return self.protocol in (None, 1, 6, 17, 58)


class RouteAnswer(Struct, frozen=True, gc=False):
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


class FdbQuery(Struct, frozen=True, gc=False):
    """A question to the forwarding table of a bridge (RTM_GETNEIGH): which entries have a MAC address, in a
    VLAN and in none? `vlan` None asks for the latter alone.
    """

    bridge: int
    mac: str
    vlan: int | None = None
