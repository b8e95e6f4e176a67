"""A line that a person types, as words: the way back from `command.joined`.

One simple command of POSIX's shell language (2.2, 2.3 and 2.10 of XCU): quotes and backslashes are read, and
so is `$'...'`. What would make more of it than one command with fixed words - a pipe, a second command, a
substitution - is no word, and an error.
"""

from __future__ import annotations

import re
from itertools import groupby

_PIECE = re.compile(
    r"""(?P<blank>\s+)
      | (?P<comment>(?:(?<=\s)|^)\#.*)
      | \$'(?P<ansi>(?:[^'\\]|\\.)*)'
      | '(?P<single>[^']*)'
      | "(?P<double>(?:[^"\\$`]|\\.)*)"
      | \\(?P<escaped>.)
      | (?P<plain>[^\s'"\\$`;|&<>()]+)""",
    re.DOTALL | re.VERBOSE,
)
_OCTAL = re.compile(rb"\\([0-7]{1,3})")


def split(line: str) -> tuple[str, ...]:
    """The words of a line. Raises ValueError, with the rest of it, where it is more than one command."""
    pieces = list(_pieces(line))
    words = (
        "".join(text for _, text in group)
        for is_blank, group in groupby(pieces, lambda piece: piece[0])
        if not is_blank
    )
    return tuple(words)


def _pieces(line: str) -> list[tuple[bool, str]]:
    """(whether it stands between words, its text) of each piece."""
    found, at = [], 0
    while at < len(line):
        piece = _PIECE.match(line, at)
        if piece is None:
            raise ValueError(line[at:])
        kind = piece.lastgroup or ""
        found.append((kind in ("blank", "comment"), _READERS.get(kind, str)(piece[kind])))
        at = piece.end()
    return found


def _of_ansi(text: str) -> str:
    """The inside of `$'...'`: bytes in octal, which may be no UTF-8 (PEP 383)."""
    data = text.encode(errors="surrogateescape")
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), data).decode(errors="surrogateescape")


def _of_double(text: str) -> str:
    return re.sub(r'\\(["\\$`])', r"\1", text)


_READERS = {"ansi": _of_ansi, "double": _of_double}
