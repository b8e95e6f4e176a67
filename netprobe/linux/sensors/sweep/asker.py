"""What asks and hears for all members by one protocol; what differs between protocols are a few methods."""

from __future__ import annotations

import errno
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import ip_address
from time import time_ns

from netprobe.kernel.batch import MESSAGES, Batch
from netprobe.model.matrix import Aim, Plan
from netprobe.wire.craft import Craft

from .post import Post
from .tally import SENT, Tally

SECOND_NS = 1_000_000_000
# struct sockaddr_in and sockaddr_in6: the port and the address; as long as the batch has room for
SENDERS = {4: struct.Struct(">2xH4s24x"), 6: struct.Struct(">2xH4x16s8x")}

Sender = tuple[int, bytes]
"""The port and the address that something came from."""


class Whom:
    """Whom a member asks, as the system calls take it; members of the same networks share one.

    `whom` are the members that have an address.
    """

    def __init__(self, aims: Sequence[Aim | None], port: int) -> None:
        self.addresses = [None if aim is None else (aim.address.address, port) for aim in aims]
        self.packed = [b"" if aim is None else ip_address(aim.address.address).packed for aim in aims]
        self.networks = [None if aim is None else aim.network for aim in aims]
        self.macs = [_mac(aim) for aim in aims]
        self.whom: dict[bytes, list[int]] = {}
        for j, address in enumerate(self.packed):
            self.whom.setdefault(address, []).append(j)


def rows_of(plan: Plan) -> list[Whom]:
    """A row for each member."""
    different = {id(row): row for row in plan.aims}
    made = {key: Whom(row, plan.port or 0) for key, row in different.items()}
    return [made[id(row)] for row in plan.aims]


def _mac(aim: Aim | None) -> bytes:
    return bytes.fromhex((aim.address.mac or "").replace(":", "")) if aim is not None else b""


class Asker(ABC):
    """One protocol. `run` is the run's number in every packet, `layout` what is read of an answer."""

    layout: struct.Struct

    def __init__(
        self, plan: Plan, rows: Sequence[Whom], run: int, tally: Tally, batch: Batch, craft: Craft
    ) -> None:
        self.plan, self.rows, self.run, self.tally, self.batch = plan, rows, run, tally, batch
        self.craft = craft
        self.posts: list[Post] = []

    @abstractmethod
    def open(self, post: Post) -> None:
        """Open what the next member asks and hears with. Raises OSError."""

    @abstractmethod
    def packet(self, i: int, j: int, probe: int) -> bytes | bytearray:
        """What member i sends to member j."""

    @abstractmethod
    def settle(self, i: int, fields: Sequence[int], sender: Sender, stamp_ns: int) -> bool:
        """Take what came to member i: the fields of `layout`, from whom, and when; whether a pair is settled
        by it.
        """

    def socket_of(self, i: int) -> socket.socket:
        """The socket that member i hears with."""
        main = self.posts[i].main
        assert main is not None
        return main

    def ask(self, i: int, others: Sequence[int]) -> None:
        """Member i asks each of the others."""
        tally, row, first = self.tally, self.rows[i], i * self.tally.count
        states, times, addresses = tally.states, tally.times, row.addresses
        send = self.socket_of(i).sendto
        for j in others:
            probe = first + j
            data = self.packet(i, j, probe)
            states[probe], times[probe] = SENT, time_ns()
            try:
                send(data, addresses[j])  # type: ignore[arg-type]
            except OSError as error:
                self._refused(probe, error)

    def _refused(self, probe: int, error: OSError) -> None:
        self.tally.failed(probe, error.errno or errno.EIO, error.errno == errno.ENOBUFS)

    def hear(self, i: int) -> int:
        """How many pairs are settled by what waits at the socket of member i."""
        fd, batch, settle, found = self.socket_of(i).fileno(), self.batch, self.settle, 0
        senders = SENDERS[self.plan.version]
        while True:
            try:
                count = batch.receive(fd)
            except OSError:  # an ICMP error that the kernel reports once
                continue
            for fields, sender, (seconds, rest) in batch.read(self.layout, senders, count):
                found += settle(i, fields, sender, seconds * SECOND_NS + rest)
            if count < MESSAGES:
                return found

    def is_from(self, i: int, probe: int, sender: Sender) -> bool:
        """Whether it is the address that member i asked with this probe."""
        source, j = divmod(probe, self.tally.count)
        return source == i and self.rows[i].packed[j] == sender[1]
