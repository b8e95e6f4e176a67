"""Which interfaces are ports of a bridge, a bond or another master; rtnetlink(7), RTM_GETLINK of single
interfaces.
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.linux.netlink import Netlink, Request

RTM_GETLINK = 18


def enslaved(indexes: Iterable[int]) -> set[int]:
    """Those of the interfaces, by index, that have a master, in the namespace of the calling thread.

    Raises OSError.
    """
    asked = sorted(indexes)
    with Netlink() as netlink:
        answers = list(netlink.ask_all([Request(RTM_GETLINK, {"index": index}) for index in asked]))
    return {
        index
        for index, answer in zip(asked, answers, strict=True)
        if answer is not None and "IFLA_MASTER" in answer
    }
