"""Fixes that several causes share: commands made of the object that a cause names, and words that are filled
in.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause
from netprobe.predict import fixes


def without_rule(case: Case) -> fixes.Fix:
    """The command that takes away the rule that the cause names; nothing when it names none."""
    return fixes.without(case.stop.object) if case.stop is not None else ()


def lacks(found: Cause, blank: str) -> bool:
    """Whether the reader would have to fill in `blank`."""
    return any(command.lacks(blank) for command in found.commands)


def filled(found: Cause, blank: str, value: str) -> Cause:
    """The cause with `value` in its commands where the reader would fill in `blank`."""
    return replace(found, commands=tuple(command.filled(blank, value) for command in found.commands))
