"""sock_diag(7) of IP sockets; of pyroute2's answer the buffers and the cgroup are not decoded. Numbers: include/uapi/linux/inet_diag.h."""

from __future__ import annotations

from pyroute2.netlink.diag import inet_addr_codec, inet_diag_msg, inet_diag_req


class InetSocket(inet_addr_codec):
    """struct inet_diag_msg."""

    ffname = inet_diag_msg.ffname  # the field that holds the family
    fields = inet_diag_msg.fields
    nla_map = (
        (7, "INET_DIAG_SKMEMINFO", "array(uint32)"),
        (11, "INET_DIAG_SKV6ONLY", "uint8"),
        (21, "INET_DIAG_CGROUP_ID", "uint64"),
    )


REQUESTS = {20: inet_diag_req}
ANSWERS = {20: InetSocket}
