"""TCP: a SYN from a port that each member holds, so that nobody else is given it. SYN and ACK, or a reset,
answers it; our own kernel, which knows nothing of the connection, resets it then.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from netprobe.kernel.batch import Batch
from netprobe.linux.sensors.tap import attach
from netprobe.model import Protocol
from netprobe.model.matrix import Plan
from netprobe.wire.craft import Craft
from netprobe.wire.mark import PROTOCOL_NUMBERS, SEQUENCE_SPACE
from netprobe.wire.sweep_filter import RST, syn_answers
from netprobe.wire.template import SynTemplate

from .asker import Asker, Sender, Whom
from .post import Post
from .tally import Tally

# what a TCP header acknowledges, and its flags; over IPv6 the socket gives no IP header
LAYOUTS = {4: struct.Struct(">28xIxB94x"), 6: struct.Struct(">8xIxB114x")}


class SynAsker(Asker):
    """A raw socket a member, beside one that holds its port."""

    def __init__(
        self, plan: Plan, rows: Sequence[Whom], run: int, tally: Tally, batch: Batch, craft: Craft
    ) -> None:
        super().__init__(plan, rows, run, tally, batch, craft)
        self._templates: list[dict[str, SynTemplate]] = []
        self._ports: list[int] = []
        self.layout = LAYOUTS[plan.version]

    def open(self, post: Post) -> None:
        """Hold a port, and open a raw socket that hears what comes to it. Raises OSError."""
        holder = post.open(socket.SOCK_STREAM)
        holder.bind(("::" if self.plan.version == 6 else "0.0.0.0", 0))
        port = holder.getsockname()[1]
        post.main = post.open(socket.SOCK_RAW, PROTOCOL_NUMBERS[Protocol.TCP])
        attach(post.main, syn_answers(port, self.plan.version))
        self._ports.append(port)
        self._templates.append({})
        self.posts.append(post)

    def packet(self, i: int, j: int, probe: int) -> bytearray:
        """The SYN, from the address that the kernel sends from: the checksum counts it."""
        source, known = self._source(i, j), self._templates[i]
        if source not in known:
            known[source] = SynTemplate(self.craft, self.run, source, self._ports[i], self.plan.port or 0)
        known[source].write(probe, self.rows[i].packed[j])
        return known[source].data

    def _source(self, i: int, j: int) -> str:
        member, network = self.plan.members[i], self.rows[i].networks[j]
        own = self.posts[i].own.get(network or "")
        return (own or member.addresses[0]).address

    def settle(self, i: int, fields: Sequence[int], sender: Sender, stamp_ns: int) -> bool:
        """An answer: it acknowledges the number of the probe and one."""
        acknowledged, flags = fields
        probe = (acknowledged - 1 - self.run) % SEQUENCE_SPACE
        if probe >= len(self.tally.states) or not self.is_from(i, probe, sender):
            return False
        return self.tally.refused(probe) if flags & RST else self.tally.answered(probe, stamp_ns)
