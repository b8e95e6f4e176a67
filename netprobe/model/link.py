"""Interfaces as they are configured: bridges and ports, VXLAN devices, queueing disciplines, tc filters.

No name here is escaped yet.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class LinkRef(Struct, frozen=True, gc=False):
    """An interface named by another: ifindex `index`, in the namespace that the holder knows as `nsid`.

    `nsid` None means the same namespace (rtnetlink's IFLA_LINK without IFLA_LINK_NETNSID). `index` 0 is no
    device but the namespace itself: a VXLAN device that was moved sends its outer packets in the one where it
    was made.
    """

    index: int
    nsid: int | None = None


class PortVlan(Struct, frozen=True, gc=False):
    """A VLAN of a bridge port: frames without a tag are of the one that is `pvid`; `untagged`: its frames
    leave without one.
    """

    id: int
    pvid: bool = False
    untagged: bool = False


class MulticastEntry(Struct, frozen=True, gc=False):
    """Who listens to a group (an address), as bridge `bridge` has heard: behind `port`, which may be the
    bridge itself; without `group` a router for all of them.
    """

    bridge: int
    port: int
    group: str | None = None
    vlan: int = 0


class BridgePort(Struct, frozen=True, gc=False):
    """A port's settings (IFLA_BRPORT_*). `state`: disabled, listening, learning, forwarding or blocking.

    `vlans` None: they do not matter (the bridge filters none), or were not read.
    """

    state: str = "forwarding"
    learning: bool = True
    unicast_flood: bool = True
    multicast_flood: bool = True
    broadcast_flood: bool = True
    isolated: bool = False
    hairpin: bool = False
    guard: bool = False
    locked: bool = False
    neigh_suppress: bool = False
    proxy_arp: bool = False
    vlans: tuple[PortVlan, ...] | None = None


class Bridge(Struct, frozen=True, gc=False):
    """A bridge's own settings (IFLA_BR_*). `vlans` are those of the host's own side, as of a port.

    `queried`: another station asks who listens to which IPv6 groups (MLD). `forward_delay`: how many seconds
    a port listens with STP, and then learns, before it forwards. `emptied`: its FDB has none of the entries
    that the kernel makes for its own MACs (`bridge fdb flush` takes them along).
    """

    stp: bool = False
    vlan_filtering: bool = False
    multicast_snooping: bool = True
    multicast_querier: bool = False
    nf_call_iptables: bool = False
    nf_call_ip6tables: bool = False
    nf_call_arptables: bool = False
    vlans: tuple[PortVlan, ...] | None = None
    multicast_router: bool = False
    queried: bool = False
    forward_delay: int = 0
    emptied: bool = False

    @property
    def chooses(self) -> bool:
        """Whether it gives frames for a group to those alone who listen, as far as its settings tell: while
        nobody asks who does, it floods them (br_multicast_querier_exists).
        """
        return self.multicast_snooping and (self.queried or self.multicast_querier)


class Vxlan(Struct, frozen=True, gc=False):
    """A VXLAN device (IFLA_VXLAN_*).

    `remote` None or a multicast group; `lower` is the underlay ifindex, 0 for none. `ttl` of the outer
    packets: 0 as any packet of the namespace. `flags` are the words of ip-link(8) for what else is switched
    on, such as "proxy" or "udp6zerocsumrx".
    """

    vni: int
    local: str | None = None
    remote: str | None = None
    port: int = 4789
    lower: int = 0
    learning: bool = True
    collect_metadata: bool = False
    ttl: int = 0
    flags: tuple[str, ...] = ()

    @property
    def network(self) -> tuple[int, int]:
        """(number, port): what both ends of a tunnel have alike."""
        return self.vni, self.port

    def by(self, vni: int | None, port: int | None) -> Vxlan:
        """The device as one of its entries sends, which may have a number and a port of its own
        (vxlan_xmit_one).
        """
        return replace(self, vni=vni or self.vni, port=port or self.port)


class Qdisc(Struct, frozen=True, gc=False):
    """A queueing discipline: `parent` as tc prints it ("root", "ingress", "clsact", "1:1")."""

    kind: str
    handle: str
    parent: str
    text: str = ""


class TcFilter(Struct, frozen=True, gc=False):
    """A tc classifier. `direction` is ingress or egress; `target` the ifindex a mirred action redirects to,
    or None. `answers` are all that it can answer for the packets that come by, in tc(8)'s words, without
    touching them: "pass", "drop", "continue" to the next filter ...; () where none comes to it, None where
    that is not known.
    """

    direction: str
    kind: str
    text: str
    action: str | None = None
    target: int | None = None
    answers: tuple[str, ...] | None = None


class Link(Struct, frozen=True, gc=False):
    """One interface. `kind` is rtnetlink's (veth, bridge, macvlan, vxlan, tun, ...), "loopback", or "" for
    hardware.

    `up` is IFF_UP, `carrier` is IFF_LOWER_UP; `protodown`: a program holds it without carrier. `link` is the
    peer of a veth or the lower device of a stacked one. `macvlan_sources` are the MACs from which a macvlan
    of mode source takes frames. `xdp_answers` are all that its XDP program can answer, without touching the
    packet: "pass", "drop" ...; None where that is not known. `downs`: how often it has lost its carrier since
    it was made.
    """

    index: int
    name: str
    kind: str = ""
    mac: str = ""
    mtu: int = 1500
    up: bool = True
    carrier: bool = True
    arp: bool = True
    master: int | None = None
    link: LinkRef | None = None
    port: BridgePort | None = None
    bridge: Bridge | None = None
    vxlan: Vxlan | None = None
    macvlan_mode: str | None = None
    macvlan_sources: tuple[str, ...] = ()
    protodown: bool = False
    vlan_id: int | None = None
    xdp: str | None = None
    xdp_answers: tuple[str, ...] | None = None
    qdiscs: tuple[Qdisc, ...] = ()
    filters: tuple[TcFilter, ...] = ()
    downs: int = 0

    @property
    def key(self) -> str:
        """The name as a sysctl has it: "eth0/5" for eth0.5."""
        return self.name.replace(".", "/")

    @property
    def runs(self) -> bool:
        """Whether it is up and has a carrier (IFF_LOWER_UP)."""
        return self.up and self.carrier

    @property
    def filters_vlans(self) -> bool:
        """Whether it is a bridge that filters VLANs."""
        return self.bridge is not None and self.bridge.vlan_filtering

    @property
    def tunnel(self) -> Vxlan:
        """What a VXLAN device is set to; of any other interface what fits none."""
        return self.vxlan or _NO_TUNNEL

    @property
    def forward_delay(self) -> int:
        """How many seconds a port of a bridge with STP listens, and then learns; 0 of any other interface."""
        return self.bridge.forward_delay if self.bridge is not None and self.bridge.stp else 0

    @property
    def has_stp(self) -> bool:
        """Whether it is a bridge with STP."""
        return self.bridge is not None and self.bridge.stp

    @property
    def port_state(self) -> str:
        """The state of a bridge port; "" of any other interface."""
        return "" if self.port is None else self.port.state

    @property
    def asks(self) -> bool:
        """Whether its neighbours are asked for: not where there are none, or all are known (IFF_NOARP)."""
        return self.arp and self.kind != "loopback"

    @property
    def nsid(self) -> int | None:
        """What its namespace calls the one in which the other end or the lower device is; None where that is
        the same one.
        """
        return self.link.nsid if self.link is not None else None

    @property
    def far_end(self) -> tuple[int, int] | None:
        """(nsid, ifindex) of a veth's other end where that is in another namespace."""
        if self.kind != "veth" or self.link is None or self.link.nsid is None:
            return None
        return self.link.nsid, self.link.index


_NO_TUNNEL = Vxlan(-1, port=0, learning=False)


def kind_of(link: Link | None) -> str:
    """The kind of an interface; "" where there is none."""
    return link.kind if link is not None else ""


def name_of(link: Link | None, unknown: str = "?") -> str:
    """The name of an interface, or what stands for it where there is none."""
    return link.name if link is not None else unknown
