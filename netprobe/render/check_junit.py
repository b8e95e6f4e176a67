"""What became of expectations as JUnit's cases: a suite for each file."""

from __future__ import annotations

from netprobe.model.check import Checked, CheckReport, Status

from .check import blame
from .junit import Ending, JunitCase, JunitSuite, junit

_ENDINGS = {Status.HELD: Ending.PASSED, Status.FAILED: Ending.FAILURE, Status.UNDETERMINED: Ending.ERROR,
            Status.ERROR: Ending.ERROR}  # fmt: skip


def check_junit(report: CheckReport) -> str:
    """The document. What is undetermined is an error, and no skipped case: nobody can say that it holds.

    A run that was interrupted has an error of its own: what reads this must not take it for a whole one.
    """
    files = dict.fromkeys(each.file for each in report.results)
    said = [("complete", "true" if report.complete else "false")]
    said += [("recording", report.recording)] if report.recording else []
    said += [("with", change) for change in report.changes]
    suites = (
        JunitSuite(file, tuple(_case(each) for each in report.results if each.file == file), tuple(said))
        for file in files
    )
    return junit((*suites, *([] if report.complete else [_cut(report)])))


def _cut(report: CheckReport) -> JunitSuite:
    said = f"interrupted: {len(report.results)} of {report.expected} were asked"
    case = JunitCase("all were asked", "netprobe check", 0.0, Ending.ERROR, said, "interrupted", said)
    return JunitSuite("netprobe check", (case,))


def _case(each: Checked) -> JunitCase:
    told = dict(filter(all, (*blame(each), ("change", each.turned))))
    text = "\n".join(filter(None, (each.reason, each.hint, *each.notes, told.get("fix"))))
    return JunitCase(
        each.title, f"{each.file}:{each.line}", each.spent_ns / 1e9, _ENDINGS[each.status], each.reason,
        told.get("cause", each.status.value), text, tuple(told.items()),
    )  # fmt: skip
