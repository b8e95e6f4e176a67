"""The report as GitHub-flavoured Markdown, for an issue, a merge request or a job summary.

Whatever may hold a name stands in code spans and fenced blocks: there no name becomes a link, a mention, an
emoji (a MAC address has ":cd:" in it) or HTML.
"""

from __future__ import annotations

import re

from netprobe.model import Leg, Report

from . import words
from .blocks import answers_said, capture, conclusions, disagreement, figures, reply_heading, reply_line
from .escape import safe
from .headline import ending, question
from .marks import Fate
from .pen import Pen
from .rows import rows
from .terminal import Terminal
from .text import joined


def markdown(report: Report) -> str:
    """The whole report: a heading, a table for each direction that matters, the rest in a fenced block."""
    pen = Pen(Terminal())
    head = f"### {code(question(report))} {words.protocol(report.probe)}: {code(ending(report))}"
    remarks = [*reply_line(report, pen), *answers_said(report, pen), *figures(report, pen)]
    blocks = (remarks, *conclusions(report, pen), capture(report, pen))
    tables = [_table(report, Leg.REQUEST, "the request"), _table(report, Leg.REPLY, reply_heading(report))]
    parts = (head, fenced(disagreement(report, pen)), *tables, fenced(joined(blocks).splitlines()))
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(report: Report, leg: Leg, heading: str) -> str:
    found = rows(report, leg)
    if not found or not heading:
        return ""
    lines = [f"| | # | {heading} | step | µs | what happened |", "|---|--:|---|---|--:|---|"]
    for row in found:
        where, step, what = (_cell(text, row.mark) for text in (row.where, row.step, row.what))
        lines.append(f"| {row.mark.value[0]} | {row.hop.n} | {where} | {step} | {row.time} | {what} |")
    return "\n".join(lines)


def _cell(text: str, mark: Fate) -> str:
    """A code span in a table: a bar would end the cell even there."""
    span = code(text).replace("|", r"\|")
    return f"**{span}**" if mark is Fate.LOST and span else span


def code(text: str) -> str:
    """A code span, its quotes longer than any run of backticks inside (CommonMark 6.1)."""
    text = safe(text)
    ticks = "`" * (_longest_run(text) + 1)
    padding = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{ticks}{padding}{text}{padding}{ticks}" if text else ""


def fenced(lines: list[str]) -> str:
    """A code block, its fence longer than any run of backticks inside (CommonMark 4.5)."""
    fence = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return "\n".join((f"{fence}text", *lines, fence)) if any(lines) else ""


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
