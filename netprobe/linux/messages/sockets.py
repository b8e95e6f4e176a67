"""sock_diag(7) of IP sockets. pyroute2's classes come with its sockets, asyncio and all.

Shapes: include/uapi/linux/inet_diag.h.
"""

from __future__ import annotations

import socket

from pyroute2.netlink import nlmsg

_NOWHERE = bytes(16)
# struct inet_diag_sockid
_ID = (
    ("idiag_sport", ">H"), ("idiag_dport", ">H"), ("idiag_src", "16s"), ("idiag_dst", "16s"),
    ("idiag_if", "I"), ("idiag_cookie", "Q"),
)  # fmt: skip


class SocketRequest(nlmsg):
    """struct inet_diag_req_v2: which sockets are wanted, wherever they are bound to."""

    fields = (
        ("sdiag_family", "B"),
        ("sdiag_protocol", "B"),
        ("idiag_ext", "B"),
        ("__pad", "B"),
        ("idiag_states", "I"),
        *_ID,
    )

    def encode(self) -> None:
        self["idiag_src"] = self["idiag_dst"] = _NOWHERE
        super().encode()


class InetSocket(nlmsg):
    """struct inet_diag_msg, its addresses as texts."""

    fields = (
        ("idiag_family", "B"), ("idiag_state", "B"), ("idiag_timer", "B"), ("idiag_retrans", "B"), *_ID,
        ("idiag_expires", "I"), ("idiag_rqueue", "I"), ("idiag_wqueue", "I"), ("idiag_uid", "I"),
        ("idiag_inode", "I"),
    )  # fmt: skip
    nla_map = (
        (7, "INET_DIAG_SKMEMINFO", "array(uint32)"),
        (11, "INET_DIAG_SKV6ONLY", "uint8"),
        (21, "INET_DIAG_CGROUP_ID", "uint64"),
        (22, "INET_DIAG_SOCKOPT", "array(uint8)"),
    )

    def decode(self) -> None:
        super().decode()
        family = self["idiag_family"]
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise ValueError(f"{family} is no family of an internet socket")
        for end in ("idiag_src", "idiag_dst"):
            self[end] = socket.inet_ntop(family, self[end] if family == socket.AF_INET6 else self[end][:4])


REQUESTS = {20: SocketRequest}  # SOCK_DIAG_BY_FAMILY
ANSWERS = {20: InetSocket}
