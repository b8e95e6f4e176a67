"""The seams of the line: what can be read and observed of a machine, where an earlier run is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from netprobe.model import Blind, Earlier, Endpoint, Need, Observation, Probe, Snapshot, Watch

if TYPE_CHECKING:
    from netprobe.model.matrix import Member, Pair, Plan, Sweep

Pauses = Callable[[], AbstractContextManager[None]]
"""Gives blocks in which nothing is read: their time is none of that for reading."""

Progress = Callable[[int, int], None]
"""Told how many pairs are done, and of how many."""


class World(Protocol):
    """The one seam: what can be read of a machine, and what can be observed on it.

    A recording has the same methods.
    """

    def reading(self, limit_ns: int) -> AbstractContextManager[Pauses]:
        """In the block all reading together takes no longer than `limit_ns`."""
        ...

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """The endpoint that `text` names."""
        ...

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for, or with a blind spot where it cannot be had."""
        ...

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """Send the probe and report what was seen of it."""
        ...


class Recall(Protocol):
    """Where an earlier run of a question may be found, in which all was well."""

    def check(self, command: str, probe: Probe) -> None:
        """Raises WrongQuestion, before anything is sent, where what was named does not fit."""
        ...

    def find(self, command: str, probe: Probe) -> Earlier | None:
        """That run; asked for only when the probe was lost."""
        ...


class MatrixWorld(World, Protocol):
    """A machine that can ask all pairs at once."""

    def members(
        self, endpoints: Sequence[Endpoint], groups: Sequence[str], version: int
    ) -> tuple[Member | Blind, ...]:
        """Each endpoint with its addresses of an IP version, or why it could not be looked at."""
        ...

    def sweep(
        self, plan: Plan, progress: Progress, meanwhile: Callable[[Sequence[Pair]], Iterable[object]]
    ) -> Sweep:
        """Ask all pairs of the plan; take the steps of `meanwhile` while pairs without an answer are waited
        for.
        """
        ...

    def tidied(self, plan: Plan, pair: Pair) -> AbstractContextManager[None]:
        """Neighbour entries that the block makes for the two of a pair are removed again."""
        ...
