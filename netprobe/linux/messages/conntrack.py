"""nfnetlink's tracked connections. pyroute2's class of them comes with its sockets, asyncio and all: 70 ms
for a dozen attributes.

Numbers: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

from pyroute2.netlink import NLA_F_NESTED, nla
from pyroute2.netlink.nfnetlink import nfgen_msg


class Tuple(nla):
    """One direction of a connection."""

    nla_map = (
        (1, "CTA_TUPLE_IP", "ip"),
        (2, "CTA_TUPLE_PROTO", "proto"),
        (3, "CTA_TUPLE_ZONE", "be16"),
    )

    class ip(nla):
        nla_map = (
            (1, "CTA_IP_V4_SRC", "ip4addr"),
            (2, "CTA_IP_V4_DST", "ip4addr"),
            (3, "CTA_IP_V6_SRC", "ip6addr"),
            (4, "CTA_IP_V6_DST", "ip6addr"),
        )

    class proto(nla):
        nla_map = (
            (1, "CTA_PROTO_NUM", "uint8"),
            (2, "CTA_PROTO_SRC_PORT", "be16"),
            (3, "CTA_PROTO_DST_PORT", "be16"),
            (4, "CTA_PROTO_ICMP_ID", "be16"),
            (5, "CTA_PROTO_ICMP_TYPE", "uint8"),
            (6, "CTA_PROTO_ICMP_CODE", "uint8"),
            (7, "CTA_PROTO_ICMPV6_ID", "be16"),
            (8, "CTA_PROTO_ICMPV6_TYPE", "uint8"),
            (9, "CTA_PROTO_ICMPV6_CODE", "uint8"),
        )


class Connection(nfgen_msg):
    """An entry of the table, or what picks some of them."""

    nla_map = (
        (1, "CTA_TUPLE_ORIG", "direction"),
        (2, "CTA_TUPLE_REPLY", "direction"),
        (3, "CTA_STATUS", "be32"),
        (4, "CTA_PROTOINFO", "protoinfo"),
        (7, "CTA_TIMEOUT", "be32"),
        (8, "CTA_MARK", "be32"),
        (18, "CTA_ZONE", "be16"),
        (25, "CTA_FILTER", "filter"),
    )
    direction = Tuple

    class protoinfo(nla):
        nla_map = ((1, "CTA_PROTOINFO_TCP", "tcp"),)

        class tcp(nla):
            nla_map = ((1, "CTA_PROTOINFO_TCP_STATE", "uint8"),)

    class filter(nla):
        nla_flags = NLA_F_NESTED
        nla_map = ((1, "CTA_FILTER_ORIG_FLAGS", "uint32"), (2, "CTA_FILTER_REPLY_FLAGS", "uint32"))


_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
REQUESTS = {_SUBSYSTEM | 1: Connection}
ANSWERS = {_SUBSYSTEM: Connection}
BY_HAND = frozenset({Connection})  # of which each question has others, and a busy router a hundred thousand
