"""What Python gets for an answer: reports, what two saved runs differ in, the handbook's pages."""

from __future__ import annotations

import os

from msgspec import Struct
from msgspec.structs import asdict

from . import model
from .engine import replay
from .errors import WrongQuestion


class Report(model.Report, frozen=True):
    """The answer to one question. True when the destination is reachable."""

    def __bool__(self) -> bool:
        return self.verdict is model.Verdict.REACHABLE

    def __repr__(self) -> str:
        from .render.escape import safe
        from .render.headline import ending, question

        code = f" [{self.cause.code}]" if self.cause is not None else ""
        return f"<{self.command}: {safe(question(self))}  {safe(ending(self))}{code}>"

    @property
    def reachable(self) -> bool:
        """Whether an answer came back to every probe (for `why`: would come back)."""
        return bool(self)

    @property
    def undetermined(self) -> bool:
        """Whether it cannot be told: too little could be seen, or prediction and observation disagree."""
        return self.verdict is model.Verdict.UNDETERMINED

    @property
    def cause(self) -> model.Cause | None:
        """The one thing to change; None when nothing is broken, or when it is not known that something is."""
        return self.causes[0] if self.causes else None

    @property
    def fix(self) -> tuple[str, ...]:
        """The commands that mend the cause, as a person would type them."""
        return self.cause.fix if self.cause is not None else ()

    def text(self, width: int = 100, colour: bool = False) -> str:
        """The report as the command line prints it, so many columns wide."""
        return self._formatted("text", width, colour)

    def json(self) -> str:
        """The report as one line of JSON (`netprobe schema` prints its schema)."""
        return self._formatted("json", 0, False).rstrip("\n")

    def markdown(self) -> str:
        """The report for the summary page of a run in CI."""
        return self._formatted("markdown", 0, False)

    def html(self) -> str:
        """The report as a page in one file, with pictures of the way; it fetches nothing."""
        return self._formatted("html", 0, False)

    def svg(self) -> str:
        """The way of the packet as a picture, one lane a namespace."""
        return self._formatted("svg", 0, False)

    def _formatted(self, output: str, width: int, colour: bool) -> str:
        from .formats import formatted
        from .render.terminal import Terminal

        return formatted(self, output, Terminal(width, colour=colour))


def report_of(report: model.Report) -> Report:
    """A report with the methods of this one."""
    return Report(**asdict(report))


class Compared(Struct, frozen=True):
    """What two saved runs differ in; false when nothing differs."""

    before: model.Report
    after: model.Report
    found: model.Comparison

    def __bool__(self) -> bool:
        return not self.found.same

    def text(self, width: int = 100, colour: bool = False) -> str:
        """The differences as `netprobe diff` prints them."""
        from .formats import compared
        from .render.terminal import Terminal

        return compared(self.before, self.after, self.found, "text", Terminal(width, colour=colour))


def load(path: str | os.PathLike[str]) -> Report:
    """The report of a saved run - a capture of netprobe's, or a JSON report.

    Raises WrongQuestion for any other file.
    """
    from .saved import load as read

    report, run = read(os.fspath(path))
    return report_of(replay(run).report if run is not None else report)


def diff(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> Compared:
    """What changed between two saved runs: the answer, the path, the configuration. Raises WrongQuestion."""
    from .diagnose.diff import compare
    from .saved import load as read

    (old, was), (new, now) = read(os.fspath(before)), read(os.fspath(after))
    snapshots = (was.snapshot, now.snapshot) if was is not None and now is not None else None
    return Compared(old, new, compare(old, new, snapshots))


def explain(code: str) -> model.Page:
    """The page of the handbook about a cause.

    Raises WrongQuestion, with the nearest codes, when there is none.
    """
    from .causes import pages

    found = pages.find(code)
    if found is None:
        near = pages.nearest(code)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise WrongQuestion(f"no cause is called {code}", f"{hint}`netprobe explain` lists them all.")
    return found
