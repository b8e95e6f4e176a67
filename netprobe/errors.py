"""What can go wrong with a question, as opposed to with a network. A broken network is data, never an exception.

NetprobeError            exit
+-- WrongQuestion           2   unknown or ambiguous endpoint, bad option, bad file
+-- NotPermitted            3   the privilege to look is missing
+-- CannotLook              3   a kernel feature or a runtime is missing, a namespace cannot be entered
"""

from __future__ import annotations


class NetprobeError(Exception):
    """An error for people: what happened and where (`str(error)`), and what to do next (`hint`, may hold several lines)."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class WrongQuestion(NetprobeError):
    """The question cannot be asked this way: exit 2."""

    exit_code = 2


class NotPermitted(NetprobeError):
    """The privilege to look is missing: exit 3, with the command that has it."""

    exit_code = 3


class CannotLook(NetprobeError):
    """Looking is impossible here: exit 3."""

    exit_code = 3
