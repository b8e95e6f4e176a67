"""Runs as they are saved: what was found, and all that it was found from."""

from __future__ import annotations

from msgspec import Struct

from .report import Observation, Report
from .snapshot import Snapshot


class Earlier(Struct, frozen=True, gc=False):
    """A saved run in which all was well, to hold a failed one of the same question against.

    `capture` is its file; `time` and `at` as in `Since`.
    """

    capture: str
    time: int
    at: str
    snapshot: Snapshot


class Run(Struct, frozen=True, gc=False):
    """One whole run, as it is saved and replayed: question, configuration, observations and the report made
    of them.

    `tapped` names the namespaces that had a sensor; empty where nothing was sent. `earlier` is the run that
    it was held against, with the namespaces in which something was otherwise.
    """

    report: Report
    snapshot: Snapshot
    observations: tuple[Observation, ...] = ()
    started_ns: int = 0
    tapped: tuple[str, ...] = ()
    earlier: Earlier | None = None
