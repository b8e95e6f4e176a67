"""UDP: a datagram out of each member's own socket. Whatever comes back from whom was asked is the answer; a
closed port is told by an ICMP error, which the socket's error queue has; ip(7), IP_RECVERR.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

from netprobe.linux.sensors.sender import IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE
from netprobe.wire.template import TOKEN, payload

from .asker import Asker, Sender
from .post import Post


class DatagramAsker(Asker):
    """A socket a member."""

    layout = struct.Struct("128x")

    def open(self, post: Post) -> None:
        """A socket that hears of errors. Raises OSError."""
        post.main = post.open(socket.SOCK_DGRAM)
        six = self.plan.version == 6
        level, option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if six else (socket.IPPROTO_IP, IP_RECVERR)
        post.main.setsockopt(level, option, 1)
        self.posts.append(post)

    def packet(self, i: int, j: int, probe: int) -> bytes:  # noqa: ARG002 - alike for all
        """The payload with the run's and the probe's number."""
        return payload(self.run, probe, self.plan.size)

    def hear(self, i: int) -> int:
        """The answers and the errors."""
        return super().hear(i) + self._errors(self.socket_of(i))

    def settle(self, i: int, fields: object, sender: Sender, stamp_ns: int) -> bool:  # noqa: ARG002
        """An answer from the port that was asked; it need not hold anything of the question."""
        port, address = sender
        asked = self.rows[i].whom.get(address, ()) if port == self.plan.port else ()
        settled = [self.tally.answered(i * self.tally.count + j, stamp_ns) for j in asked]
        return any(settled)

    def _errors(self, sock: socket.socket) -> int:
        """The ICMP errors: each quotes the payload of a probe. Only a closed port settles a pair."""
        found = 0
        while True:
            try:
                data, ancillary, _, _ = sock.recvmsg(64, 512, MSG_ERRQUEUE)
            except OSError:
                return found
            if len(data) >= TOKEN.size and any(_is_refusal(told) for *_, told in ancillary):
                run, probe = TOKEN.unpack_from(data)
                found += run == self.run and self.tally.refused(probe)


def _is_refusal(told: bytes) -> bool:
    """Whether an error of the queue (struct sock_extended_err) says that the port is closed."""
    return int.from_bytes(told[:4], sys.byteorder) == errno.ECONNREFUSED and len(told) >= 16
