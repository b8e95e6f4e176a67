"""Later IP fragments as they were when a tap saw them.

A tap's copy of a frame shares its bytes with the one that travels on. Where the kernel refragments a datagram
that it had put together (connection tracking does), it writes the new headers over the old ones
(ip_do_fragment in net/ipv4/ip_output.c, its fast path), and the tap then reads what became of the fragment,
not what it saw. All fragments of a datagram have the header of the first one, which is not written over, but
for length, offset and checksum.
"""

from __future__ import annotations

import struct

from .checksum import checksum
from .numbers import IPV6_FRAGMENT

_ETHERNET, _VLAN = 14, 4
_IPV4_HEADER, _IPV6_HEADER, _FRAGMENT_HEADER = 20, 40, 8


def restored(first: bytes, later: bytes) -> bytes:
    """The frame `later` with the headers of `first`, the first fragment of the same datagram at the same
    place.

    Both are Ethernet frames with an IP packet; of other bytes, and of a header that was cut, the result is
    `later` as it is.
    """
    at = _ip_offset(first)
    if at != _ip_offset(later) or len(first) < at + _IPV6_HEADER + _FRAGMENT_HEADER or len(later) <= at:
        return later
    header = _headers(first[at:], later[at:])
    return later if header is None else first[:at] + header + later[at + len(header) :]


def _headers(first: bytes, later: bytes) -> bytes | None:
    """The IP headers of `later` with the fields of `first`; None where the two differ in kind or one is
    cut.
    """
    versions = first[0] >> 4, later[0] >> 4
    if versions == (4, 4) and _IPV4_HEADER <= (later[0] & 0x0F) * 4 <= len(later):
        return _ipv4_header(first, later)
    if versions == (6, 6) and len(later) >= _IPV6_HEADER + _FRAGMENT_HEADER:
        return _ipv6_headers(first, later)
    return None


def _ip_offset(frame: bytes) -> int:
    at = _ETHERNET
    while frame[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
        at += _VLAN
    return at


def _ipv4_header(first: bytes, later: bytes) -> bytes:
    """The first fragment's header without its options' room: length, offset and flags are the later one's
    own.
    """
    size = (later[0] & 0x0F) * 4
    options = later[20:size]  # only some options are copied into later fragments (RFC 791)
    header = later[:1] + first[1:2] + later[2:8] + first[8:10] + b"\0\0" + first[12:20] + options
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:]


def _ipv6_headers(first: bytes, later: bytes) -> bytes:
    """The fixed header and the fragment header behind it, which has the datagram's identification."""
    header = first[:4] + later[4:6] + first[6:_IPV6_HEADER]
    own = later[_IPV6_HEADER : _IPV6_HEADER + _FRAGMENT_HEADER]
    return header + (
        own[:4] + first[_IPV6_HEADER + 4 : _IPV6_HEADER + 8] if first[6] == later[6] == IPV6_FRAGMENT else own
    )
