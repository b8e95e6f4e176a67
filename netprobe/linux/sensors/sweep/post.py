"""The sockets of one member: what it asks and hears with, and what removes its neighbour entries."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from netprobe.kernel.close import release
from netprobe.kernel.neighbours import AF_INET, AF_INET6, NUD_PERMANENT, NeighbourTable, removal
from netprobe.linux.netns import inside
from netprobe.linux.sensors.tap import SO_TIMESTAMPNS_NEW, attach, bind_packet, enlarge
from netprobe.model.matrix import Member
from netprobe.wire.bpf import Instruction

ETH_P_ARP = 0x0806


class Post:
    """The sockets of one member. Raises OSError. Close it.

    It is made, and opens its sockets, while the thread is in the member's namespace. `main` is the socket by
    which it asks; `arp` one a network of its, for ARP by hand.
    """

    __slots__ = ("_before", "_sockets", "arp", "family", "main", "own", "table")

    def __init__(self, member: Member, version: int) -> None:
        self.family = AF_INET if version == 4 else AF_INET6
        self.own = {each.network: each for each in member.addresses}
        self.arp: dict[str, socket.socket] = {}
        self.main: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self.table = NeighbourTable()
        try:
            self._before = {(entry.interface, entry.address) for entry in self.table.entries(self.family)}
        except BaseException:
            self.close()
            raise

    def open(self, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this member, with a long queue and stamps."""
        six = self.family == AF_INET6
        sock = socket.socket(
            socket.AF_INET6 if six else socket.AF_INET,
            kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            protocol,
        )
        self._sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
        enlarge(sock)
        return sock

    def open_arp(self, network: str, instructions: tuple[Instruction, ...]) -> None:
        """A packet socket on the interface of one of the member's networks."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        sock = socket.socket(socket.AF_PACKET, kind, 0)
        self.arp[network] = sock
        attach(sock, instructions)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
        enlarge(sock)
        bind_packet(sock, self.own[network].index, ETH_P_ARP)

    def forget(self, network: str, addresses: Sequence[bytes]) -> None:
        """Remove the entries of these addresses on one of its networks; one that was there before stays."""
        index = self.own[network].index
        ours = (
            [each for each in addresses if (index, each) not in self._before] if self._before else addresses
        )
        if ours:
            self.table.forget(removal(self.family, index, ours))

    def forget_new(self, ours: frozenset[bytes] | None = None) -> None:
        """Remove all entries that were not there before; with `ours` only those of these addresses."""
        for entry in self.table.entries(self.family):
            new = (entry.interface, entry.address) not in self._before and not entry.state & NUD_PERMANENT
            if new and (ours is None or entry.address in ours):
                self.table.forget(removal(self.family, entry.interface, [entry.address]))

    def close(self) -> None:
        """Close all sockets. Harmless when repeated."""
        self.table.close()
        for sock in self._sockets:
            sock.close()
        release(list(self.arp.values()))


@contextmanager
def tidied(members: Sequence[tuple[Member, int]], version: int) -> Iterator[None]:
    """Neighbour entries that the block makes in these namespaces (descriptors) are removed again."""
    with ExitStack() as held:
        for member, handle in members:
            with inside(handle):
                post = Post(member, version)
            held.callback(post.close)
            held.callback(post.forget_new)
        yield
