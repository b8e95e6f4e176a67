"""What bridges know besides their forwarding entries: the VLANs of their ports, who listens to which group.

Numbers are those of include/uapi/linux/{rtnetlink,if_bridge}.h; words are bridge(8)'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from msgspec.structs import replace

from netprobe.linux.netlink import Netlink, Record, Request
from netprobe.model import Link, MulticastEntry, PortVlan

RTM_GETLINK, RTM_GETMDB = 18, 86
AF_BRIDGE = 7
RTEXT_FILTER_BRVLAN = 2
VLAN_PVID, VLAN_UNTAGGED = 2, 4  # BRIDGE_VLAN_INFO_*


def with_vlans(netlink: Netlink, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The interfaces with the VLANs of bridges that filter them, and of their ports. Raises OSError."""
    filtering = {link.index for link in links if link.bridge is not None and link.bridge.vlan_filtering}
    if not filtering:
        return links
    asked = Request(RTM_GETLINK, {"family": AF_BRIDGE}, [("IFLA_EXT_MASK", RTEXT_FILTER_BRVLAN)])
    found = {record["index"]: vlans_of(record) for record in netlink.dump(asked)}
    return tuple(_with(link, found.get(link.index, ()), filtering) for link in links)


def _with(link: Link, vlans: tuple[PortVlan, ...], filtering: set[int]) -> Link:
    if link.index in filtering and link.bridge is not None:
        return replace(link, bridge=replace(link.bridge, vlans=vlans))
    if link.master in filtering and link.port is not None:
        return replace(link, port=replace(link.port, vlans=vlans))
    return link


def vlans_of(record: Record) -> tuple[PortVlan, ...]:
    """The VLANs of a port or of a bridge itself, from an RTM_NEWLINK message of family AF_BRIDGE."""
    return tuple(
        PortVlan(each["vid"], bool(each["flags"] & VLAN_PVID), bool(each["flags"] & VLAN_UNTAGGED))
        for each in record.nest("IFLA_AF_SPEC").nested()
    )


def read_groups(netlink: Netlink, links: Sequence[Link]) -> tuple[MulticastEntry, ...]:
    """Who listens to which group, as bridges have heard that snoop multicast. Raises OSError."""
    if not any(link.bridge is not None and link.bridge.multicast_snooping for link in links):
        return ()
    dumped = netlink.dump(Request(RTM_GETMDB, {"family": AF_BRIDGE}))
    return tuple(each for record in dumped for each in groups_of(record))


def groups_of(record: Record) -> tuple[MulticastEntry, ...]:
    """The entries of one bridge, from an RTM_NEWMDB message; a port with a router is one without a group."""
    bridge = record["ifindex"]
    infos = [info for entry in record.nest("MDBA_MDB").nested() for info in entry.nested()]
    members = [MulticastEntry(bridge, info["ifindex"], _group(info), info["vid"]) for info in infos]
    routers = [MulticastEntry(bridge, each["ifindex"]) for each in record.nest("MDBA_ROUTER").nested()]
    return (*members, *routers)


def _group(info: Record) -> str:
    """The group of a struct br_mdb_entry: an address, or a MAC where it is of neither IP version."""
    address: bytes = info["address"]
    match info["proto"]:
        case 0x0800:  # ETH_P_IP
            return str(IPv4Address(address[:4]))
        case 0x86DD:  # ETH_P_IPV6
            return str(IPv6Address(address))
    return address[:6].hex(":")
