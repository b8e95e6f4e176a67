"""Sending the probe from inside its source, through the source's own stack, and hearing what comes back to
its socket.

A raw socket of the transport protocol: the kernel adds the IP header, so its TTL, fragmentation, OUTPUT
rules, routes and neighbours all apply, as for a program's own packets. Opened in the namespace of the source;
see raw(7), ip(7), ipv6(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address

from msgspec import Struct

from netprobe.kernel.elsewhere import DistantSocket, current
from netprobe.linux.privilege import not_permitted
from netprobe.model import IcmpError, Probe, Protocol
from netprobe.wire.addresses import ipv4_text, ipv6_text
from netprobe.wire.craft import Recipe
from netprobe.wire.dissect import RAW_IP, DissectedPacket, dissect, dissect_segment
from netprobe.wire.filter import answer_filter, packet_filter, segment_filter
from netprobe.wire.mark import PROTOCOL_NUMBERS, TOKEN_BYTES, Mark

from . import routed
from .ports import index_of
from .tap import NOTHING, SO_TIMESTAMPNS_NEW, AnySocket, attach, empty, enlarge, stamp_of

SO_BINDTODEVICE, SO_MARK, SO_MEMINFO = 25, 36, 55  # include/uapi/asm-generic/socket.h
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_DONTFRAG = 10, 11, 23, 25, 62
PMTUDISC_DONT, PMTUDISC_DO = 0, 2
MSG_ERRQUEUE = 0x2000
DROPS = 8  # SK_MEMINFO_DROPS of include/uapi/linux/sock_diag.h: the word of SO_MEMINFO
SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 = 2, 3  # include/uapi/linux/errqueue.h
SOCKADDR_IN, SOCKADDR_IN6 = 16, 24  # bytes up to where an address ends, padding included
_NOBODY_AT_ALL = ctypes.c_uint32(-1)  # setfsuid refuses it and says who we are
_EXTENDED_ERROR = struct.Struct("=IBBBxII")

_libc = ctypes.CDLL(None, use_errno=True)

AT_ONCE = 1024  # messages of a socket, before its taps and the clock are looked at again
# of a TCP or UDP run, unless the user asks for one: each packet gets its own, so that a SYN that is lost on
# the way back does not spoil the next, and so that they take all the ways where next hops share the load
PORTS = 16


class Heard(Struct, frozen=True):
    """What came back to the sender's socket: an answer, or an ICMP error about the packet with this
    payload.
    """

    stamp_ns: int
    packet: DissectedPacket | None = None
    error: IcmpError | None = None
    payload: bytes = b""


class Sender:
    """The sockets of one probe, opened in the namespace of the calling thread. Raises OSError. Close it."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.family = socket.AF_INET6 if probe.version == 6 else socket.AF_INET
        self.destination = without_zone(probe.destination.address or "")
        self._stack = ExitStack()
        self._lost_before = 0
        try:
            self.scope = self._scope()
            self.source = without_zone(probe.source.address or "") or chosen_source(
                probe, self.destination, self.scope
            )
            self._by_ports = routed.by_ports(probe)
            self._reserved = self._reserve()
            self.source_ports = tuple(sock.getsockname()[1] for sock in self._reserved) or _given(
                probe.source_port
            )
            self._raw = self._open_raw()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all sockets. Harmless when repeated."""
        self._stack.close()

    @property
    def packet_sockets(self) -> tuple[AnySocket, ...]:
        """Sockets that take long to close, and are left open by `close`: none."""
        return ()

    def listen(self, mark: Mark) -> tuple[AnySocket, ...]:
        """Begin to hear: the sockets to wait for, to be read by `hear`."""
        if mark.protocol is Protocol.UDP:  # the bound socket hears the answer; the raw one would hear a copy
            attach(self._raw, NOTHING)
            empty(self._raw)
            for sock in self._reserved if self._asks_one() else ():
                attach(sock, answer_filter(self.destination, self.probe.destination.port or 0))
            return self._reserved
        attach(self._raw, segment_filter(mark) if self.family == socket.AF_INET6 else packet_filter(mark))
        while any(True for _ in _received(self._raw)):  # what came before the filter
            pass
        self._lost_before = _dropped(self._raw)
        return (self._raw,)

    def _asks_one(self) -> bool:
        """Whether the answer comes from the destination itself: it is the address of one host."""
        asked = ip_address(self.destination)
        return not (asked.is_multicast or asked.is_unspecified or self.destination == "255.255.255.255")

    def recipe(self, mark: Mark) -> Recipe:
        """What to craft."""
        return Recipe(mark, self.source, self.destination, ecn=self.probe.ecn, mss=self.probe.mss)

    def send(self, packet: bytes) -> int:
        """Hand one packet to the kernel: when it was, in ns since the epoch, where another host tells; else
        0.

        Raises OSError with the kernel's refusal (EPERM: dropped in OUTPUT, EMSGSIZE, ...).
        """
        address = (
            (self.destination, 0, 0, self.scope) if self.family == socket.AF_INET6 else (self.destination, 0)
        )
        own = next(iter(self._of_its_port(packet)), None) if self._by_ports else None
        if own is None:
            return sent(self._raw, packet, address)
        to = (address[0], self.probe.destination.port or 0, *address[2:])
        send_own = routed.send_datagram if self.probe.protocol is Protocol.UDP else routed.send_syn
        send_own(own, packet, to)
        return 0

    def _of_its_port(self, packet: bytes) -> Iterator[socket.socket]:
        """The reserved socket from whose port a packet is."""
        port = routed.source_port(packet)
        return (
            sock
            for sock in self._reserved
            if isinstance(sock, socket.socket) and sock.getsockname()[1] == port
        )

    def hear(self) -> Iterator[Heard]:
        """Everything that waits at the sockets now."""
        if self.probe.protocol is Protocol.UDP:
            for sock in self._reserved:
                yield from self._datagrams(sock)
                yield from self._errors(sock)
            return
        for data, stamp, address in _received(self._raw):
            packet = self._segment(data, address) if self.family == socket.AF_INET6 else dissect(data, RAW_IP)
            yield Heard(stamp, packet)

    def lost(self) -> int:
        """How many answers the raw socket had no room for, since `listen`.

        Of UDP's the kernel counts what the filter left out: 0.
        """
        return 0 if self.probe.protocol is Protocol.UDP else _dropped(self._raw) - self._lost_before

    def _segment(self, data: bytes, address: tuple[str, int]) -> DissectedPacket | None:
        return dissect_segment(
            data, without_zone(address[0]), self.source, PROTOCOL_NUMBERS[self.probe.protocol]
        )

    def _datagrams(self, sock: AnySocket) -> Iterator[Heard]:
        for data, stamp, address in _received(sock):
            header = struct.pack(">HHHH", address[1], sock.getsockname()[1], 8 + len(data), 0)
            yield Heard(stamp, dissect_segment(header + data, without_zone(address[0]), self.source, 17))

    def _errors(self, sock: AnySocket) -> Iterator[Heard]:
        asked = self.destination, self.probe.destination.port
        for data, stamp, ancillary, address in _errors_received(sock):
            error = _icmp_error(ancillary)
            if error is not None and (without_zone(address[0]), address[1]) == asked:
                yield Heard(stamp, error=error, payload=data)

    def _scope(self) -> int:
        """The interface index that a link-local destination or source needs."""
        zone = (
            (self.probe.destination.address or "").partition("%")[2]
            or self.probe.device
            or self.probe.source.interface
        )
        ends = (self.destination, self.probe.source.address or "")
        return index_of(zone) if zone and any(is_link_local(end) for end in ends) else 0

    def _reserve(self) -> tuple[AnySocket, ...]:
        """Sockets that hold the source ports, so that no one else is given them, and that the kernel knows
        them as in use.
        """
        probe = self.probe
        kind = {Protocol.UDP: socket.SOCK_DGRAM, Protocol.TCP: socket.SOCK_STREAM}.get(probe.protocol)
        if kind is None:
            return ()
        # a datagram without room for the token is known by its port
        several = not probe.reused and (kind == socket.SOCK_STREAM or probe.size >= TOKEN_BYTES)
        further = min(probe.count, PORTS) - 1 if several else 0
        try:
            first = self._reserved_port(kind, probe.source_port or 0)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return ()  # somebody listens there; the user asked for just this port
        return (first, *(self._reserved_port(kind, 0) for _ in range(further)))

    def _reserved_port(self, kind: int, port: int) -> AnySocket:
        sock = configured(self.probe, kind, 0) if self._by_ports else new_socket(self.family, kind)
        self._stack.callback(sock.close)
        if kind == socket.SOCK_DGRAM:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
            six = self.family == socket.AF_INET6
            sock.setsockopt(
                socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, IPV6_RECVERR if six else IP_RECVERR, 1
            )
            enlarge(sock)
        sock.bind(self._local(port))
        return sock

    def _local(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        if self.family == socket.AF_INET6:
            return self.source, port, 0, self.scope if is_link_local(self.source) else 0
        return self.source, port

    def _open_raw(self) -> AnySocket:
        sock = configured(self.probe, socket.SOCK_RAW, PROTOCOL_NUMBERS[self.probe.protocol])
        self._stack.callback(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
        enlarge(sock)
        sock.bind(self._local(0))
        return sock


def chosen_source(probe: Probe, destination: str, scope: int = 0) -> str:
    """The source address that the kernel would choose for the probe, with its mark, user and interface.

    Raises OSError.
    """
    with configured(probe, socket.SOCK_DGRAM, 0) as sock:
        # sends nothing
        sock.connect((destination, 9, 0, scope) if sock.family == socket.AF_INET6 else (destination, 9))
        return without_zone(sock.getsockname()[0])


def configured(probe: Probe, kind: int, protocol: int) -> AnySocket:
    """A socket with the probe's TTL, fragmentation, mark, interface and user.

    Raises OSError, NotPermitted.
    """
    sock = new_socket(socket.AF_INET6 if probe.version == 6 else socket.AF_INET, kind, protocol, probe.uid)
    try:
        configure(sock, probe)
    except BaseException:
        sock.close()
        raise
    return sock


def new_socket(family: int, kind: int, protocol: int = 0, uid: int = 0) -> AnySocket:
    """A socket in the namespace of this thread that does not block, and belongs to a user; 0: to us.

    Raises OSError, NotPermitted.
    """
    if (there := current()) is not None:
        return there.socket(family, kind, protocol, uid)
    with owned_by(uid):
        return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)


def sent(sock: AnySocket, packet: bytes, address: tuple[str, int] | tuple[str, int, int, int] | None) -> int:
    """Hand a packet to a socket: when it was sent, where another host tells; else 0. Raises OSError."""
    if isinstance(sock, DistantSocket):
        return sock.fire(packet, address)
    if address is None:
        sock.send(packet)
    else:
        sock.sendto(packet, address)
    return 0


@contextmanager
def owned_by(uid: int) -> Iterator[None]:
    """Sockets made in this block belong to the user `uid`; 0 leaves them ours.

    Raises NotPermitted for a user we may not act for.

    The file system uid is the thread's own. Routing rules go by the socket's uid, `-m owner` and `meta skuid`
    by that of the file behind it; both are taken from here, and changing the owner afterwards would reach the
    first only. setfsuid(2).
    """
    if not uid:
        yield
        return
    before = _libc.setfsuid(uid)
    try:
        if _libc.setfsuid(_NOBODY_AT_ALL) & 0xFFFFFFFF != uid:
            raise not_permitted(f"not permitted to send as user {uid}")
        yield
    finally:
        _libc.setfsuid(before)


def configure(sock: AnySocket, probe: Probe) -> None:
    """Give a socket the probe's TTL, fragmentation, mark and interface. Raises OSError, NotPermitted.

    With DF it meets what a program's socket meets: EMSGSIZE where the route, or what the kernel has learned
    of the path, has a smaller MTU (IP_PMTUDISC_DO; IP_PMTUDISC_PROBE would look at the interface alone).
    """
    if probe.mark:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, struct.pack("=I", probe.mark))
        except PermissionError as error:
            raise not_permitted(f"not permitted to send with mark {probe.mark:#x}") from error
    if probe.device:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, os.fsencode(probe.device) + b"\0")
    if sock.family == socket.AF_INET6:
        if probe.ttl is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, probe.ttl)
        if probe.df is not None:
            sock.setsockopt(
                socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO if probe.df else PMTUDISC_DONT
            )
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, int(probe.df))
    elif sock.family == socket.AF_INET:
        if probe.ttl is not None:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, probe.ttl)
        if probe.df is not None:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO if probe.df else PMTUDISC_DONT)


def _dropped(sock: AnySocket) -> int:
    """How many packets a socket had no room for since it was opened (SO_MEMINFO)."""
    memory = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (DROPS + 1))
    return int(struct.unpack_from("=I", memory, 4 * DROPS)[0]) if len(memory) > 4 * DROPS else 0


def _given(port: int | None) -> tuple[int, ...]:
    return (port,) if port else ()


def without_zone(address: str) -> str:
    """An address without its %interface."""
    return address.partition("%")[0]


def is_link_local(address: str) -> bool:
    """Whether an address is of fe80::/64, where it needs an interface."""
    return address.lower().startswith("fe80:")


def _received(sock: AnySocket) -> Iterator[tuple[bytes, int, tuple[str, int]]]:
    """Data, kernel stamp and sender of each message that waits, of the first ones when they are many."""
    for _ in range(AT_ONCE):
        try:
            data, ancillary, _, address = sock.recvmsg(65536, 64)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error that the kernel reports here once; it is in the error queue, too
            continue
        yield data, _stamp(sock, ancillary), address


def _stamp(sock: AnySocket, ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp, by the clock of this machine."""
    return max(0, stamp_of(ancillary) + (sock.shift_ns if isinstance(sock, DistantSocket) else 0))


def _errors_received(
    sock: AnySocket,
) -> Iterator[tuple[bytes, int, list[tuple[int, int, bytes]], tuple[str, int]]]:
    """Quoted payload, kernel stamp, control messages and quoted destination of the errors that wait (ip(7),
    IP_RECVERR).
    """
    for _ in range(AT_ONCE):
        try:
            data, ancillary, _, address = sock.recvmsg(65536, 512, MSG_ERRQUEUE)
        except OSError:
            return
        yield data, _stamp(sock, ancillary), ancillary, address


def _icmp_error(ancillary: list[tuple[int, int, bytes]]) -> IcmpError | None:
    """struct sock_extended_err and the address of who sent the error behind it (ip(7), IP_RECVERR)."""
    for level, kind, data in ancillary:
        if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            continue
        offender = data[_EXTENDED_ERROR.size :]
        if len(offender) < SOCKADDR_IN:
            continue
        _, origin, icmp_type, code, info, _ = _EXTENDED_ERROR.unpack_from(data)
        if origin == SO_EE_ORIGIN_ICMP:
            return IcmpError(ipv4_text(offender[4:8]), icmp_type, code, info or None)
        if origin == SO_EE_ORIGIN_ICMP6 and len(offender) >= SOCKADDR_IN6:
            return IcmpError(ipv6_text(offender[8:24]), icmp_type, code, info or None)
    return None
