"""What `netprobe doctor` prints: each subject with its state, what that means, and the command that helps."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model.command import lines
from netprobe.model.examination import Examination, Finding, State

from .pen import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Pen, columns
from .terminal import Terminal

_COLOURS = {State.OK: GREEN, State.LIMITED: YELLOW, State.MISSING: RED}
_READABLE = 34  # columns beside the first two; where there are fewer, a subject stands on a line of its own
_INDENT = 4


def examination(found: Examination, terminal: Terminal, quiet: bool = False) -> str:
    """A line that says it all, then a paragraph for each subject."""
    pen = Pen(terminal)
    head = pen.flowed([(_said(found), BOLD)])
    if quiet:
        return "\n".join(head) + "\n"
    across = max((columns(pen.plain(each.subject)) for each in found.findings), default=0)
    shown = [line for each in found.findings for line in _finding(each, across, pen)]
    return "\n".join([*head, "", *shown]) + "\n"


def _said(found: Examination) -> str:
    states = [each.state for each in found.findings]
    less = len(states) - states.count(State.OK)
    if found.state is State.OK:
        return "ok: netprobe sees all that it can make use of here"
    if found.state is State.LIMITED:
        return (
            f"limited: netprobe works here, and sees less than it could in {less} of {len(states)} subjects"
        )
    return f"missing: netprobe cannot trace here; {less} of {len(states)} subjects are not as it needs them"


def _finding(each: Finding, across: int, pen: Pen) -> list[str]:
    """Side by side where there is room."""
    state, subject = f"{each.state.value:<{_longest()}}", pen.plain(each.subject)
    margin = 2 + _longest() + 2 + across + 2
    head = f"  {pen.paint(state, _COLOURS[each.state])}  {pen.paint(subject, BOLD)}"
    narrow = pen.width is not None and pen.width < margin + _READABLE
    indent = _INDENT if narrow else margin
    room = pen.room(indent)
    told = [*pen.wrap(each.fact, room), *(pen.paint(row, DIM) for row in pen.wrap(each.effect, room) if row)]
    told += _help(each, room, pen)
    if narrow:
        parts = [(each.state.value, _COLOURS[each.state]), (subject, BOLD)]
        return [*pen.flowed(parts, 2, "  "), *(" " * indent + row for row in told)]
    first, *more = told
    return [head + " " * (across - columns(subject) + 2) + first, *(" " * indent + row for row in more)]


def _longest() -> int:
    return max(len(state.value) for state in State)


def _help(each: Finding, room: int | None, pen: Pen) -> Sequence[str]:
    """The command in one line, as it is typed: it is there to be copied. Advice is a comment to a shell."""
    if each.help is None:
        return []
    if not each.help.words:
        return [pen.paint(f"# {row}", CYAN) for row in pen.wrap(each.help.note, room and room - 2)]
    (said,) = lines((each.help,), ascii=pen.terminal.ascii)
    remark = pen.paint(pen.plain(f"   # {said.remark}"), DIM) if said.remark else ""
    return [pen.paint(pen.plain(said.typed), CYAN) + remark]
