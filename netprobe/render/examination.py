"""What `netprobe doctor` prints: each subject with its state, what that means, and the command that helps."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model.command import Command, lines
from netprobe.model.examination import Examination, Finding, State

from .pen import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Pen, behind, columns
from .terminal import Terminal

_COLOURS = {State.OK: GREEN, State.LIMITED: YELLOW, State.MISSING: RED}
_STATES = max(map(len, State))
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
    less = f"{len(states) - states.count(State.OK)} of {len(states)} subjects"
    return {
        State.OK: "ok: netprobe sees all that it can make use of here",
        State.LIMITED: f"limited: netprobe works here, and sees less than it could in {less}",
        State.MISSING: f"missing: netprobe cannot trace here; {less} are not as it needs them",
    }[found.state]


def _finding(each: Finding, across: int, pen: Pen) -> list[str]:
    """Side by side where there is room."""
    margin = 2 + _STATES + 2 + across + 2
    narrow = pen.width is not None and pen.width < margin + _READABLE
    indent = _INDENT if narrow else margin
    told = _told(each, pen.room(indent), pen)
    subject = pen.plain(each.subject)
    if narrow:
        parts = [(each.state.value, _COLOURS[each.state]), (subject, BOLD)]
        return [*pen.flowed(parts, 2, "  "), *behind(" " * indent, " " * indent, told)]
    state = pen.paint(f"{each.state.value:<{_STATES}}", _COLOURS[each.state])
    gap = " " * (across - columns(subject) + 2)
    return behind(f"  {state}  {pen.paint(subject, BOLD)}{gap}", " " * indent, told)


def _told(each: Finding, room: int | None, pen: Pen) -> list[str]:
    """How it is, what that means, what helps."""
    effect = [pen.paint(row, DIM) for row in filter(None, pen.wrap(each.effect, room))]
    return [*pen.wrap(each.fact, room), *effect, *_help(each.help, room, pen)]


def _help(command: Command | None, room: int | None, pen: Pen) -> Sequence[str]:
    """The command in one line, as it is typed: it is there to be copied. Advice is a comment to a shell."""
    if command is None:
        return []
    if not command.words:
        return [pen.paint(f"# {row}", CYAN) for row in pen.wrap(command.note, room and room - 2)]
    (said,) = lines((command,), ascii=pen.terminal.ascii)
    remark = pen.paint(pen.plain(f"   # {said.remark}" * bool(said.remark)), DIM)
    return [pen.paint(pen.plain(said.typed), CYAN) + remark]
