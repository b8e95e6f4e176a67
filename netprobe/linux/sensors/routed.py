"""Sending from a socket of the probe's own port, where routes depend on ports.

A raw socket looks for a route without ports (net/ipv4/raw.c, raw_sendmsg), and policy rules with `sport` or
`dport` pass it over, which a program's packets meet. A datagram socket sends the same datagram; a stream
socket sends the SYN with a sequence number that it was told (tcp(7), TCP_REPAIR; net/ipv4/tcp_ipv4.c,
tcp_v4_connect).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from netprobe.kernel.elsewhere import current
from netprobe.linux.netlink import Netlink
from netprobe.linux.tables.policy import read_rules
from netprobe.model import Probe, Protocol

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # include/uapi/linux/tcp.h
TCP_SEND_QUEUE = 2
UDP_HEADER = 8
_PORTS = struct.Struct(">HH")
_SEQUENCE = struct.Struct(">I")
_UNSPECIFIED = struct.pack("=H14x", socket.AF_UNSPEC)

_libc = ctypes.CDLL(None, use_errno=True)

Address = tuple[str, int] | tuple[str, int, int, int]


def by_ports(probe: Probe) -> bool:
    """Whether policy rules of the namespace of this thread look at ports, and the probe has some. Raises
    OSError.
    """
    if probe.protocol not in (Protocol.TCP, Protocol.UDP) or current() is not None:
        return False
    with Netlink() as netlink:
        rules = read_rules(netlink)
    return any(rule.version == probe.version and (rule.sports or rule.dports) for rule in rules)


def source_port(segment: bytes) -> int:
    """The source port of a segment of TCP or UDP."""
    return int(_PORTS.unpack_from(segment)[0])


def send_datagram(sock: socket.socket, segment: bytes, address: Address) -> None:
    """The datagram of a crafted segment. Raises OSError with the kernel's refusal."""
    for again in (True, False):
        try:
            sock.sendto(segment[UDP_HEADER:], address)
        except ConnectionRefusedError:  # what an earlier one met, which stands in the error queue as well
            if not again:
                raise
        else:
            return


def send_syn(sock: socket.socket, segment: bytes, address: Address) -> None:
    """The SYN of a crafted segment, and nothing of what follows. Raises OSError with the kernel's refusal."""
    [sequence] = _SEQUENCE.unpack_from(segment, 4)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", sequence))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
    try:
        sock.connect(address)
    except OSError as error:
        if error.errno not in (errno.EINPROGRESS, errno.ECONNREFUSED):
            raise
    finally:
        _forget(sock)


def _forget(sock: socket.socket) -> None:
    """Close the connection and keep the port (connect(2), AF_UNSPEC)."""
    _libc.connect(sock.fileno(), _UNSPECIFIED, len(_UNSPECIFIED))
