"""Which namespace is it that another one calls nsid 3? The kernel tells by RTM_GETNSID, one open candidate at a time.

Source: net/core/net_namespace.c (rtnl_net_getid), include/uapi/linux/net_namespace.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .netlink import Netlink, attribute, attributes, signed

RTM_GETNSID = 90
NETNSA_NSID, NETNSA_FD = 1, 3
_RTGENMSG = struct.pack("=Bxxx", 0)


def nsids(netlink: Netlink, fds: Sequence[int]) -> list[int | None]:
    """What the namespace of `netlink` calls each of the open namespaces `fds`; None when it has no number for it.

    Asking assigns no number.
    """
    answers = netlink.ask([(RTM_GETNSID, _RTGENMSG + attribute(NETNSA_FD, struct.pack("=I", fd))) for fd in fds])
    return [None if isinstance(answer, OSError) else _nsid(answer) for answer in answers]


def _nsid(payload: bytes) -> int | None:
    nsid = signed(attributes(payload, len(_RTGENMSG)).get(NETNSA_NSID), -1)
    return nsid if nsid >= 0 else None
