"""Changes for which there is no command line: what radvd would send, what a busy machine tracks, what a BPF
program does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from netprobe.errors import CannotLook

from . import build, commands
from .changes import typed
from .namespaces import entered, read_sysctl

_ALL_NODES = "ff02::1"
# RFC 4861, 4.2: a router for half an hour; no prefix
_ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
_MOST_CONNECTIONS = 1 << 20
_DISCARD, _ANSWERED_S = 9, 2.0  # RFC 863; how long an answer to ARP may take
_A_MESSAGE = 400  # entries that fit in one datagram of netlink


@dataclass(frozen=True, slots=True)
class AnnounceRouter:
    """A router says once who it is, and `learner` takes its default route from that."""

    namespace: str
    interface: str
    learner: str

    @property
    def command(self) -> str:
        """radvd does it every few minutes."""
        return typed(self.namespace, "radvd")

    def apply(self) -> None:
        """Send one router advertisement to all nodes of the link."""
        with (
            entered(self.namespace),
            socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as out,
        ):
            # any less is not taken from a neighbour
            out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            out.sendto(_ADVERTISEMENT, (_ALL_NODES, 0, 0, socket.if_nametoindex(self.interface)))

    def holds(self) -> bool:
        """Whether the learner has a default route from an advertisement."""
        return "proto ra" in commands.run(self.learner, ("ip", "-6", "route", "show", "default"))


@dataclass(frozen=True, slots=True)
class AnnounceAddress:
    """A station says once to everybody that an IPv4 address is its own, and `learner` notes that down:
    gratuitous ARP (RFC 5227).
    """

    namespace: str
    interface: str
    address: str
    learner: str

    @property
    def command(self) -> str:
        """What a person would type; the two programs of this name take it alike."""
        return typed(self.namespace, f"arping -U -c 1 -I {self.interface} {self.address}")

    def apply(self) -> None:
        """Broadcast one ARP request from the address for itself.

        It changes an entry of the learner's and makes none (arp_accept is off), so that one has to ask first.
        """
        self._have_it_asked()
        with entered(self.namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
            out.bind((self.interface, 0x0806))
            own, address = out.getsockname()[4], socket.inet_aton(self.address)
            # RFC 826
            request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, address, bytes(6), address)
            out.send(b"\xff" * 6 + own + b"\x08\x06" + request)

    def _have_it_asked(self) -> None:
        """Let the learner send something there, until it knows a MAC for the address."""
        end = time.monotonic() + _ANSWERED_S
        with entered(self.learner), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while "lladdr" not in commands.run(self.learner, ("ip", "neigh", "show", self.address)):
                if time.monotonic() > end:
                    return
                with suppress(OSError):  # a port that nobody listens on
                    out.sendto(b"", (self.address, _DISCARD))
                time.sleep(0.02)

    def holds(self) -> bool:
        """Whether the learner has the station's MAC for the address."""
        with entered(self.namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as there:
            there.bind((self.interface, 0))
            mac = there.getsockname()[4].hex(":")
        return mac in commands.run(self.learner, ("ip", "neigh", "show", self.address))


@dataclass(frozen=True, slots=True)
class FillConnections:
    """The connection tracking table is full of connections that last (UDP ones to 198.18.0.1, of the
    benchmarking network).
    """

    namespace: str

    @property
    def command(self) -> str:
        """What a person would see."""
        return typed(self.namespace, "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max")

    def apply(self) -> None:
        """Write entries until none fits. Raises CannotLook where the limit is too high for a lab."""
        limit = int(read_sysctl(self.namespace, "net.netfilter.nf_conntrack_max"))
        if limit > _MOST_CONNECTIONS:
            raise CannotLook(f"{limit} tracked connections are too many for a lab")
        with entered(self.namespace):
            netfilter = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        with netfilter:
            netfilter.bind((0, 0))
            for message in _connections(limit):
                netfilter.send(message)

    def holds(self) -> bool:
        """Whether the count has reached the limit; early drop may take a few."""
        count, limit = (
            int(read_sysctl(self.namespace, f"net.netfilter.nf_conntrack_{what}"))
            for what in ("count", "max")
        )
        return count >= limit


def _connections(count: int) -> Iterator[bytes]:
    """IPCTNL_MSG_CT_NEW messages, many in each datagram (linux/netfilter/read/nfnetlink_conntrack.h)."""
    to = socket.inet_aton("198.18.0.1")
    for start in range(0, count, _A_MESSAGE):
        yield b"".join(_connection(struct.pack("!I", 0xC6130000 + n // 50_000), to, 1024 + n % 50_000)
                       for n in range(start, min(start + _A_MESSAGE, count)))  # fmt: skip


def _connection(src: bytes, dst: bytes, port: int) -> bytes:
    confirmed_and_assured = _attribute(3, struct.pack("!I", 0xE))
    an_hour = _attribute(7, struct.pack("!I", 3600))
    body = (
        struct.pack("!BBH", socket.AF_INET, 0, 0)
        + _tuple(1, src, dst, port, 53)
        + _tuple(2, dst, src, 53, port)
    )
    body += confirmed_and_assured + an_hour
    request_and_create = 0x401
    return struct.pack("=IHHII", 16 + len(body), 1 << 8, request_and_create, 0, 0) + body


def _tuple(kind: int, src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
    addresses = _attribute(1, src) + _attribute(2, dst)
    ports = (
        _attribute(1, bytes([socket.IPPROTO_UDP]))
        + _attribute(2, struct.pack("!H", sport))
        + _attribute(3, struct.pack("!H", dport))
    )
    return _attribute(kind | 0x8000, _attribute(1 | 0x8000, addresses) + _attribute(2 | 0x8000, ports))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


@dataclass(frozen=True, slots=True)
class DropByXdp:
    """A program that drops everything is put before an interface. Only root may load one."""

    namespace: str
    interface: str

    @property
    def command(self) -> str:
        """With a compiled program at hand."""
        return typed(self.namespace, f"ip link set dev {self.interface} xdpgeneric obj drop.o sec xdp")

    def apply(self) -> None:
        """Load and attach it; the interface keeps it when the loader is gone."""
        with _program(6, 1) as program, build.talk(self.namespace) as talk:  # BPF_PROG_TYPE_XDP, XDP_DROP
            generic_mode = 2
            given = {"attrs": [("IFLA_XDP_FD", program), ("IFLA_XDP_FLAGS", generic_mode)]}
            talk.link("set", index=build.index(talk, self.interface), xdp=given)

    def holds(self) -> bool:
        """Whether `ip link` shows a program."""
        return "prog/xdp" in commands.run(self.namespace, ("ip", "link", "show", self.interface))


@dataclass(frozen=True, slots=True)
class DropByTc:
    """A program that drops everything is asked of what comes in by an interface, which has a clsact qdisc.

    Only root may load one.
    """

    namespace: str
    interface: str

    @property
    def command(self) -> str:
        """With a compiled program at hand."""
        return typed(
            self.namespace, f"tc filter add dev {self.interface} ingress bpf direct-action obj drop.o sec tc"
        )

    def apply(self) -> None:
        """Load and attach it."""
        # BPF_PROG_TYPE_SCHED_CLS, TC_ACT_SHOT
        with _program(3, 2) as program, build.talk(self.namespace) as talk:
            index, ingress = build.index(talk, self.interface), 0xFFFFFFF2
            talk.tc(
                "add-filter",
                "bpf",
                index,
                ":1",
                fd=program,
                name="lab_drop",
                parent=ingress,
                classid=1,
                direct_action=True,
            )

    def holds(self) -> bool:
        """Whether `tc filter` shows it."""
        return "direct-action" in commands.run(
            self.namespace, ("tc", "filter", "show", "dev", self.interface, "ingress")
        )


@contextmanager
def _program(kind: int, answer: int) -> Iterator[int]:
    """The file descriptor of a program that always returns `answer` (bpf(2), BPF_PROG_LOAD).

    Raises CannotLook where none may be loaded.
    """
    numbers = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
    if platform.machine() not in numbers:
        raise CannotLook(f"loading a program is not known on {platform.machine()}")
    code = struct.pack("<BBhi", 0xB7, 0, 0, answer) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = answer; exit
    instructions, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    prog_load = 5
    given = struct.pack("<IIQQIIQII16s", kind, len(code) // 8, ctypes.addressof(instructions),
        ctypes.addressof(licence),
                        0, 0, 0, 0, 0, b"lab_drop")  # fmt: skip
    attributes = ctypes.create_string_buffer(given)
    program = int(
        ctypes.CDLL(None, use_errno=True).syscall(
            numbers[platform.machine()], prog_load, attributes, len(given)
        )
    )
    if program < 0:
        why = ctypes.get_errno()
        raise CannotLook(f"no program may be loaded here: {errno.errorcode.get(why, why)}")
    try:
        yield program
    finally:
        os.close(program)
