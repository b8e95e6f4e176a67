"""rtnetlink(7): interfaces, addresses, routes, policy rules, neighbours, namespace ids.

Where pyroute2's own class is not taken: of an interface only what is asked for is named (its class, with all
kinds of interfaces, takes 12 ms to import and a millisecond to decode), link-layer addresses of any length
stay bytes (it warns of unusual ones), the sysctls of an interface are arrays as long as this kernel's, and
newer attributes and nexthop objects are declared. Numbers:
include/uapi/linux/{if_link,rtnetlink,neighbour,nexthop}.h.
"""

from __future__ import annotations

from typing import Any

from pyroute2.netlink import nla, nlmsg
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg_base

from .structs import StructArray
from .traffic import FilterMessage, QdiscMessage

AF_BRIDGE = 7


class Info(nla):
    """IFLA_LINKINFO: of which kind an interface is, and its master."""

    nla_map = (
        (1, "IFLA_INFO_KIND", "asciiz"),
        (2, "IFLA_INFO_DATA", "data_of_kind"),
        (4, "IFLA_INFO_SLAVE_KIND", "asciiz"),
        (5, "IFLA_INFO_SLAVE_DATA", "data_of_slave"),
    )

    @staticmethod
    def data_of_kind(info: Any, **_: Any) -> Any:
        return DATA.get(info.get_attr("IFLA_INFO_KIND"), info.cdata)

    @staticmethod
    def data_of_slave(info: Any, **_: Any) -> Any:
        return BridgePortData if info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge" else info.cdata


class BridgeData(nla):
    """IFLA_INFO_DATA of a bridge."""

    nla_map = (
        (1, "IFLA_BR_FORWARD_DELAY", "uint32"),
        (5, "IFLA_BR_STP_STATE", "uint32"),
        (7, "IFLA_BR_VLAN_FILTERING", "uint8"),
        (23, "IFLA_BR_MCAST_SNOOPING", "uint8"),
        (22, "IFLA_BR_MCAST_ROUTER", "uint8"),
        (25, "IFLA_BR_MCAST_QUERIER", "uint8"),
        (36, "IFLA_BR_NF_CALL_IPTABLES", "uint8"),
        (37, "IFLA_BR_NF_CALL_IP6TABLES", "uint8"),
        (38, "IFLA_BR_NF_CALL_ARPTABLES", "uint8"),
        (47, "IFLA_BR_MCAST_QUERIER_STATE", "queriers"),
    )

    class queriers(nla):
        nla_map = ((7, "BRIDGE_QUERIER_IPV6_OTHER_TIMER", "uint64"),)


class BridgePortData(nla):
    """IFLA_INFO_SLAVE_DATA of a bridge's port."""

    nla_map = (
        (1, "IFLA_BRPORT_STATE", "uint8"),
        (4, "IFLA_BRPORT_MODE", "uint8"),
        (5, "IFLA_BRPORT_GUARD", "uint8"),
        (8, "IFLA_BRPORT_LEARNING", "uint8"),
        (9, "IFLA_BRPORT_UNICAST_FLOOD", "uint8"),
        (10, "IFLA_BRPORT_PROXYARP", "uint8"),
        (27, "IFLA_BRPORT_MCAST_FLOOD", "uint8"),
        (30, "IFLA_BRPORT_BCAST_FLOOD", "uint8"),
        (32, "IFLA_BRPORT_NEIGH_SUPPRESS", "uint8"),
        (33, "IFLA_BRPORT_ISOLATED", "uint8"),
        (39, "IFLA_BRPORT_LOCKED", "uint8"),
    )


class VxlanData(nla):
    """IFLA_INFO_DATA of a VXLAN device."""

    nla_map = (
        (1, "IFLA_VXLAN_ID", "uint32"),
        (2, "IFLA_VXLAN_GROUP", "ip4addr"),
        (3, "IFLA_VXLAN_LINK", "uint32"),
        (4, "IFLA_VXLAN_LOCAL", "ip4addr"),
        (5, "IFLA_VXLAN_TTL", "uint8"),
        (7, "IFLA_VXLAN_LEARNING", "uint8"),
        (11, "IFLA_VXLAN_PROXY", "uint8"),
        (12, "IFLA_VXLAN_RSC", "uint8"),
        (13, "IFLA_VXLAN_L2MISS", "uint8"),
        (14, "IFLA_VXLAN_L3MISS", "uint8"),
        (15, "IFLA_VXLAN_PORT", "be16"),
        (16, "IFLA_VXLAN_GROUP6", "ip6addr"),
        (17, "IFLA_VXLAN_LOCAL6", "ip6addr"),
        (19, "IFLA_VXLAN_UDP_ZERO_CSUM6_TX", "uint8"),
        (20, "IFLA_VXLAN_UDP_ZERO_CSUM6_RX", "uint8"),
        (25, "IFLA_VXLAN_COLLECT_METADATA", "uint8"),
    )


class MacvlanData(nla):
    """IFLA_INFO_DATA of a macvlan or macvtap."""

    nla_map = ((1, "IFLA_MACVLAN_MODE", "uint32"), (5, "IFLA_MACVLAN_MACADDR_DATA", "cdata"))


class IpvlanData(nla):
    """IFLA_INFO_DATA of an ipvlan or ipvtap."""

    nla_map = ((1, "IFLA_IPVLAN_MODE", "uint16"),)


class VlanData(nla):
    """IFLA_INFO_DATA of a VLAN device."""

    nla_map = ((1, "IFLA_VLAN_ID", "uint16"),)


class VrfData(nla):
    """IFLA_INFO_DATA of a VRF."""

    nla_map = ((1, "IFLA_VRF_TABLE", "uint32"),)


class BondData(nla):
    """IFLA_INFO_DATA of a bond."""

    nla_map = ((1, "IFLA_BOND_MODE", "uint8"),)


class GreData(nla):
    """IFLA_INFO_DATA of a tunnel by GRE or ERSPAN (include/uapi/linux/if_tunnel.h)."""

    nla_map = (
        (1, "IFLA_GRE_LINK", "uint32"),
        (5, "IFLA_GRE_OKEY", "be32"),
        (6, "IFLA_GRE_LOCAL", "ipaddr"),
        (7, "IFLA_GRE_REMOTE", "ipaddr"),
    )


class IpTunnelData(nla):
    """IFLA_INFO_DATA of a tunnel of IP in IP."""

    nla_map = (
        (1, "IFLA_IPTUN_LINK", "uint32"),
        (2, "IFLA_IPTUN_LOCAL", "ipaddr"),
        (3, "IFLA_IPTUN_REMOTE", "ipaddr"),
    )


class VtiData(nla):
    """IFLA_INFO_DATA of a VTI."""

    nla_map = (
        (1, "IFLA_VTI_LINK", "uint32"),
        (3, "IFLA_VTI_OKEY", "be32"),
        (4, "IFLA_VTI_LOCAL", "ipaddr"),
        (5, "IFLA_VTI_REMOTE", "ipaddr"),
    )


class GeneveData(nla):
    """IFLA_INFO_DATA of a GENEVE device."""

    nla_map = (
        (1, "IFLA_GENEVE_ID", "uint32"),
        (2, "IFLA_GENEVE_REMOTE", "ipaddr"),
        (7, "IFLA_GENEVE_REMOTE6", "ipaddr"),
    )


DATA = {
    "vrf": VrfData,
    "bond": BondData,
    **dict.fromkeys(("gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan"), GreData),
    **dict.fromkeys(("ipip", "sit", "ip6tnl"), IpTunnelData),
    **dict.fromkeys(("vti", "vti6"), VtiData),
    "geneve": GeneveData,
    "bridge": BridgeData,
    "vxlan": VxlanData,
    "vlan": VlanData,
    "macvlan": MacvlanData,
    "macvtap": MacvlanData,
    "ipvlan": IpvlanData,
    "ipvtap": IpvlanData,
}


class LinkMessage(nlmsg):
    """struct ifinfomsg."""

    fields = (
        ("family", "B"),
        ("__align", "x"),
        ("ifi_type", "H"),
        ("index", "i"),
        ("flags", "I"),
        ("change", "I"),
    )
    nla_map = (
        (1, "IFLA_ADDRESS", "cdata"),
        (3, "IFLA_IFNAME", "asciiz"),
        (4, "IFLA_MTU", "uint32"),
        (5, "IFLA_LINK", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (18, "IFLA_LINKINFO", "info"),
        (20, "IFLA_IFALIAS", "asciiz"),
        (23, "IFLA_STATS64", "cdata"),
        (26, "IFLA_AF_SPEC", "cdata"),
        (29, "IFLA_EXT_MASK", "uint32"),
        (37, "IFLA_LINK_NETNSID", "int32"),
        (39, "IFLA_PROTO_DOWN", "uint8"),
        (48, "IFLA_CARRIER_DOWN_COUNT", "uint32"),
        (43, "IFLA_XDP", "xdp"),
    )
    info = Info

    class xdp(nla):
        nla_map = ((2, "IFLA_XDP_ATTACHED", "uint8"), (4, "IFLA_XDP_PROG_ID", "uint32"))


class RouteNexthop(nla):
    """struct rtnexthop: one of several ways of a route, with attributes of its own."""

    is_nla = False
    cell_header = (("length", "H"),)
    fields = (("flags", "B"), ("hops", "B"), ("oif", "i"))
    nla_map = ((5, "RTA_GATEWAY", "ipaddr"), (18, "RTA_VIA", "rtvia"))
    rtvia = rtmsg_base.rtvia


class RouteMessage(nlmsg):
    """struct rtmsg of a route."""

    fields = rtmsg_base.fields
    nla_map = (
        (1, "RTA_DST", "ipaddr"),
        (2, "RTA_SRC", "ipaddr"),
        (3, "RTA_IIF", "uint32"),
        (4, "RTA_OIF", "uint32"),
        (5, "RTA_GATEWAY", "ipaddr"),
        (6, "RTA_PRIORITY", "uint32"),
        (7, "RTA_PREFSRC", "ipaddr"),
        (8, "RTA_METRICS", "metrics"),
        (9, "RTA_MULTIPATH", "*leg"),
        (15, "RTA_TABLE", "uint32"),
        (16, "RTA_MARK", "uint32"),
        (18, "RTA_VIA", "rtvia"),
        (21, "RTA_ENCAP_TYPE", "uint16"),
        (25, "RTA_UID", "uint32"),
        (27, "RTA_IP_PROTO", "uint8"),
        (28, "RTA_SPORT", "be16"),
        (29, "RTA_DPORT", "be16"),
        (30, "RTA_NH_ID", "uint32"),
    )
    metrics = rtmsg_base.metrics
    rtvia = rtmsg_base.rtvia
    leg = RouteNexthop


class GroupMember(nlmsg):
    """struct nexthop_grp."""

    header = None
    fields = (("id", "I"), ("weight", "B"), ("resvd1", "B"), ("resvd2", "H"))


class NexthopObject(nlmsg):
    """struct nhmsg."""

    fields = (("family", "B"), ("scope", "B"), ("protocol", "B"), ("resvd", "B"), ("flags", "I"))
    nla_map = (
        (1, "NHA_ID", "uint32"),
        (2, "NHA_GROUP", "group"),
        (4, "NHA_BLACKHOLE", "flag"),
        (5, "NHA_OIF", "uint32"),
        (6, "NHA_GATEWAY", "ipaddr"),
    )

    class group(StructArray):
        element = GroupMember


class MulticastGroups(nlmsg):
    """struct br_port_msg: the groups of one bridge, which `tables.bridges` takes apart."""

    fields = (("family", "B"), ("__pad", "3x"), ("ifindex", "I"))


class NeighbourTableMessage(nlmsg):
    """struct ndtmsg: a table of neighbours, how full it is and may be."""

    fields = (("family", "B"), ("__pad", "3x"))
    nla_map = ((4, "NDTA_THRESH3", "uint32"), (5, "NDTA_CONFIG", "cdata"), (7, "NDTA_STATS", "cdata"))


class NeighbourMessage(nlmsg):
    """struct ndmsg, of neighbours and of forwarding entries."""

    fields = ndmsg.fields
    nla_map = (
        (1, "NDA_DST", "ipaddr"),
        (2, "NDA_LLADDR", "cdata"),
        (5, "NDA_VLAN", "uint16"),
        (6, "NDA_PORT", "be16"),
        (7, "NDA_VNI", "uint32"),
        (8, "NDA_IFINDEX", "uint32"),
        (9, "NDA_MASTER", "uint32"),
    )


REQUESTS = {
    18: LinkMessage,
    22: ifaddrmsg,
    26: RouteMessage,
    30: NeighbourMessage,
    34: fibmsg,
    38: QdiscMessage,
    46: FilterMessage,
    66: NeighbourTableMessage,
    86: MulticastGroups,
    90: nsidmsg,
    106: NexthopObject,
}
ANSWERS = {
    16: LinkMessage,
    20: ifaddrmsg,
    24: RouteMessage,
    28: NeighbourMessage,
    32: fibmsg,
    36: QdiscMessage,
    44: FilterMessage,
    64: NeighbourTableMessage,
    86: MulticastGroups,  # a dump's are RTM_GETMDB (br_mdb_dump)
    88: nsidmsg,
    104: NexthopObject,
}
BY_HAND = frozenset(
    {LinkMessage, ifaddrmsg, RouteMessage, NeighbourMessage, NeighbourTableMessage, fibmsg}
)  # of which a machine may have thousands, or which are asked of each namespace
