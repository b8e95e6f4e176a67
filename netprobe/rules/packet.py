"""A packet as the rules see it, and what they may ask of the place where they stand."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import ConntrackEntry, Flow, Link, Moment, Protocol


class Fragment(Struct, frozen=True, gc=False):
    """A piece of an IP packet: where it begins (bytes), whether more follow, and the length of the whole
    packet.
    """

    offset: int
    more: bool
    whole: int | None = None


class HookPacket(Struct, frozen=True, gc=False):
    """A packet at a hook: its headers, where it comes from and goes to, and what only the kernel knows of it.

    `iif`, `oif` are the interfaces of the hook (bridge family: the ports; then `bridge` is their master);
    `in_port`, `out_port` the bridge ports when br_netfilter hands a bridged frame to the IP hooks. `uid` and
    `gid` are those of the sending socket, None for a packet that has none here. `tcp_flags` in nft's words.
    `state` is conntrack's (new, established, related, invalid, untracked), None before connection tracking
    has seen the packet; `reply` its direction; `connection` its entry, with the ICMP id in the place of a
    source port. `pkttype` unicast, broadcast, multicast or other. `tos` is the whole byte of IPv4's TOS or
    IPv6's traffic class: DSCP and ECN (RFC 2474, 3168). `clamped`: a rule has set its TCP MSS; `mss` is its
    sender's, None the usual one. `proxy`: TPROXY has given it to the socket at this address and port (None:
    the interface's own address, the packet's port). `answer`: the MAC with which a rule has answered the
    question that it is (ARP). `zone` is the conntrack zone, `reply_zone` that of the other direction where a
    rule has parted them.
    """

    flow: Flow
    iif: Link | None = None
    oif: Link | None = None
    in_port: Link | None = None
    out_port: Link | None = None
    bridge: Link | None = None
    fragment: Fragment | None = None
    df: bool | None = None
    mark: int | None = 0
    uid: int | None = None
    gid: int | None = None
    tcp_flags: tuple[str, ...] | None = None
    state: str | None = None
    reply: bool = False
    connection: ConntrackEntry | None = None
    zone: int = 0
    reply_zone: int | None = None
    pkttype: str = "unicast"
    tos: int | None = 0
    clamped: bool = False
    vlan: int | None = None
    ipsec: bool = False
    proxy: tuple[str | None, int | None] | None = None
    mss: int | None = None
    answer: str | None = None

    @property
    def zone_of_replies(self) -> int:
        """The zone in which an entry must have this packet as its reply direction."""
        return self.zone if self.reply_zone is None else self.reply_zone

    @property
    def ethertype(self) -> str:
        """The network protocol in nft's words: ip, ip6 or arp."""
        if self.flow.protocol is Protocol.ARP:
            return "arp"
        return "ip6" if self.flow.version == 6 else "ip"

    def with_flow(self, **changes: object) -> HookPacket:
        """This packet with some of its headers rewritten."""
        return replace(self, flow=replace(self.flow, **changes))


class FibQuery(Struct, frozen=True, gc=False):
    """A lookup that a rule makes (nft `fib`, xt_rpfilter): a route to `destination`, from `source`; `device`
    is what the answer is compared with, and restricts that to a link-local address alone (RT6_LOOKUP_F_IFACE
    in ip6t_rpfilter.c and nft_fib_ipv6.c).
    """

    destination: str
    source: str | None = None
    mark: int = 0
    device: str | None = None


class FibAnswer(Struct, frozen=True, gc=False):
    """What the routing tables say: the type of the route found ("unreachable" for none), and all devices its
    legs use.
    """

    type: str
    devices: tuple[str, ...] = ()


class Listening(Struct, frozen=True, gc=False):
    """A socket that would take a packet: bound to every address or to one, and whether IP_TRANSPARENT is set
    on it, None where that is not known.
    """

    wildcard: bool
    transparent: bool | None


def _not_known(packet: HookPacket) -> None:
    """Of a packet nothing is known."""


class Surroundings(Struct, frozen=True):
    """What rules may ask of their namespace, as functions; an absent one makes the rules that need it
    undetermined.

    `address_type` (address, interface or None for any) -> unicast, local, broadcast, multicast, blackhole,
    ... `fib` (query) -> the route. `own_address` ("masquerade" or "redirect", interface, the other
    end) -> the address that it takes. `track` (packet) -> the packet with state, direction and connection, as
    conntrack finds it; without it a packet whose `state` is None is new. `proxied` (packet with `proxy`) ->
    whether there is a socket that TPROXY may give it to, None where that is not known. `listening` (packet)
    -> the socket that the kernel would give it to, those among which it draws lots, or none; None as before.
    `moment` is now.
    """

    address_type: Callable[[str, str | None], str | None] | None = None
    fib: Callable[[FibQuery], FibAnswer | None] | None = None
    own_address: Callable[[str, Link, str], str | None] | None = None
    track: Callable[[HookPacket], HookPacket] | None = None
    proxied: Callable[[HookPacket], bool | None] | None = None
    listening: Callable[[HookPacket], tuple[Listening, ...] | None] = _not_known
    moment: Moment | None = None


def known_entry(packet: HookPacket) -> ConntrackEntry:
    """The packet's connection, as it begins with this packet where it has none yet."""
    return packet.connection or first_entry(packet)


def first_entry(packet: HookPacket) -> ConntrackEntry:
    """The conntrack entry that this packet creates, as the first of its connection."""
    return replace(entry_of(packet.flow, packet.zone), reply_zone=packet.reply_zone)


def entry_of(flow: Flow, zone: int = 0) -> ConntrackEntry:
    """The conntrack entry that a first packet creates: the original tuple, and its mirror image as the reply
    expected.
    """
    sport = flow.icmp_id if flow.sport is None else flow.sport
    original = (flow.src, flow.dst, sport, flow.dport)
    answer = (flow.dst, flow.src, flow.dport, sport)
    return ConntrackEntry(flow.protocol.value, original, answer, zone=zone)


def whole(packet: HookPacket) -> HookPacket:
    """The packet put together again from its fragments, as connection tracking sees it (nf_defrag, priority
    -400).
    """
    if packet.fragment is None:
        return packet
    return replace(packet.with_flow(length=packet.fragment.whole), fragment=None, df=False)
