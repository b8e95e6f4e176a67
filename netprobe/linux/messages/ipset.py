"""Sets of ipset(8), as IPSET_CMD_LIST gives them.

pyroute2's class makes objects of its own of the entries. Numbers:
include/uapi/linux/netfilter/ipset/ip_set.h.
"""

from __future__ import annotations

from pyroute2.netlink import NLA_F_NESTED, nla
from pyroute2.netlink.nfnetlink import nfgen_msg


class Address(nla):
    """An address of either IP version."""

    nla_flags = NLA_F_NESTED
    nla_map = ((1, "IPSET_ATTR_IPADDR_IPV4", "ip4addr"), (2, "IPSET_ATTR_IPADDR_IPV6", "ip6addr"))


class Sets(nfgen_msg):
    """A set, or a further part of its entries."""

    nla_map = (
        (1, "IPSET_ATTR_PROTOCOL", "uint8"),
        (2, "IPSET_ATTR_SETNAME", "asciiz"),
        (3, "IPSET_ATTR_TYPENAME", "asciiz"),
        (5, "IPSET_ATTR_FAMILY", "uint8"),
        (6, "IPSET_ATTR_FLAGS", "be32"),
        (7, "IPSET_ATTR_DATA", "created"),
        (8, "IPSET_ATTR_ADT", "entries"),
    )

    class created(nla):
        nla_map = ((20, "IPSET_ATTR_NETMASK", "uint8"), (24, "IPSET_ATTR_ELEMENTS", "be32"))

    class entries(nla):
        nla_map = ((7, "IPSET_ATTR_DATA", "member"),)

        class member(nla):
            nla_map = (
                (1, "IPSET_ATTR_IP", "address"),
                (2, "IPSET_ATTR_IP_TO", "address"),
                (3, "IPSET_ATTR_CIDR", "uint8"),
                (4, "IPSET_ATTR_PORT", "be16"),
                (5, "IPSET_ATTR_PORT_TO", "be16"),
                (7, "IPSET_ATTR_PROTO", "uint8"),
                (8, "IPSET_ATTR_CADT_FLAGS", "be32"),
                (10, "IPSET_ATTR_MARK", "be32"),
                (17, "IPSET_ATTR_ETHER", "cdata"),
                (18, "IPSET_ATTR_NAME", "asciiz"),
                (20, "IPSET_ATTR_IP2", "address"),
                (21, "IPSET_ATTR_CIDR2", "uint8"),
                (22, "IPSET_ATTR_IP2_TO", "address"),
                (23, "IPSET_ATTR_IFACE", "asciiz"),
            )
            address = Address


_IPSET = 6 << 8  # NFNL_SUBSYS_IPSET
REQUESTS = {_IPSET | 7: Sets}  # IPSET_CMD_LIST
ANSWERS = {_IPSET | 7: Sets}
