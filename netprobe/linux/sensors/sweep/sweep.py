"""The sweep: all pairs in waves, then again those without an answer, then each of these alone.

One thread. A wave is sent, heard, and what it left in the neighbour table is removed before the next one.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from time import monotonic_ns

from netprobe.errors import is_short, shortage
from netprobe.kernel.batch import Batch
from netprobe.kernel.neighbours import Fullness
from netprobe.linux.netns import inside
from netprobe.linux.privilege import not_permitted
from netprobe.model import Protocol
from netprobe.model.matrix import Member, Pair, PairState, Plan, Sweep
from netprobe.wire.craft import Craft, craft

from .asker import Asker, rows_of
from .datagram import DatagramAsker
from .echo import EchoAsker
from .post import Post
from .schedule import MARGIN, MOST, Wave, at_once, blocks, chunks, room
from .segment import ArpByHand
from .syn import SynAsker
from .tally import Tally

ASKERS: dict[Protocol, type[Asker]] = {
    Protocol.ICMP: EchoAsker, Protocol.ICMPV6: EchoAsker, Protocol.TCP: SynAsker, Protocol.UDP: DatagramAsker,
}  # fmt: skip
MANY = 64  # members; from so many on not every pair asks by broadcast
GLANCE_NS = 2_000_000  # for the answers to a few broadcasts
HASTE_NS = 3_000_000  # for the answers of a wave of the first round; who is later is asked again
TICK_NS = 20_000_000
LOOK_EVERY = 16  # waves, at the neighbour table: the kernel passes over all interfaces of the machine for it
ALONE = 500  # pairs that are asked a third time, some milliseconds each
Progress = Callable[[int, int], None]
"""Told how many pairs are done, and of how many."""
Meanwhile = Callable[[Sequence[Pair]], Iterable[object]]
"""Given the pairs that are asked once more: what can be done while they are waited for, step by step."""
_DONE = object()


def sweep(
    plan: Plan,
    handles: Mapping[str, int],
    home: int | None,
    progress: Progress,
    meanwhile: Meanwhile,
    crafter: Craft = craft,
) -> Sweep:
    """Ask all pairs of `plan`. `handles` are open descriptors of the members' namespaces by name, `home` one
    of a namespace that routes between them, whose entries for members are removed as well. The steps of
    `meanwhile` are taken while the pairs it is given are waited for.

    Raises NotPermitted where raw sockets are not allowed, Shortage without enough descriptors. Ctrl-C ends it
    with what there is.
    """
    with ExitStack() as held:
        return _Rounds(plan, handles, home, progress, held, crafter).run(meanwhile)


class _Rounds:
    """One sweep: its sockets, and the rounds."""

    def __init__(
        self,
        plan: Plan,
        handles: Mapping[str, int],
        home: int | None,
        progress: Progress,
        held: ExitStack,
        crafter: Craft,
    ) -> None:
        count = len(plan.members)
        self.plan, self.progress = plan, progress
        self.tally, batch, run = Tally(count), Batch(), int.from_bytes(os.urandom(4), "big")
        self.rows = rows_of(plan)
        made = ASKERS.get(plan.protocol)
        shared = plan, self.rows, run, self.tally, batch, crafter
        self.asker = made(*shared) if made is not None else None
        self.segment = ArpByHand(*shared) if plan.version == 4 else None
        self.posts: list[Post] = []
        self.addresses = frozenset(address for row in self.rows for address in row.packed)
        self.work: Iterator[object] = iter(())
        self.waves = 0
        self.total, self.done = plan.count(), 0
        self._are_all_asked = self.total == count * (count - 1)
        self._open(handles, home, held)
        self._full = self._fullness()
        self._room = room(self._full)
        self._limit = self._full.entries + MOST + MARGIN

    def _open(self, handles: Mapping[str, int], home: int | None, held: ExitStack) -> None:
        try:
            for member in self.plan.members:
                with inside(handles[member.namespace]):
                    self.posts.append(self._post(member, held))
                    for each in (self.asker, self.segment):
                        if each is not None:
                            each.open(self.posts[-1])
            self.router: Post | None = None
            if home is not None:
                with inside(home):
                    self.router = self._post(Member("", ""), held)
        except PermissionError as error:
            raise not_permitted("not permitted to send probes from all of these namespaces") from error
        except OSError as error:
            if is_short(error):
                raise shortage(error) from error
            raise

    def _post(self, member: Member, held: ExitStack) -> Post:
        post = Post(member, self.plan.version)
        held.callback(post.close)
        return post

    def run(self, meanwhile: Meanwhile) -> Sweep:
        """Both rounds. Whatever ends them, what they left in the neighbour table is removed."""
        retried, interrupted = 0, False
        try:
            deaf = self._first_round()
            retried = self._second_round(deaf, meanwhile)
            self._third_round()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._clean()
        tally = self.tally
        kept = max(post.table.refused for post in self.posts)
        return Sweep(tally.states, tally.times, tally.errors, retried, interrupted, kept, self._full.hard)

    def _first_round(self) -> set[Pair]:
        """Ask everything in haste; the pairs of which one does not hear the other's broadcasts."""
        deaf: set[Pair] = set()
        many = self.segment is not None and len(self.posts) > MANY
        if self.segment is not None and many:
            deaf = self.segment.announce()
        if self.segment is not None and self.asker is not None:
            self.segment.fall_silent()
        for wave in blocks(len(self.posts), self._room):
            wanted = wave if self._are_all_asked else self._asked_of(wave)
            if any(wanted.values()):
                self._wave(
                    wanted, HASTE_NS, broadcast=not many, at_once=at_once(len(self.posts)), mutual=True
                )
                self.done += sum(map(len, wanted.values()))
                self.progress(self.done, self.total)
        return deaf

    def _asked_of(self, wave: Wave) -> Wave:
        """Of a wave those pairs that there is something to ask for."""
        return {i: [j for j in others if self.rows[i].packed[j]] for i, others in wave.items()}

    def _second_round(self, deaf: set[Pair], meanwhile: Meanwhile) -> int:
        """Ask once more, by broadcast and with patience, what has no answer yet; how many those were."""
        for i in range(len(self.posts)):  # answers that came late
            self._hear(i)
        pairs = sorted({*self.tally.missing(), *deaf})
        if pairs:  # a router may know a neighbour where it is no longer
            self._clean()
        self.work = iter(meanwhile(pairs))
        for wave in chunks(pairs, self._room):
            self.progress(self.done, self.total)
            self._wave(wave, self.plan.timeout_ns, broadcast=True, at_once=at_once(len(self.posts)))
        return len(pairs)

    def _third_round(self) -> None:
        """Ask alone what may have been disturbed: two stations of one MAC take the frames from each other,
        whichever spoke last. Not where one of the two reaches nobody and is reached by nobody.
        """
        alive = self.tally.alive()
        pairs = [(i, j) for i, j in self.tally.missing() if i in alive and j in alive]
        for i, j in pairs if len(pairs) <= ALONE else ():
            self._clean_router()
            self._wave({i: [j]}, GLANCE_NS, broadcast=True, at_once=1)

    def _wave(
        self, wave: Wave, patience_ns: int, broadcast: bool, at_once: int, mutual: bool = False
    ) -> None:
        if broadcast:
            self._ask_slowly(wave, at_once)
        else:
            self._ask(wave, broadcast=False)
        short = not self._collect(wave, patience_ns)
        if self.segment is not None:
            self.segment.forget(wave, mutual)
        self.waves += 1
        waiting = self.tally.waiting(wave) if short else []
        if waiting or self.waves % LOOK_EVERY == 0:
            self._look_at_table(waiting)

    def _ask(self, wave: Wave, broadcast: bool) -> None:
        if self.segment is not None and self.asker is not None and not broadcast:
            for i, others in wave.items():
                self.segment.introduce(i, others)
        for i, others in wave.items():
            if self.asker is not None:
                self.asker.ask(i, others)
            elif self.segment is not None:
                self.segment.ask(i, others, broadcast)

    def _ask_slowly(self, wave: Wave, at_once: int) -> None:
        """Ask by what the kernels broadcast, so many pairs at once: what a processor's queue can hold."""
        pairs = [(i, j) for i, others in wave.items() for j in others]
        for start in range(0, len(pairs), at_once):
            some: Wave = {}
            for i, j in pairs[start : start + at_once]:
                some.setdefault(i, []).append(j)
            self._ask(some, broadcast=True)
            self._collect(some, GLANCE_NS, glance=True)

    def _collect(self, wave: Wave, patience_ns: int, glance: bool = False) -> bool:
        """Hear what comes until all of a wave have answered, or the time is up; whether all have. There is
        time for other work, unless it is but a glance.
        """
        until = monotonic_ns() + patience_ns
        heard = sum(map(self._hear, wave))
        if heard >= sum(map(len, wave.values())):
            return True
        while (waiting := self.tally.waiting(wave)) and (left := until - monotonic_ns()) > 0:
            sources = dict.fromkeys(i for i, _ in waiting)
            poll = select.poll()
            for i in sources:
                for sock in self._sockets(i):
                    poll.register(sock, select.POLLIN)
            idle = glance or next(self.work, _DONE) is _DONE
            if poll.poll(max(1, min(left, TICK_NS) // 1_000_000) if idle else 0):
                for i in sources:
                    self._hear(i)
        return not waiting

    def _hear(self, i: int) -> int:
        if self.asker is not None:
            return self.asker.hear(i)
        return self.segment.hear(i) if self.segment is not None else 0

    def _sockets(self, i: int) -> Iterable[socket.socket]:
        return (self.asker.socket_of(i),) if self.asker is not None else self.posts[i].arp.values()

    def _look_at_table(self, waiting: Iterable[Pair]) -> None:
        """Where the table was full meanwhile, silence says nothing; where much is left in it, that goes."""
        before, self._full = self._full, self._fullness()
        if self._full.fulls > before.fulls:
            for i, j in waiting:
                self.tally.states[i * self.tally.count + j] = PairState.FULL
        if self._full.entries > self._limit:
            self._clean()

    def _fullness(self) -> Fullness:
        post = self.posts[0]
        return post.table.fullness(post.family)

    def _clean(self) -> None:
        """Remove every entry that was not there before: all of the members, in the router those for them."""
        self._clean_router()  # first: whom it knows it asks whether they are there still
        for post in self.posts:
            post.forget_new()

    def _clean_router(self) -> None:
        if self.router is not None:
            self.router.forget_new(self.addresses)
