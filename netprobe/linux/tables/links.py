"""Interfaces and their addresses, from rtnetlink: RTM_GETLINK and RTM_GETADDR.

Numbers are those of include/uapi/linux/{if_link,if_addr,if_bridge}.h; words are ip(8)'s.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from struct import Struct

from msgspec.structs import replace

from netprobe.kernel.elsewhere import current
from netprobe.linux.alike import AlikeMessages
from netprobe.linux.attribute_values import prefix_length
from netprobe.linux.netlink import ROUTE, Netlink, Record, Request, address, attributes, decoded, text
from netprobe.linux.record import Chosen
from netprobe.linux.same import of_the_same
from netprobe.model import Bridge, BridgePort, InterfaceAddress, Link, LinkRef, Vxlan

from .programs import xdp_answers
from .sysctl import of_interface

RTM_NEWLINK, RTM_GETLINK, RTM_GETADDR = 16, 18, 22

PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}
XDP_MODES = {1: "xdp", 2: "xdpgeneric", 3: "xdpoffload", 4: "xdpmulti"}  # as ip(8) calls them

IFF_UP, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x80, 0x10000
ARPHRD_LOOPBACK = 772
_IFADDR = Struct("=BBBBI")  # struct ifaddrmsg
_IFINFO = Struct("=2xHiI4x")  # struct ifinfomsg
_INDEX, _NSID, _COUNT = Struct("=I"), Struct("=i"), Struct("=I")
IFLA_INFO_SLAVE_DATA = 5
_OF_A_BRIDGE = b"\x04\x00bridge"  # IFLA_INFO_SLAVE_KIND
# of IFLA_*: ADDRESS, IFNAME, LINK, LINK_NETNSID, CARRIER_DOWN_COUNT, LINKINFO, AF_SPEC; what else a Link is
# made of, which are MTU, MASTER, PROTO_DOWN, XDP
_OF_A_LINK = Chosen(_IFINFO.size, 1, 3, 5, 37, 48, 18, 26, 4, 10, 39, 43)
_OF_A_PORT = Chosen(0, 1, 4, 5, 8, 9, 10, 27, 30, 32, 33, 39)  # of IFLA_BRPORT_*, what one is made of
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 4, 6, 8

IFA_F_SECONDARY, IFA_F_PERMANENT = 0x01, 0x80
ADDRESS_FLAGS = {
    0x02: "nodad", 0x04: "optimistic", 0x08: "dadfailed", 0x10: "home", 0x20: "deprecated", 0x40: "tentative",
    0x100: "mngtmpaddr", 0x200: "noprefixroute", 0x400: "autojoin", 0x800: "stable-privacy",
}  # fmt: skip
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}


RTEXT_FILTER_SKIP_STATS = 0x8
ALWAYS_A_ROUTER = 2  # MDB_RTR_TYPE_PERM


def read_links(netlink: Netlink) -> tuple[tuple[Link, ...], dict[str, Mapping[str, str]]]:
    """All interfaces in ifindex order, and the tables of their IP sysctls, which the same messages carry."""
    return of_the_same(_with_tables, _dumped(netlink), lasts=lambda found: _is_in_the_messages(found[0]))


def list_links(netlink: Netlink) -> tuple[Link, ...]:
    """All interfaces in ifindex order, without what they have counted."""
    return tuple(link for link, _ in _read(_dumped(netlink)))


def _dumped(netlink: Netlink) -> list[bytes]:
    return netlink.bodies(Request(RTM_GETLINK, attributes=[("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]))


def _with_tables(bodies: Sequence[bytes]) -> tuple[tuple[Link, ...], dict[str, Mapping[str, str]]]:
    found = _read(bodies)
    tables = (of_interface(link.name, af_spec, link.mtu) for link, af_spec in found)
    return tuple(link for link, _ in found), dict(chain.from_iterable(tables))


def _read(bodies: Sequence[bytes]) -> list[tuple[Link, bytes]]:
    """All interfaces in ifindex order, each with its IFLA_AF_SPEC."""
    read = _of_all.read
    parts = (read(body, partial(decoded, ROUTE, RTM_NEWLINK, body)) for body in bodies)
    found = sorted(parts, key=lambda found: found[0].index)
    if not _is_in_the_messages([link for link, _ in found]):
        _of_all.forget()
    return found


def _is_in_the_messages(links: Sequence[Link]) -> bool:
    """Whether nothing else was asked for; what programs answer is."""
    return not any(link.xdp for link in links)


class Alike:
    """Interfaces of which most are like another, in this namespace or the next: those that differ in nothing
    but what each has for its own are decoded once.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Link] = {}

    def forget(self) -> None:
        """What was asked for besides the messages may be otherwise from now on."""
        self._known.clear()

    def read(self, body: bytes, decoded: Callable[[], Record]) -> tuple[Link, bytes]:
        """The interface, and its IFLA_AF_SPEC, of what follows the header of an RTM_NEWLINK message;
        `decoded` is the message as `link_of` wants it.
        """
        mac, name, lower, nsid, downs, info, af_spec, *deciding = _OF_A_LINK.of(body)
        of_kind, index, flags = _IFINFO.unpack_from(body)
        like = (of_kind, flags, _alike(info or b""), *deciding)
        known = self._known.get(like)
        if known is None:
            if len(self._known) >= _MOST_KINDS:
                self._known.clear()
            link = self._known[like] = link_of(decoded())
        else:
            link = replace(
                known,
                index=index,
                name=text((name or b"").rstrip(b"\0")),
                mac=_mac(mac or b""),
                link=_reference(
                    0 if lower is None else _INDEX.unpack(lower)[0],
                    None if nsid is None else _NSID.unpack(nsid)[0],
                    known.vxlan,
                ),
                downs=0 if downs is None else _COUNT.unpack(downs)[0],
            )
        return link, af_spec or b""


_of_all = Alike()
_MOST_KINDS = 1024  # that are known at a time


def _alike(info: bytes) -> object:
    """What two interfaces have the same whose IFLA_LINKINFO says the same of all that is asked for: a
    bridge's ports have each a number besides.
    """
    if _OF_A_BRIDGE not in info:
        return info
    found = attributes(info, 0)
    port = found.pop(IFLA_INFO_SLAVE_DATA, b"")
    return (*found.items(), *_OF_A_PORT.of(port))


def interface_names() -> list[str]:
    """The names of the interfaces of the namespace that this thread is in."""
    if current() is None:
        return [name for _, name in socket.if_nameindex()]
    with Netlink() as netlink:
        return [link.name for link in list_links(netlink)]


def link_of(record: Record) -> Link:
    """One interface from an RTM_NEWLINK message."""
    flags = record["flags"]
    info = record.nest("IFLA_LINKINFO")
    kind = info.text("IFLA_INFO_KIND") or ("loopback" if record["ifi_type"] == ARPHRD_LOOPBACK else "")
    data = info.nest("IFLA_INFO_DATA")
    vxlan = _vxlan(data) if kind == "vxlan" else None
    xdp = record.nest("IFLA_XDP")
    return Link(
        index=record["index"],
        name=record.text("IFLA_IFNAME"),
        kind=kind,
        mac=_mac(record.get("IFLA_ADDRESS", b"")),
        mtu=record.get("IFLA_MTU", 0),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        arp=not flags & IFF_NOARP,
        master=record.get("IFLA_MASTER") or None,
        link=_lower(record, vxlan),
        port=_port(info),
        bridge=_bridge(data) if kind == "bridge" else None,
        vxlan=vxlan,
        macvlan_mode=_mode(kind, data),
        macvlan_sources=_sources(data),
        protodown=bool(record.get("IFLA_PROTO_DOWN")),
        vlan_id=data.get("IFLA_VLAN_ID", 0) if kind == "vlan" else None,
        xdp=_xdp(xdp),
        xdp_answers=_xdp_answers(xdp),
        downs=record.get("IFLA_CARRIER_DOWN_COUNT", 0),
    )


def _mac(value: bytes) -> str:
    # a tunnel's link-layer address is an IP address
    return address(value) if len(value) in (4, 16) else value.hex(":")


def _lower(record: Record, vxlan: Vxlan | None) -> LinkRef | None:
    """The other end or the lower device.

    Of a VXLAN device without one that was moved here, IFLA_LINK is its own index.
    """
    return _reference(record.get("IFLA_LINK", 0), record.get("IFLA_LINK_NETNSID"), vxlan)


def _reference(index: int, nsid: int | None, vxlan: Vxlan | None) -> LinkRef | None:
    if not index and nsid is None:
        return None
    return LinkRef(vxlan.lower if vxlan else index, nsid)


def _port(info: Record) -> BridgePort | None:
    if info.text("IFLA_INFO_SLAVE_KIND") != "bridge":
        return None
    data = info.nest("IFLA_INFO_SLAVE_DATA")

    def is_on(name: str, default: bool = False) -> bool:
        return bool(data.get(f"IFLA_BRPORT_{name}", default))

    return BridgePort(
        state=PORT_STATES[min(data.get("IFLA_BRPORT_STATE", 0), 4)],
        learning=is_on("LEARNING", True),
        unicast_flood=is_on("UNICAST_FLOOD", True),
        multicast_flood=is_on("MCAST_FLOOD", True),
        broadcast_flood=is_on("BCAST_FLOOD", True),
        isolated=is_on("ISOLATED"),
        hairpin=is_on("MODE"),
        guard=is_on("GUARD"),
        locked=is_on("LOCKED"),
        neigh_suppress=is_on("NEIGH_SUPPRESS"),
        proxy_arp=is_on("PROXYARP"),
    )


_TICKS = 100  # a second, for whoever asks the kernel (USER_HZ)


def _bridge(data: Record) -> Bridge:
    return Bridge(
        stp=bool(data.get("IFLA_BR_STP_STATE")),
        vlan_filtering=bool(data.get("IFLA_BR_VLAN_FILTERING")),
        multicast_snooping=bool(data.get("IFLA_BR_MCAST_SNOOPING")),
        multicast_querier=bool(data.get("IFLA_BR_MCAST_QUERIER")),
        multicast_router=data.get("IFLA_BR_MCAST_ROUTER", 1) == ALWAYS_A_ROUTER,
        forward_delay=-(-data.get("IFLA_BR_FORWARD_DELAY", 0) // _TICKS),
        queried="BRIDGE_QUERIER_IPV6_OTHER_TIMER" in data.nest("IFLA_BR_MCAST_QUERIER_STATE"),
        nf_call_iptables=bool(data.get("IFLA_BR_NF_CALL_IPTABLES")),
        nf_call_ip6tables=bool(data.get("IFLA_BR_NF_CALL_IP6TABLES")),
        nf_call_arptables=bool(data.get("IFLA_BR_NF_CALL_ARPTABLES")),
    )


_VXLAN_FLAGS = {  # their words in ip-link(8)
    "proxy": "PROXY", "rsc": "RSC", "l2miss": "L2MISS", "l3miss": "L3MISS",
    "udp6zerocsumtx": "UDP_ZERO_CSUM6_TX", "udp6zerocsumrx": "UDP_ZERO_CSUM6_RX",
}  # fmt: skip


def _vxlan(data: Record) -> Vxlan:
    return Vxlan(
        vni=data.get("IFLA_VXLAN_ID", 0),
        local=data.get("IFLA_VXLAN_LOCAL") or data.get("IFLA_VXLAN_LOCAL6"),
        remote=data.get("IFLA_VXLAN_GROUP") or data.get("IFLA_VXLAN_GROUP6"),
        port=data.get("IFLA_VXLAN_PORT", 0),
        lower=data.get("IFLA_VXLAN_LINK", 0),
        learning=bool(data.get("IFLA_VXLAN_LEARNING")),
        collect_metadata=bool(data.get("IFLA_VXLAN_COLLECT_METADATA")),
        ttl=data.get("IFLA_VXLAN_TTL", 0),
        flags=tuple(word for word, name in _VXLAN_FLAGS.items() if data.get(f"IFLA_VXLAN_{name}")),
    )


def _mode(kind: str, data: Record) -> str | None:
    if kind in ("macvlan", "macvtap"):
        return MACVLAN_MODES.get(data.get("IFLA_MACVLAN_MODE", 0))
    if kind in ("ipvlan", "ipvtap"):
        return IPVLAN_MODES.get(data.get("IFLA_IPVLAN_MODE", 0))
    return None


_MACADDR = 12  # bytes: an attribute with a MAC, and what fills it up to a multiple of four


def _sources(data: Record) -> tuple[str, ...]:
    """The stations that a macvlan of mode source takes frames of (macvlan_fill_info_macaddr)."""
    found: bytes = data.get("IFLA_MACVLAN_MACADDR_DATA", b"")
    return tuple(found[at + 4 : at + 10].hex(":") for at in range(0, len(found), _MACADDR))


def _xdp(found: Record) -> str | None:
    mode = found.get("IFLA_XDP_ATTACHED", 0)
    if not mode:
        return None
    return f"{XDP_MODES.get(mode, 'xdp')} id {found.get('IFLA_XDP_PROG_ID', 0)}"


def _xdp_answers(found: Record) -> tuple[str, ...] | None:
    """What the program can answer, where there is one and this machine's processor runs it."""
    program = found.get("IFLA_XDP_PROG_ID", 0)
    by_processor = XDP_MODES.get(found.get("IFLA_XDP_ATTACHED", 0)) in ("xdp", "xdpgeneric")
    return xdp_answers(program) if program and by_processor else None


def read_addresses(netlink: Netlink) -> tuple[InterfaceAddress, ...]:
    """All IPv4 and IPv6 addresses, in the kernel's order (the first of an interface is its primary one)."""
    return of_the_same(_addresses, netlink.bodies(Request(RTM_GETADDR)))


def _addresses(bodies: Sequence[bytes]) -> tuple[InterfaceAddress, ...]:
    return tuple(map(address_of, bodies))


def address_of(body: bytes) -> InterfaceAddress:
    """One address, from what follows the header of an RTM_NEWADDR message. By hand: a host may have
    thousands.
    """
    (index, length, scope, flags), (remote, own, broadcast, _) = _of_all_addresses.of(body)
    remote = remote or b""
    own = remote if own is None else own
    written = address(own)
    return InterfaceAddress(
        index,
        written,
        prefix_length(written, length),
        address(broadcast) if broadcast is not None else None,
        address(remote) if remote != own else None,
        scope,
        flags,
    )


def _alike_of(body: bytes) -> tuple[int, int, str, tuple[str, ...]]:
    """The ifindex, prefix length, scope and flags of an address, which are mostly the same for those of an
    interface.
    """
    family, length, flags, scope, index = _IFADDR.unpack_from(body)
    more = attributes(body, _IFADDR.size).get(IFA_FLAGS)
    flags = flags if more is None else int.from_bytes(more, sys.byteorder)
    return index, length, SCOPES.get(scope, str(scope)), _address_flags(family, flags)


# the time of IFA_CACHEINFO is not asked for
_of_all_addresses = AlikeMessages(
    _alike_of, _IFADDR.size, IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_CACHEINFO
)


def _address_flags(family: int, flags: int) -> tuple[str, ...]:
    words = [word for bit, word in ADDRESS_FLAGS.items() if flags & bit]
    if flags & IFA_F_SECONDARY:
        words.insert(0, "secondary" if family == 2 else "temporary")
    if not flags & IFA_F_PERMANENT:
        words.insert(0, "dynamic")
    return tuple(words)
