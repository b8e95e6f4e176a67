"""All pairs of a matrix asked over several hosts: each host sends for its endpoints and hears what comes to
them, side by side with the others.

An echo request is known by eight bytes, of the run and of the pair. A pair is reachable when its destination
has heard the question and its source the answer: on another host there may be somebody else with the same
address. Of the pairs of a host that is lost nothing is known but what has been heard.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from netprobe.errors import CannotLook, NetprobeError, WrongQuestion
from netprobe.linux.sensors.tap import SO_TIMESTAMPNS_NEW, messages_of, stamp_of
from netprobe.model import Blind, Protocol
from netprobe.model.matrix import Pair, PairState, Plan, Sweep
from netprobe.wire.bpf import packed
from netprobe.wire.craft import Craft, craft
from netprobe.wire.mark import PROTOCOL_NUMBERS
from netprobe.wire.sweep_filter import echoes
from netprobe.wire.template import TOKEN, EchoTemplate

from .place import DistantNamespace
from .taken import TakenMessage, taken_answer

HASTE_S = 0.3  # for the answers of the first round; who is later is asked again
APART_NS = 20_000  # between two questions of one host
TAKE_S = 0.1
GRACE_S = 2.0
SHARED = "neighbour entries that the probes made on the hosts stay until they age"
_ECHO = {4: (8, 0), 6: (128, 129)}  # types of questions and answers, RFC 792 and RFC 4443
Progress = Callable[[int, int], None]
Meanwhile = Callable[[Sequence[Pair]], Iterable[object]]


def sweep(
    plan: Plan,
    places: Mapping[str, DistantNamespace],
    chosen: frozenset[Pair] | None,
    progress: Progress,
    meanwhile: Meanwhile,
    crafter: Craft = craft,
) -> Sweep:
    """Ask the pairs of `plan`, of those the `chosen`. `places` are the members' namespaces by name.

    Raises WrongQuestion for another protocol than ICMP, CannotLook where no host listens. Ctrl-C ends it
    with what there is.
    """
    if plan.protocol not in (Protocol.ICMP, Protocol.ICMPV6):
        raise WrongQuestion(f"a matrix over hosts does not ask by {plan.protocol.upper()}", "Ask by -p icmp.")
    wanted = [pair for pair in plan.pairs() if chosen is None or pair in chosen]
    rounds = _FleetSweep(plan, places, crafter)
    retried, interrupted = 0, False
    try:
        rounds.open()
        rounds.ask(wanted, HASTE_S, iter(()))
        progress(len(wanted) - len(rounds.missing(wanted)), len(wanted))
        if missing := rounds.missing(wanted):
            retried = len(missing)
            rounds.ask(missing, plan.timeout_ns / 1e9, iter(meanwhile(missing)))
            progress(len(wanted), len(wanted))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        rounds.close()
    return rounds.found(wanted, retried, interrupted, is_sampled=chosen is not None)


class _FleetSweep:
    """One sweep: what is known of each pair, and the hosts."""

    def __init__(self, plan: Plan, places: Mapping[str, DistantNamespace], crafter: Craft) -> None:
        count = len(plan.members)
        self.plan, self.count, self.run = plan, count, int.from_bytes(os.urandom(4), "big")
        self.craft = crafter
        self.states = bytearray(count * count)
        self.rtt, self.errors = array("q", [0]) * (count * count), dict[int, int]()
        self.sent = array("q", [0]) * (count * count)
        self.answers: dict[int, int] = {}  # when a pair's answer came, by its number
        self.arrived: set[int] = set()  # whose question has come to its destination
        self.heard = threading.Condition()
        of: dict[Any, list[int]] = {}
        for number, member in enumerate(plan.members):
            of.setdefault(places[member.namespace].questions, []).append(number)
        self.hosts = [_SweepingHost(self, members, places) for members in of.values()]
        self.host_of = {number: host for host in self.hosts for number in host.members}
        self.pool = ThreadPoolExecutor(2 * len(self.hosts), "netprobe-sweep")

    def _on_all(self, do: Callable[[_SweepingHost], None]) -> None:
        """Have all hosts do something that are there, and wait for it."""
        asked = [self.pool.submit(host.attempt, do) for host in self.hosts if not host.why]
        for each in asked:
            each.result()

    def open(self) -> None:
        """Have the hosts listen. Raises CannotLook where none does."""
        self._on_all(_SweepingHost.open)
        if all(host.why for host in self.hosts):
            raise CannotLook(self.hosts[0].why)
        for host in self.hosts:
            if not host.why:
                self.pool.submit(host.attempt, _SweepingHost.listen)

    def ask(self, pairs: Sequence[Pair], patience_s: float, work: Iterator[object]) -> None:
        """Ask these, and wait until all have answered, or for so long; meanwhile take the steps of `work`."""
        plan = self.plan
        template = EchoTemplate(self.craft, self.run, self.run >> 16 or 1, plan.size, plan.protocol)
        asked: dict[int, list[tuple[int, bytes]]] = {}
        for i, j in self.missing(pairs):
            number = i * self.count + j
            template.write(number)
            self.states[number] = PairState.SENT
            asked.setdefault(i, []).append((number, bytes(template.data)))
        self._on_all(lambda host: host.fire(asked))
        end = time.monotonic() + patience_s + len(pairs) * APART_NS / 1e9
        busy = True
        while self.missing(pairs) and (left := end - time.monotonic()) > 0:
            busy = busy and next(work, None) is not None
            with self.heard:
                self.heard.wait(0 if busy else min(left, TAKE_S))

    def missing(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those of these that have not answered, and still can."""
        lost = self.lost()
        return [(i, j) for i, j in self._unanswered(pairs) if i not in lost and j not in lost]

    def _unanswered(self, pairs: Sequence[Pair]) -> Iterator[Pair]:
        return ((i, j) for i, j in pairs if self.states[i * self.count + j] != PairState.ANSWERED)

    def lost(self) -> dict[int, str]:
        """The members of hosts that are lost, and why those are."""
        return {number: host.why for number, host in self.host_of.items() if host.why}

    def settle(self, number: int) -> None:
        """A pair of which both ends have been heard is reachable."""
        if number in self.answers and number in self.arrived:
            self.states[number] = PairState.ANSWERED
            self.rtt[number] = max(1, self.answers[number] - self.sent[number]) if self.sent[number] else 1

    def close(self) -> None:
        """Have the hosts say what is left, and forget this."""
        for host in self.hosts:
            host.is_over = True
            if host.why:
                host.abandon()
        self._on_all(_SweepingHost.close)
        self.pool.shutdown(wait=True)

    def found(self, pairs: Sequence[Pair], retried: int, interrupted: bool, is_sampled: bool) -> Sweep:
        """What became of these."""
        lost = self.lost()
        for i, j in self._unanswered(pairs):
            if i in lost or j in lost:
                self.states[i * self.count + j] = PairState.LOST
        blind = tuple(Blind(host.connection.host, host.why) for host in self.hosts if host.why)
        return Sweep(
            self.states, self.rtt, self.errors, retried, interrupted, notes=(SHARED,), sampled=is_sampled,
            lost=lost, blind=blind,
        )  # fmt: skip


class _SweepingHost:
    """The part of one host: a run of its agent, with a socket for each of its members."""

    def __init__(
        self, rounds: _FleetSweep, members: Sequence[int], places: Mapping[str, DistantNamespace]
    ) -> None:
        self.rounds, self.members = rounds, members
        self.places = [places[rounds.plan.members[i].namespace] for i in members]
        self.socket_of = {i: n for n, i in enumerate(members)}
        self.asked: list[int] = []  # the pair of each packet that was sent, in order
        self.why = ""  # it is lost
        self.is_over = False
        self.name = f"{rounds.run}"
        self.connection = self.places[0].questions.connection

    def attempt(self, do: Callable[[_SweepingHost], None]) -> None:
        """Do this; the first that fails loses the host."""
        try:
            do(self)
        except (OSError, NetprobeError, ArithmeticError, MemoryError) as error:
            name = self.connection.host
            said = str((isinstance(error, OSError) and error.strerror) or error)
            why = said if name in said else f"{name}: {said}"
            with self.rounds.heard:
                self.why = self.why or why
                self.rounds.heard.notify_all()

    def abandon(self) -> None:
        """Nobody waits for what a lost host says; it ends by itself."""
        with suppress(OSError):
            self.connection.begin("finish", self.name, timeout=GRACE_S)

    def open(self) -> None:
        """A raw socket for each member, which hears echoes of this run."""
        plan = self.rounds.plan
        family = socket.AF_INET if plan.version == 4 else socket.AF_INET6
        program = packed(echoes(self.rounds.run, plan.version))
        protocol = PROTOCOL_NUMBERS[plan.protocol]
        for n, place in enumerate(self.places):
            operations = [
                ["socket", int(family), int(socket.SOCK_RAW), protocol],
                ["setsockopt", n, int(socket.SOL_SOCKET), SO_TIMESTAMPNS_NEW, 1],
                ["enlarge", n], ["filter", n, program], ["hear", n],
            ]  # fmt: skip
            answers = self.connection.call("sender", self.name, place.number, operations)
            if not isinstance(answers, list) or len(answers) != len(operations):
                raise self._nonsense("")
            refused = [each for each in answers if isinstance(each, dict)]
            if refused:
                member = plan.members[self.members[n]].endpoint
                raise CannotLook(f"cannot ask from {member}: {refused[0].get('text')}")

    def fire(self, asked: Mapping[int, Sequence[tuple[int, bytes]]]) -> None:
        """Send what the members of this host ask."""
        plan, count, sends = self.rounds.plan, self.rounds.count, []
        for i in self.members:
            for number, data in asked.get(i, ()):
                aim = plan.aims[i][number % count]
                assert aim is not None
                self.asked.append(number)
                sends.append([self.socket_of[i], data, [aim.address.address, 0], APART_NS])
        if sends:
            self.connection.call("fire", self.name, sends)

    def listen(self) -> None:
        """Note what comes, until the end."""
        while not self.is_over:
            try:
                answer = self.connection.call("take", self.name, int(TAKE_S * 1e9), timeout=TAKE_S + GRACE_S)
            except OSError:
                if self.is_over:  # `finish` came before, and says what there is
                    return
                raise
            self._take(answer)

    def _take(self, answer: Any) -> None:
        with self.rounds.heard:
            try:
                self._note(answer)
            except (ValueError, LookupError, struct.error) as error:
                raise self._nonsense(f" ({error})") from None
            self.rounds.heard.notify_all()

    def _nonsense(self, what: str) -> CannotLook:
        return CannotLook(f"{self.connection.host} gives other answers than it was asked for{what}")

    def _note(self, answer: Any) -> None:
        rounds, taken = self.rounds, taken_answer(answer)
        for each in taken.sent:
            number = self.asked[each.shot]
            rounds.sent[number] = each.stamp_ns
            if each.code and rounds.states[number] != PairState.ANSWERED:
                rounds.states[number] = PairState.UNSENT
                rounds.errors[number] = each.code
        for said in taken.heard:
            if not said.is_error:
                self._hear(said)

    def _hear(self, message: TakenMessage) -> None:
        """An echo of this run that has come to a member."""
        rounds, member, data = self.rounds, self.members[message.number], message.data
        start = 4 * (data[0] & 15) if rounds.plan.version == 4 else 0
        run, number = TOKEN.unpack_from(data, start + 8)
        question, answer = _ECHO[rounds.plan.version]
        source, destination = divmod(number, rounds.count)
        if run != rounds.run or number >= len(rounds.states):
            return
        if data[start] == question and destination == member:
            rounds.arrived.add(number)
        elif data[start] == answer and source == member:
            rounds.answers.setdefault(number, stamp_of(messages_of(message.control)))
        rounds.settle(number)

    def close(self) -> None:
        """Let the agent close the sockets, and say what has come last."""
        self._take(self.connection.call("finish", self.name, timeout=GRACE_S))
