"""ICMP: echo requests through each member's own stack, out of a raw socket; raw(7), icmp(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from netprobe.kernel.batch import Batch
from netprobe.linux.sensors.tap import attach
from netprobe.model import Protocol
from netprobe.model.matrix import Plan
from netprobe.wire.craft import Craft
from netprobe.wire.mark import PROTOCOL_NUMBERS
from netprobe.wire.sweep_filter import echo_replies
from netprobe.wire.template import EchoTemplate

from .asker import Asker, Sender, Whom
from .post import Post
from .tally import Tally

# run and probe of a reply: behind the headers of IPv4, without options, and of ICMP; over IPv6 the socket
# gives no IP header
LAYOUTS = {4: struct.Struct(">28xII92x"), 6: struct.Struct(">8xII112x")}


class EchoAsker(Asker):
    """A raw socket a member, which hears nothing but the replies to this run."""

    def __init__(
        self, plan: Plan, rows: Sequence[Whom], run: int, tally: Tally, batch: Batch, craft: Craft
    ) -> None:
        super().__init__(plan, rows, run, tally, batch, craft)
        protocol = Protocol.ICMP if plan.version == 4 else Protocol.ICMPV6
        self._protocol = PROTOCOL_NUMBERS[protocol]
        self._template = EchoTemplate(craft, run, run >> 16 or 1, plan.size, protocol)
        self.layout = LAYOUTS[plan.version]

    def open(self, post: Post) -> None:
        """A raw socket with its filter. Raises OSError."""
        post.main = post.open(socket.SOCK_RAW, self._protocol)
        attach(post.main, echo_replies(self.run, self.plan.version))
        self.posts.append(post)

    def packet(self, i: int, j: int, probe: int) -> bytearray:  # noqa: ARG002 - alike for all
        """The one template, with this probe's number."""
        self._template.write(probe)
        return self._template.data

    def settle(self, i: int, fields: Sequence[int], sender: Sender, stamp_ns: int) -> bool:
        """A reply: its payload says which probe it answers; from another address it is none."""
        run, probe = fields
        return run == self.run and self.is_from(i, probe, sender) and self.tally.answered(probe, stamp_ns)
