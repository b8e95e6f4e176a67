"""Whether there was anything to look with, before what was not found is called unknown."""

from __future__ import annotations

from netprobe.errors import cannot_look

from . import files

LOOKING = 16  # descriptors that a source of names, or a resolver, may hold at one time


def looked(what: str) -> None:
    """Make sure that descriptors are to be had, for those who pass over a file that they cannot open.

    Raises Shortage.
    """
    try:
        files.make_sure_of_descriptors(LOOKING)
    except OSError as error:
        raise cannot_look(f"cannot look {what} up", error) from error
