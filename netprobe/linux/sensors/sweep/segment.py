"""ARP by hand on the members' networks: the question that is the probe itself, or that makes two neighbours
known to each other before something else is asked.

A broadcast goes to every station of a segment, so that asking all pairs by it costs the cube of their number.
Where members are many, each asks once by broadcast, and everybody's socket says whether the question came;
each pair then asks by unicast. A pair that one of both fails for is asked by broadcast after all. What is not
told apart is a rule that drops a broadcast for one address and no other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from time import sleep, time_ns

from netprobe.kernel.batch import MESSAGES, Batch
from netprobe.linux.sensors.tap import NOTHING, attach
from netprobe.model.matrix import Pair, Plan
from netprobe.wire.craft import Craft
from netprobe.wire.sweep_filter import ARP_REPLY, arp_frames
from netprobe.wire.template import ArpTemplate

from .asker import SECOND_NS, SENDERS, Whom
from .post import Post
from .schedule import Wave, at_once
from .tally import SENT, Tally

NOBODY: Sequence[int] = ()
EVERYBODY = b"\xff" * 6
TRIES = 3  # of a broadcast that not all have heard: a processor's queue may have been full
GLANCE_S = 0.0005
# of an ARP frame: the operation, whom it is from (MAC and address), and run and probe in its padding
LAYOUT = struct.Struct(">21xB6s4s10xII78x")


class ArpByHand:
    """The packet sockets of all members, one a network that others share with it."""

    def __init__(
        self, plan: Plan, rows: Sequence[Whom], run: int, tally: Tally, batch: Batch, craft: Craft
    ) -> None:
        self.run, self.tally, self.batch, self.rows = run, tally, batch, rows
        self.posts: list[Post] = []
        self._model = ArpTemplate(craft, run, "0.0.0.0", "00:00:00:00:00:00")
        self._templates: list[dict[str, ArpTemplate]] = []
        self._own = [
            {each.network: ip_address(each.address).packed for each in member.addresses}
            for member in plan.members
        ]

    def open(self, post: Post) -> None:
        """The next member's sockets. Raises OSError."""
        i = len(self.posts)
        shared = {network for network in self.rows[i].networks if network is not None}
        made = {}
        for network in sorted(shared):
            own = post.own[network]
            address = ip_address(own.address)
            post.open_arp(network, arp_frames(self.run, int(address)))
            made[network] = self._model.of(
                bytes.fromhex((own.mac or "00" * 6).replace(":", "")), address.packed
            )
        self._templates.append(made)
        self.posts.append(post)

    def ask(self, i: int, others: Sequence[int], broadcast: bool) -> None:
        """Member i asks each of the others by ARP; the answer decides."""
        first, tally = i * self.tally.count, self.tally
        states, times = tally.states, tally.times
        for j, send, data in self._written(i, others, broadcast):
            probe = first + j
            states[probe], times[probe] = SENT, time_ns()
            try:
                send(data)
            except OSError as error:
                tally.failed(probe, error.errno or 0, full=False)

    def introduce(self, i: int, others: Sequence[int]) -> None:
        """Make member i known to those of the others on its networks: they learn it from its question."""
        for _, send, data in self._written(i, others, broadcast=False):
            with suppress(OSError):  # then the probe itself finds out
                send(data)

    def _written(
        self, i: int, others: Sequence[int], broadcast: bool
    ) -> Iterator[tuple[int, Callable[[bytearray], int], bytearray]]:
        """For each of the others on a network of member i: it, and how to send what; one frame for all."""
        row, first = self.rows[i], i * self.tally.count
        networks, macs, packed = row.networks, row.macs, row.packed
        for network, template in self._templates[i].items():
            send, data, write = self.posts[i].arp[network].send, template.data, template.write
            for j in others:
                if networks[j] == network:
                    write(first + j, EVERYBODY if broadcast else macs[j] or EVERYBODY, packed[j])
                    yield j, send, data

    def announce(self) -> set[Pair]:
        """Each member asks the next one on each network by broadcast; the pairs of which the second has not
        heard the first.
        """
        heard = bytearray(self.tally.count**2)
        askers = [(i, network) for i, made in enumerate(self._templates) for network in made]
        for _ in range(TRIES):
            self._announce(askers, heard)
            askers = [each for each in askers if self._deaf_to(*each, heard)]
        return {(i, j) for i, network in askers for j in self._deaf_to(i, network, heard)}

    def _announce(self, askers: Sequence[tuple[int, str]], heard: bytearray) -> None:
        step = at_once(self.tally.count)
        for start in range(0, len(askers), MESSAGES):
            some = askers[start : start + MESSAGES]
            for n, (i, network) in enumerate(some):
                with suppress(OSError):
                    for _, send, data in self._written(i, [self._next(i, network)], broadcast=True):
                        send(data)
                if n % step == 0:
                    sleep(GLANCE_S)
            for j in range(len(self.posts)):
                self.hear(j, heard)
            for i, network in some:
                self.forget({i: [self._next(i, network)]})

    def _next(self, i: int, network: str) -> int:
        """The next member on a network, round and round."""
        on = self.rows[i].networks
        return on.index(network, i + 1) if network in on[i + 1 :] else on.index(network)

    def _deaf_to(self, i: int, network: str, heard: bytearray) -> list[int]:
        count, on = self.tally.count, self.rows[i].networks
        silent = [j for j, has in enumerate(heard[i * count : (i + 1) * count]) if not has and j != i]
        return [j for j in silent if on[j] == network]

    def hear(self, i: int, broadcasts: bytearray | None = None) -> int:
        """How many pairs are settled by the replies that wait at the sockets of member i. In `broadcasts`
        each question to everybody that came is noted, at asker * count + hearer.
        """
        batch, found, whom, first = self.batch, 0, self.rows[i].whom, i * self.tally.count
        answered = self.tally.answered
        for sock in self.posts[i].arp.values():
            while True:
                count = batch.receive(sock.fileno())
                for fields, _, (seconds, rest) in batch.read(LAYOUT, SENDERS[4], count):
                    kind, mac, sender, run, probe = fields
                    if kind != ARP_REPLY:
                        self._note(i, run, probe, broadcasts)
                    elif len(asked := whom.get(sender, NOBODY)) == 1:
                        found += answered(first + asked[0], seconds * SECOND_NS + rest)
                    else:
                        found += self._replied(i, mac, asked, seconds * SECOND_NS + rest)
                if count < MESSAGES:
                    break
        return found

    def _note(self, i: int, run: int, probe: int, broadcasts: bytearray | None) -> None:
        asker = probe // self.tally.count
        if broadcasts is not None and run == self.run and asker < self.tally.count:
            broadcasts[asker * self.tally.count + i] = 1

    def _replied(self, i: int, mac: bytes, asked: Sequence[int], stamp_ns: int) -> int:
        """Settle what member i asked an address for that several have: the one with this MAC."""
        row, first = self.rows[i], i * self.tally.count
        settled = [self.tally.answered(first + j, stamp_ns) for j in asked if row.macs[j] == mac]
        return sum(settled)

    def fall_silent(self) -> None:
        """Hear nothing any more: another protocol is the probe."""
        for post in self.posts:
            for sock in post.arp.values():
                attach(sock, NOTHING)

    def forget(self, wave: Wave, mutual: bool = False) -> None:
        """Remove the entries that the pairs of a wave have made on both sides; `mutual`: it has both ways of
        each pair.
        """
        met: Mapping[int, Collection[int]] = wave if mutual else _both_ways(wave)
        for i, known in met.items():
            networks, packed = self.rows[i].networks, self.rows[i].packed
            for network in self._templates[i]:
                self.posts[i].forget(network, [packed[j] for j in known if networks[j] == network])


def _both_ways(wave: Wave) -> dict[int, set[int]]:
    """Whom each member has met, whether it asked or was asked."""
    met: dict[int, set[int]] = {i: set(others) for i, others in wave.items()}
    for i, others in wave.items():
        for j in others:
            met.setdefault(j, set()).add(i)
    return met
