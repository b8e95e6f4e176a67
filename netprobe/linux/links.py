"""Interfaces and their addresses, from rtnetlink: RTM_GETLINK and RTM_GETADDR.

Numbers are those of include/uapi/linux/{if_link,if_addr,if_bridge}.h; words are ip(8)'s.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from netprobe.model import Bridge, BridgePort, InterfaceAddress, Link, LinkRef, Vxlan

from .netlink import Netlink, address, attribute, attributes, number, signed, text
from .sysctl import of_interface

RTM_GETLINK, RTM_GETADDR = 18, 22

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_STATS64, IFLA_AF_SPEC, IFLA_EXT_MASK, IFLA_LINK_NETNSID, IFLA_XDP = 18, 23, 26, 29, 37, 43
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5

IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING = 1, 5, 7
IFLA_BR_MCAST_SNOOPING, IFLA_BR_MCAST_QUERIER = 23, 25
IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES, IFLA_BR_NF_CALL_ARPTABLES = 36, 37, 38

IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_GUARD, IFLA_BRPORT_LEARNING = 1, 4, 5, 8
IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_PROXYARP, IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_BCAST_FLOOD = 9, 10, 27, 30
IFLA_BRPORT_NEIGH_SUPPRESS, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LOCKED = 32, 33, 39
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")

IFLA_VXLAN_ID, IFLA_VXLAN_GROUP, IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING = 1, 2, 3, 4, 7
IFLA_VXLAN_PORT, IFLA_VXLAN_GROUP6, IFLA_VXLAN_LOCAL6, IFLA_VXLAN_COLLECT_METADATA = 15, 16, 17, 25

IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE, IFLA_VLAN_ID = 1, 1, 1
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}

IFLA_XDP_ATTACHED, IFLA_XDP_PROG_ID = 2, 4
XDP_MODES = {1: "xdp", 2: "xdpgeneric", 3: "xdpoffload", 4: "xdpmulti"}

IFF_UP, IFF_NOARP, IFF_PROMISC, IFF_LOWER_UP = 0x1, 0x80, 0x100, 0x10000
ARPHRD_LOOPBACK = 772
USER_HZ = 100  # the unit of bridge timers in netlink, whatever the kernel's own HZ
RX_DROPPED, TX_DROPPED = 6, 7  # positions in struct rtnl_link_stats64

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_SECONDARY, IFA_F_PERMANENT = 0x01, 0x80
ADDRESS_FLAGS = {
    0x02: "nodad", 0x04: "optimistic", 0x08: "dadfailed", 0x10: "home", 0x20: "deprecated", 0x40: "tentative",
    0x100: "mngtmpaddr", 0x200: "noprefixroute", 0x400: "autojoin", 0x800: "stable-privacy",
}  # fmt: skip
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")


def read_links(netlink: Netlink) -> tuple[tuple[Link, ...], dict[str, str]]:
    """All interfaces in ifindex order, and the per-interface IP sysctls that the same messages carry."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, struct.pack("=I", 0))
    links = []
    sysctls: dict[str, str] = {}
    for _, payload in netlink.dump(RTM_GETLINK, body):
        link = link_of(payload)
        links.append(link)
        sysctls |= of_interface(link.name, attributes(attributes(payload, _IFINFO.size).get(IFLA_AF_SPEC, b"")))
    return tuple(sorted(links, key=lambda link: link.index)), sysctls


def link_of(payload: bytes) -> Link:
    """One interface from the payload of an RTM_NEWLINK message."""
    _, arphrd, index, flags, _ = _IFINFO.unpack_from(payload)
    fields = attributes(payload, _IFINFO.size)
    info = attributes(fields.get(IFLA_LINKINFO, b""))
    kind = text(info.get(IFLA_INFO_KIND)) or ("loopback" if arphrd == ARPHRD_LOOPBACK else "")
    data = attributes(info.get(IFLA_INFO_DATA, b""))
    vxlan = _vxlan(data) if kind == "vxlan" else None
    dropped = fields.get(IFLA_STATS64, bytes(8 * 8))
    return Link(
        index=index,
        name=text(fields.get(IFLA_IFNAME)),
        kind=kind,
        mac=_mac(fields.get(IFLA_ADDRESS, b"")),
        mtu=number(fields.get(IFLA_MTU)),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        arp=not flags & IFF_NOARP,
        promiscuous=bool(flags & IFF_PROMISC),
        master=number(fields.get(IFLA_MASTER)) or None,
        link=_lower(fields, vxlan),
        port=_port(info),
        bridge=_bridge(data) if kind == "bridge" else None,
        vxlan=vxlan,
        macvlan_mode=_mode(kind, data),
        vlan_id=number(data.get(IFLA_VLAN_ID)) if kind == "vlan" else None,
        xdp=_xdp(attributes(fields.get(IFLA_XDP, b""))),
        rx_dropped=number(dropped[RX_DROPPED * 8 : RX_DROPPED * 8 + 8]),
        tx_dropped=number(dropped[TX_DROPPED * 8 : TX_DROPPED * 8 + 8]),
    )


def _mac(value: bytes) -> str:
    return address(value) if len(value) in (4, 16) else value.hex(":")  # a tunnel's link-layer address is an IP address


def _lower(fields: Mapping[int, bytes], vxlan: Vxlan | None) -> LinkRef | None:
    """The other end or the lower device. Of a VXLAN device without one that was moved here, IFLA_LINK is its own index."""
    index, nsid = number(fields.get(IFLA_LINK)), fields.get(IFLA_LINK_NETNSID)
    if not index and nsid is None:
        return None
    return LinkRef(vxlan.lower if vxlan else index, None if nsid is None else signed(nsid))


def _port(info: Mapping[int, bytes]) -> BridgePort | None:
    if text(info.get(IFLA_INFO_SLAVE_KIND)) != "bridge":
        return None
    data = attributes(info.get(IFLA_INFO_SLAVE_DATA, b""))

    def is_on(kind: int, default: bool = False) -> bool:
        return bool(number(data.get(kind), int(default)))

    return BridgePort(
        state=PORT_STATES[min(number(data.get(IFLA_BRPORT_STATE)), 4)],
        learning=is_on(IFLA_BRPORT_LEARNING, True),
        unicast_flood=is_on(IFLA_BRPORT_UNICAST_FLOOD, True),
        multicast_flood=is_on(IFLA_BRPORT_MCAST_FLOOD, True),
        broadcast_flood=is_on(IFLA_BRPORT_BCAST_FLOOD, True),
        isolated=is_on(IFLA_BRPORT_ISOLATED),
        hairpin=is_on(IFLA_BRPORT_MODE),
        guard=is_on(IFLA_BRPORT_GUARD),
        locked=is_on(IFLA_BRPORT_LOCKED),
        neigh_suppress=is_on(IFLA_BRPORT_NEIGH_SUPPRESS),
        proxy_arp=is_on(IFLA_BRPORT_PROXYARP),
    )


def _bridge(data: Mapping[int, bytes]) -> Bridge:
    return Bridge(
        stp=bool(number(data.get(IFLA_BR_STP_STATE))),
        vlan_filtering=bool(number(data.get(IFLA_BR_VLAN_FILTERING))),
        multicast_snooping=bool(number(data.get(IFLA_BR_MCAST_SNOOPING))),
        multicast_querier=bool(number(data.get(IFLA_BR_MCAST_QUERIER))),
        forward_delay=number(data.get(IFLA_BR_FORWARD_DELAY)) // USER_HZ,
        nf_call_iptables=bool(number(data.get(IFLA_BR_NF_CALL_IPTABLES))),
        nf_call_ip6tables=bool(number(data.get(IFLA_BR_NF_CALL_IP6TABLES))),
        nf_call_arptables=bool(number(data.get(IFLA_BR_NF_CALL_ARPTABLES))),
    )


def _vxlan(data: Mapping[int, bytes]) -> Vxlan:
    local = data.get(IFLA_VXLAN_LOCAL) or data.get(IFLA_VXLAN_LOCAL6)
    remote = data.get(IFLA_VXLAN_GROUP) or data.get(IFLA_VXLAN_GROUP6)
    return Vxlan(
        vni=number(data.get(IFLA_VXLAN_ID)),
        local=address(local) if local else None,
        remote=address(remote) if remote else None,
        port=int.from_bytes(data.get(IFLA_VXLAN_PORT, b""), "big"),
        lower=number(data.get(IFLA_VXLAN_LINK)),
        learning=bool(number(data.get(IFLA_VXLAN_LEARNING))),
        collect_metadata=bool(number(data.get(IFLA_VXLAN_COLLECT_METADATA))),
    )


def _mode(kind: str, data: Mapping[int, bytes]) -> str | None:
    if kind in ("macvlan", "macvtap"):
        return MACVLAN_MODES.get(number(data.get(IFLA_MACVLAN_MODE)))
    if kind in ("ipvlan", "ipvtap"):
        return IPVLAN_MODES.get(number(data.get(IFLA_IPVLAN_MODE)))
    return None


def _xdp(data: Mapping[int, bytes]) -> str | None:
    mode = number(data.get(IFLA_XDP_ATTACHED))
    if not mode:
        return None
    return f"{XDP_MODES.get(mode, 'xdp')} id {number(data.get(IFLA_XDP_PROG_ID))}"


def read_addresses(netlink: Netlink) -> tuple[InterfaceAddress, ...]:
    """All IPv4 and IPv6 addresses, in the kernel's order (the first of an interface is its primary one)."""
    dumped = netlink.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0))
    return tuple(address_of(payload) for _, payload in dumped if len(payload) >= _IFADDR.size)


def address_of(payload: bytes) -> InterfaceAddress:
    """One address from the payload of an RTM_NEWADDR message."""
    family, prefixlen, short_flags, scope, index = _IFADDR.unpack_from(payload)
    fields = attributes(payload, _IFADDR.size)
    remote = fields.get(IFA_ADDRESS, b"")
    own = fields.get(IFA_LOCAL, remote)
    broadcast = fields.get(IFA_BROADCAST)
    return InterfaceAddress(
        index=index,
        address=address(own),
        prefixlen=prefixlen,
        broadcast=address(broadcast) if broadcast else None,
        peer=address(remote) if remote != own else None,
        scope=SCOPES.get(scope, str(scope)),
        flags=_address_flags(family, number(fields.get(IFA_FLAGS), short_flags)),
    )


def _address_flags(family: int, flags: int) -> tuple[str, ...]:
    words = [word for bit, word in ADDRESS_FLAGS.items() if flags & bit]
    if flags & IFA_F_SECONDARY:
        words.insert(0, "secondary" if family == 2 else "temporary")
    if not flags & IFA_F_PERMANENT:
        words.insert(0, "dynamic")
    return tuple(words)
