"""What became of declared expectations, shaped as the JSON that scripts rely on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from .report import Cause, Report


class Status(StrEnum):
    """Whether an expectation holds. ERROR: it could not be asked; UNDETERMINED: nobody can tell."""

    HELD = "held"
    FAILED = "failed"
    UNDETERMINED = "undetermined"
    ERROR = "error"


class Checked(Struct, frozen=True, gc=False):
    """One expectation and what became of it.

    `asked` and `wanted` are the question and the expected answer in a few words; `reason` is why it holds or
    does not, in a sentence, `hint` what to do about an error. `notes` say what was not looked at. `report` is
    the answer behind it, None of an error. `before`: whether it holds without the changes that are tried.
    `code` is the exit code of an error, else 0.
    """

    name: str
    asked: str
    wanted: str
    status: Status
    reason: str
    file: str = ""
    line: int = 0
    spent_ns: int = 0
    hint: str = ""
    notes: tuple[str, ...] = ()
    before: Status | None = None
    code: int = 0
    report: Report | None = None

    @property
    def title(self) -> str:
        """What a person called it, with the question, or the question alone."""
        said = f"{self.asked} is {self.wanted}"
        return f"{self.name}: {said}" if self.name else said

    @property
    def cause(self) -> Cause | None:
        """The first cause of the report behind it, if it has one."""
        return next(iter(self.report.causes), None) if self.report is not None else None

    @property
    def turned(self) -> str:
        """What the changes do to it: "breaks", "mends", or "" where it stays as it is."""
        if self.before is None or self.before is self.status:
            return ""
        return {Status.HELD: "mends", Status.FAILED: "breaks"}.get(self.status, "")


class CheckReport(Struct, frozen=True, gc=False):
    """All expectations of a run, in the order of their files.

    `complete` False: it was interrupted, and `results` are those that were decided by then; `expected` counts
    all. `recording` is the saved run that was asked instead of the machine, `changes` the commands that were
    tried on the model: with either nothing was sent.
    """

    results: tuple[Checked, ...]
    expected: int
    schema: Literal["netprobe.check/1"] = "netprobe.check/1"
    complete: bool = True
    recording: str | None = None
    changes: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        """How many have this status."""
        return sum(each.status is status for each in self.results)

    @property
    def holds(self) -> bool:
        """Whether all were asked, and all hold."""
        return self.complete and self.count(Status.HELD) == len(self.results)
