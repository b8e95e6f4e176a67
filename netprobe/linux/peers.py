"""Which namespace is it that another one calls nsid 3? The kernel tells by RTM_GETNSID, one open candidate at a time.

Source: net/core/net_namespace.c (rtnl_net_getid), include/uapi/linux/net_namespace.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from .netlink import BATCH, Netlink, attribute, attributes, signed

RTM_GETNSID = 90
NETNSA_NSID, NETNSA_FD = 1, 3
_RTGENMSG = struct.pack("=Bxxx", 0)

_T = TypeVar("_T")


def find_peer(netlink: Netlink, nsid: int, candidates: Iterable[tuple[_T, int]]) -> _T | None:
    """The first of the `candidates` (anything, descriptor) that the namespace of `netlink` knows as `nsid`, or None.

    Asks in batches and takes from `candidates` no more than one batch beyond the match, so that it may open them lazily.
    """
    remaining = iter(candidates)
    size = 4  # the likely ones come first
    while batch := list(islice(remaining, size)):
        for (label, _), found in zip(batch, _nsids(netlink, [fd for _, fd in batch]), strict=True):
            if found == nsid:
                return label
        size = BATCH
    return None


def _nsids(netlink: Netlink, fds: list[int]) -> Iterator[int | None]:
    for answer in netlink.ask([(RTM_GETNSID, _RTGENMSG + attribute(NETNSA_FD, struct.pack("=I", fd))) for fd in fds]):
        yield None if isinstance(answer, OSError) else signed(attributes(answer, len(_RTGENMSG)).get(NETNSA_NSID), -1)
