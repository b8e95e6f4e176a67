"""Single interfaces of the namespace of the calling thread: their numbers and addresses, and which are ports
of a bridge, a bond or another master; netdevice(7), rtnetlink(7), RTM_GETLINK.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterable

from netprobe.kernel.elsewhere import current
from netprobe.linux.netlink import Netlink, Record, Request

RTM_GETLINK = 18
SIOCGIFHWADDR = 0x8927  # include/uapi/linux/sockios.h


def index_of(interface: str) -> int:
    """The number of an interface. Raises OSError."""
    if current() is None:
        return socket.if_nametoindex(interface)
    return int(_link(interface)["index"])


def hardware_address(interface: str) -> bytes:
    """The MAC address of an interface, of 6 bytes. Raises OSError."""
    if current() is not None:
        return bytes(_link(interface).get("IFLA_ADDRESS", b""))[:6].ljust(6, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        asked = struct.pack("=16s24x", os.fsencode(interface))
        return fcntl.ioctl(sock, SIOCGIFHWADDR, asked)[18:24]


def _link(interface: str) -> Record:
    with Netlink() as netlink:
        return netlink.ask(Request(RTM_GETLINK, attributes=[("IFLA_IFNAME", interface)]))


def enslaved(indexes: Iterable[int]) -> set[int]:
    """Those of the interfaces, by index, that have a master which takes what comes in (a VRF does not).

    In the namespace of the calling thread.

    Raises OSError.
    """
    asked = sorted(indexes)
    with Netlink() as netlink:
        answers = list(netlink.ask_all([Request(RTM_GETLINK, {"index": index}) for index in asked]))
    return {
        index
        for index, answer in zip(asked, answers, strict=True)
        if answer is not None
        and "IFLA_MASTER" in answer
        and answer.nest("IFLA_LINKINFO").text("IFLA_INFO_SLAVE_KIND") != "vrf"
    }
