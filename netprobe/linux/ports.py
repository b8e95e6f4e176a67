"""Which interfaces are ports of a bridge, a bond or another master; rtnetlink(7), RTM_GETLINK of single interfaces."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from .netlink import Netlink, attributes

RTM_GETLINK = 18
IFLA_MASTER = 10  # include/uapi/linux/if_link.h
_IFINFOMSG = struct.Struct("=BxHiII")


def enslaved(indexes: Iterable[int]) -> set[int]:
    """Those of the interfaces, by index, that have a master, in the namespace of the calling thread. Raises OSError."""
    asked = sorted(indexes)
    requests = [(RTM_GETLINK, _IFINFOMSG.pack(0, 0, index, 0, 0)) for index in asked]
    with Netlink() as netlink:
        answers = list(netlink.ask(requests))
    return {
        index
        for index, answer in zip(asked, answers, strict=True)
        if isinstance(answer, bytes) and IFLA_MASTER in attributes(answer, _IFINFOMSG.size)
    }
