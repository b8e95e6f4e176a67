"""What became of expectations in the Test Anything Protocol, version 14 (https://testanything.org).

Behind each test that is not ok stands a block of YAML, whose values are quoted as JSON quotes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from netprobe.model.check import Checked, CheckReport, Status

from .check import blame
from .escape import safe


def tap(report: CheckReport) -> str:
    """The stream, which ends with a newline; that of an interrupted run bails out."""
    lines = ["TAP version 14", f"1..{report.expected}"]
    lines += [line for number, each in enumerate(report.results, 1) for line in _test(number, each)]
    if not report.complete:
        lines.append("Bail out! interrupted")
    return "\n".join(lines) + "\n"


def _test(number: int, each: Checked) -> Iterator[str]:
    ok = "ok" if each.status is Status.HELD else "not ok"
    yield f"{ok} {number} - {_description(each.title)}"
    if each.status is Status.HELD:
        return
    yield "  ---"
    yield from (f"  {key}: {_value(value)}" for key, value in _told(each) if value)
    yield "  ..."


def _description(text: str) -> str:
    """A # would begin a directive."""
    return safe(text).replace("\\", "\\\\").replace("#", "\\#")


def _told(each: Checked) -> Iterator[tuple[str, str]]:
    yield "status", each.status.value
    yield "message", each.reason
    yield "hint", each.hint
    yield "at", f"{each.file}:{each.line}"
    yield "change", each.turned
    yield from blame(each)


def _value(text: str) -> str:
    return json.dumps(safe(text))
