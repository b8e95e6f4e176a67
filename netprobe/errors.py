"""What can go wrong with a question, as opposed to with a network.

A broken network is data, never an exception.

NetprobeError            exit
+-- WrongQuestion           2   unknown or ambiguous endpoint, bad option, bad file
+-- NotPermitted            3   the privilege to look is missing
+-- CannotLook              3   a kernel feature or a runtime is missing, a namespace cannot be entered
    +-- Shortage            3   netprobe itself has no more descriptors, memory or processes
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
"""The errno of a process, a user or a machine that has no more descriptors, memory or processes."""


_NOT_LOADED = ("failed to map segment from shared object", "cannot map zero-fill pages")


class NetprobeError(Exception):
    """An error for people: what happened and where (`str(error)`), and what to do next (`hint`, may hold
    several lines).
    """

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


class Shortage(CannotLook):
    """Netprobe itself lacks descriptors, memory or processes. It says nothing of what was to be looked at."""


def is_short(error: BaseException) -> bool:
    """Whether netprobe's own lack of resources is the reason, and not what it looked at."""
    # a library that the loader has no memory for; it gives no errno (dl-load.c)
    if isinstance(error, ImportError):
        text = str(error)
        return text.endswith(_NOT_LOADED) or any(text.endswith(os.strerror(code)) for code in SHORT)
    return isinstance(error, (Shortage, MemoryError)) or (isinstance(error, OSError) and error.errno in SHORT)


def cannot_look(message: str, error: OSError) -> CannotLook:
    """The error for people that `error` of the kernel becomes."""
    return (Shortage if is_short(error) else CannotLook)(f"{message}: {error.strerror}")


def shortage(error: BaseException) -> Shortage:
    """The error for people that a lack of resources becomes, wherever it showed."""
    what = (error.strerror if isinstance(error, OSError) else None) or os.strerror(errno.ENOMEM)
    return Shortage(
        f"cannot look: {what}", "Raise the limit (ulimit -a), or look when the machine is less busy."
    )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while probes were under way; who does not mind it ends by it, as by any Ctrl-C.

    Whoever runs a loop catches KeyboardInterrupt around it and raises this from it, with what it has. `count`
    of what was asked is decided: answered, refused, or waited for long enough. `kept` is what there is of
    that: from the sensors the observations, from the engine the run, or the report of one of its loops,
    not `complete`. The command line prints and saves it (`cli.ending.until_interrupted`).
    """

    def __init__(self, count: int, kept: Any) -> None:
        super().__init__()
        self.count = count
        self.kept = kept


@contextmanager
def for_want_of_resources() -> Iterator[None]:
    """Raises Shortage for an error of the block that is one: not to be able to look is no bug, and no
    answer.
    """
    try:
        yield
    except (OSError, MemoryError) as error:
        if not is_short(error):
            raise
        raise shortage(error) from error
