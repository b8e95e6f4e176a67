"""Whether there was anything to look with, before what was not found is called unknown."""

from __future__ import annotations

import os
from contextlib import ExitStack

from netprobe.errors import cannot_look

LOOKING = 16  # descriptors that a source of names, or a resolver, may hold at one time


def looked(what: str) -> None:
    """Make sure that descriptors are to be had, for those who pass over a file that they cannot open. Raises Shortage."""
    with ExitStack() as held:
        try:
            for _ in range(LOOKING):
                held.callback(os.close, os.open("/", os.O_PATH | os.O_CLOEXEC))
        except OSError as error:
            raise cannot_look(f"cannot look {what} up", error) from error
