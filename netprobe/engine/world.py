"""The seams of the line: what can be read and observed of a machine, where an earlier run is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from netprobe.model import Earlier, Endpoint, Need, Observation, Probe, Snapshot, Watch


class World(Protocol):
    """The one seam: what can be read of a machine, and what can be observed on it.

    A recording has the same methods.
    """

    def reading(self, limit_ns: int) -> AbstractContextManager[None]:
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
