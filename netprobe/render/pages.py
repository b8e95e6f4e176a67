"""The handbook of causes on a terminal, and as Markdown.

Pure text; the pages are ours, no name from the network is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from netprobe.model import Page

from .pen import BOLD, CYAN, DIM, Pen, columns
from .terminal import Terminal

_WHERE = (
    "A report says its commands whole, as they are typed where netprobe was started: `ip netns exec NS"
    " COMMAND`, for a container `nsenter -t PID -n COMMAND`. Here they are bare."
)
_MADE = (
    "Made from the docstrings in `netprobe/causes` by `scripts/causes`; `netprobe explain CODE` prints one"
    " page."
)
_READ = (
    "Every report names one of these codes: the thing a person must change. Capitals in a command stand for a"
    " name of yours."
)
_INDENT = 10
_STACKED = 40  # below this width a label stands on a line of its own


def page(shown: Page, terminal: Terminal) -> str:
    """One cause in full."""
    pen = Pen(terminal)
    lines = [*pen.flowed([(f"{shown.code}: {shown.meaning}", BOLD)]), ""]
    for label, text in (("what", shown.what), ("how", shown.how), ("fix", shown.advice)):
        lines += _labelled(label, text, pen)
    lines += [" " * _indent(pen) + pen.paint(pen.plain(command), CYAN) for command in shown.fix]
    lines += pen.indented(_WHERE, " " * _indent(pen))
    lines += [line for at, item in enumerate(shown.see) for line in _labelled("" if at else "see", item, pen)]
    return "\n".join(lines) + "\n"


def _indent(pen: Pen) -> int:
    return 4 if pen.width is not None and pen.width < _STACKED else _INDENT


def _labelled(label: str, text: str, pen: Pen) -> list[str]:
    if _indent(pen) == _INDENT:
        return pen.indented(text, f"  {label:<{_INDENT - 2}}")
    return [*([pen.paint(f"  {label}", BOLD)] if label else []), *pen.indented(text, " " * _indent(pen))]


def contents(pages: Sequence[Page], terminal: Terminal) -> str:
    """Every code with its sentence, by section."""
    pen = Pen(terminal)
    across = max((columns(each.code) for each in pages), default=0) + 2
    lines: list[str] = []
    for section, group in groupby(pages, key=lambda each: each.section):
        lines += ["", *pen.flowed([(section, BOLD)])]
        for each in group:
            lines += _entry(each, across, pen)
    lines += ["", *pen.flowed([("netprobe explain CODE tells more about one.", DIM)])]
    return "\n".join(lines[1:]) + "\n"


def _entry(each: Page, across: int, pen: Pen) -> list[str]:
    """A code and its sentence side by side, or below each other where the terminal is narrow."""
    if pen.width is not None and pen.width < across + 40:
        return ["  " + pen.plain(each.code), *pen.indented(each.meaning, "    ")]
    return pen.indented(each.meaning, f"  {each.code:<{across}}")


def markdown(pages: Sequence[Page]) -> str:
    """One page; or several below each other, with a table of contents."""
    if len(pages) == 1:
        return "\n".join(_chapter(pages[0], "#")) + "\n"
    lines = ["# The causes", "", _MADE, "", _READ, _WHERE, ""]
    for section, group in groupby(pages, key=lambda each: each.section):
        lines.append(f"- {section}: " + ", ".join(f"[{each.code}](#{each.code})" for each in group))
    for section, group in groupby(pages, key=lambda each: each.section):
        lines += ["", f"## {section}"]
        for each in group:
            lines += ["", *_chapter(each, "###")]
    return "\n".join(lines) + "\n"


def _chapter(each: Page, depth: str) -> list[str]:
    lines = [
        f"{depth} {each.code}",
        "",
        f"**{each.meaning}**",
        "",
        each.what,
        "",
        f"How we know: {each.how}",
        "",
        f"Fix: {each.advice}",
    ]
    commands = ["", "```sh", *each.fix, "```"] if each.fix else []
    return [*lines, *commands, "", "See: " + "; ".join(each.see)]
