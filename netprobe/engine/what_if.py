"""Questions answered by the model alone, as things are and as they would be after some commands. Nothing is
sent, and nothing on the machine is changed.

The commands are carried out on what was read, again each time more of it was: a cable that is pulled at one
end takes along the carrier of the other, which may be read later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from msgspec.structs import replace

from netprobe.diagnose.apply import Refused, tried
from netprobe.diagnose.learned import without_learned
from netprobe.diagnose.typed import Misread, typed
from netprobe.errors import CannotLook, WrongQuestion, for_want_of_resources
from netprobe.model import (
    Command,
    Endpoint,
    FindPeer,
    Need,
    Observation,
    Probe,
    ReadNamespace,
    Run,
    Snapshot,
    Watch,
)
from netprobe.predict.predict import Prediction, predict
from netprobe.question import Question

from . import conclude
from .clock import Clock, now
from .line import READING_NS
from .probe import to_probe
from .recorded import Recorded, Unrecorded
from .rounds import foretell, look_around, needed
from .world import Pauses, World

HERE = "host"  # where a command is run that does not say it


class WhatIf:
    """A world that is only read, and the commands of `lines` that are tried on what it holds.

    Raises WrongQuestion for a line that the model cannot carry out.
    """

    def __init__(self, world: World, lines: Sequence[str] = ()) -> None:
        self.world = world
        self._base = Snapshot(moment=now())
        self._probes: dict[Question, Probe] = {}
        self._commands: tuple[Command, ...] = ()
        self._made: dict[tuple[Command, ...], tuple[Snapshot, Snapshot]] = {}
        with for_want_of_resources(), world.reading(READING_NS):
            for line in lines:
                self._commands += tuple(self._understood(line))
                self._try(line)

    def as_it_is(self, question: Question) -> Run:
        """What the model says of a question."""
        return self._asked(question, ())

    def as_it_would_be(self, question: Question) -> Run:
        """What the model says of the same question after the commands."""
        return self._asked(question, self._commands)

    def grown(self, needs: Sequence[Need], commands: tuple[Command, ...]) -> Snapshot:
        """What was read, with `needs` as well, after these commands."""
        if needs:
            self._base = self.world.read(self._base, needs)
        base, made = self._made.get(commands, (None, self._base))
        if base is not self._base:  # what is derived from a snapshot is kept with it: make no other one
            made = tried(without_learned(self._base) if self._commands else self._base, commands)
            self._made[commands] = self._base, made
        return made

    def _asked(self, question: Question, commands: tuple[Command, ...]) -> Run:
        """The line without its packet."""
        view = _View(self, commands)
        with for_want_of_resources(), self.world.reading(READING_NS) as pauses:
            clock = Clock(pauses)
            probe = self._probe(question)
            snapshot, prediction = self._foreseen(probe, commands, clock)
            if not prediction.passes:
                snapshot = look_around(view, snapshot, prediction, clock, None)
            report = conclude.diagnosed(
                "why", prediction.probe, snapshot, prediction, None, frozenset(), clock, None
            )
            report, snapshot = foretell(view, report, snapshot, clock, None)
        report = replace(report, timings=clock.timings())
        return Run(conclude.typed(report, snapshot), snapshot)

    def _probe(self, question: Question) -> Probe:
        """The question as a probe: decided before any change, as a program would go on asking."""
        if question not in self._probes:
            self._probes[question] = to_probe(self.world, replace(question, command="why", send=False)).probe
        return self._probes[question]

    def _foreseen(
        self, probe: Probe, commands: tuple[Command, ...], clock: Clock
    ) -> tuple[Snapshot, Prediction]:
        """Predict, reading what the prediction asks for. Each walk begins anew: what is read may change what
        lies behind. The kernel's routes count where nothing is changed, the model's own elsewhere.
        """
        snapshot, asked = self.grown((), commands), set[Need]()
        while True:
            with clock.of("predict"):
                outcome = predict(snapshot, probe)
                if not isinstance(outcome, Prediction) and asked.issuperset(outcome):
                    outcome = predict(snapshot, probe, ask=False)
            if isinstance(outcome, Prediction):
                return snapshot, outcome
            fresh = [need for need in outcome if need not in asked]
            if not fresh:
                raise self._lacking(outcome)
            asked.update(fresh)
            with clock.of("snapshot"):
                snapshot = self.grown(fresh, commands)

    def _lacking(self, needs: Sequence[Need]) -> CannotLook:
        if isinstance(self.world, Recorded):
            return Unrecorded(f"the saved run does not hold {needed(needs)}")
        return CannotLook(f"cannot read {needed(needs)}", "It may have vanished; try again.")

    # ---- the commands

    def _understood(self, line: str) -> Iterator[Command]:
        """The commands of a line, each with its namespace, which is read with what it leads to."""
        try:
            found = typed(line)
        except Misread as error:
            raise WrongQuestion(f"`{line}` cannot be tried: {error}") from error
        name = self._namespace(found.where or HERE)
        self._base = self.world.read(self._base, [ReadNamespace(name)])
        for command in found.commands:
            words = self._with_target(command.words)
            self._check_sysctl(line, name, words)
            self._read_far_ends(name, words)
            yield replace(command, words=words, namespace=name)

    def _check_sysctl(self, line: str, name: str, words: tuple[str, ...]) -> None:
        """Raises WrongQuestion for a setting that is not read: that it changes nothing would be a guess."""
        if words[:2] != ("sysctl", "-w"):
            return
        key = words[2].partition("=")[0]
        if key not in self._base[name].sysctls:
            raise WrongQuestion(f"`{line}` cannot be tried: the model does not look at {key} in {name}")

    def _namespace(self, text: str) -> str:
        found = self.world.resolve(text)
        if found.namespace is None:
            raise WrongQuestion(f"{text} is no namespace to run a command in", "See `netprobe ls`.")
        return found.namespace

    def _with_target(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """`ip link set dev IFACE netns NAME` with the namespace as the snapshot calls it."""
        if words[:3] != ("ip", "link", "set") or "netns" not in words[:-1]:
            return words
        at = words.index("netns") + 1
        kind = "pid:" if words[at].isdigit() else "path:" * words[at].startswith("/")
        name = self._namespace(f"{kind}{words[at]}")
        self._base = self.world.read(self._base, [ReadNamespace(name)])
        return (*words[:at], name, *words[at + 1 :])

    def _read_far_ends(self, name: str, words: tuple[str, ...]) -> None:
        """Read who is at the other end of the cables that are named."""
        ends = [link.far_end for link in self._base[name].links if link.name in words]
        numbers = [end[0] for end in ends if end is not None]
        self._base = self.world.read(self._base, [FindPeer(name, number) for number in numbers])
        peers = {p.peer for p in self._base.peers if p.namespace == name and p.nsid in numbers}
        unread = [ReadNamespace(each) for each in peers if each is not None and each not in self._base]
        self._base = self.world.read(self._base, unread)

    def _try(self, line: str) -> None:
        try:
            tried(self._base, self._commands)
        except Refused as error:
            where = error.command.namespace
            raise WrongQuestion(
                f"`{line}` cannot be tried: the model does not know what it does in {where}, or it would be"
                " refused there",
                "Is everything there that it names? docs/check.md lists what can be tried.",
            ) from error


class _View:
    """What was read, after some commands, as a world."""

    def __init__(self, whole: WhatIf, commands: tuple[Command, ...]) -> None:
        self._whole, self._commands = whole, commands

    def reading(self, limit_ns: int) -> AbstractContextManager[Pauses]:
        return self._whole.world.reading(limit_ns)

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        return self._whole.world.resolve(text, inside)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        del snapshot  # it is part of what was read
        return self._whole.grown(needs, self._commands)

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        del watch, settled
        raise CannotLook("nothing is sent in a model")
