"""What a machine lets netprobe see, and what not: the answer of `netprobe doctor`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from .command import Command


class State(StrEnum):
    """How much netprobe can see of a subject: all, less than all, or so little that no question can be
    answered.
    """

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


class Finding(Struct, frozen=True, gc=False):
    """One subject: how it is here (`fact`), what cannot be seen because of that (`effect`), and the one
    command that helps. Advice without words is for what no command does.
    """

    subject: str
    state: State
    fact: str
    effect: str = ""
    help: Command | None = None


class Examination(Struct, frozen=True, gc=False):
    """All subjects, in the order in which they matter."""

    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of all."""
        states = [each.state for each in self.findings]
        return max(states, key=tuple(State).index, default=State.OK)
