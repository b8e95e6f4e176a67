"""What the output goes to: how wide it is, whether it takes colours, whether it takes more than ASCII.

Pure: the caller looks.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from netprobe.model.pattern import pattern

NARROWEST, WIDEST = 24, 10_000
_NUMBER = pattern("0*([1-9][0-9]{0,8})[0-9]*")  # further digits say nothing else: the widest


class Terminal(Struct, frozen=True):
    """`width` in columns, None for no wrapping (a pipe or a file)."""

    width: int | None = None
    colour: bool = False
    ascii: bool = False


def terminal(
    colour: Literal["auto", "always", "never"],
    environ: Mapping[str, str],
    *,
    isatty: bool,
    columns: int | None = None,
    encoding: str | None = "utf-8",
) -> Terminal:
    """What to write for, from the --color option, the environment, and what the stream says of itself.

    `columns` is the terminal's own width (os.get_terminal_size), if any; COLUMNS overrides it, also in a
    pipe, as watch(1) wants.
    """
    return Terminal(
        _width(environ, isatty, columns), _colour(colour, environ, isatty), not _is_utf8(encoding)
    )


def _width(environ: Mapping[str, str], isatty: bool, columns: int | None) -> int | None:
    given = _NUMBER.fullmatch(environ.get("COLUMNS", ""))
    if given is not None:
        return _within(int(given[1]))
    return _within(columns) if isatty and columns else None


def _within(columns: int) -> int:
    return min(max(NARROWEST, columns), WIDEST)


def _colour(wanted: str, environ: Mapping[str, str], isatty: bool) -> bool:
    """no-color.org: NO_COLOR counts when not empty; bixense.com/clicolors:

    CLICOLOR_FORCE counts unless "0".
    """
    if wanted != "auto":
        return wanted == "always"
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return isatty and environ.get("TERM") != "dumb"


def _is_utf8(encoding: str | None) -> bool:
    try:
        return codecs.lookup(encoding or "ascii").name == "utf-8"
    except LookupError:
        return False
