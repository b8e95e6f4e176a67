"""The pen: writes safe text in a terminal's alphabet, paints it, wraps it.

Colours never carry a meaning alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .escape import ascii_only, safe
from .terminal import Terminal

# select graphic rendition, ECMA-48
BOLD, DIM, RED, GREEN, YELLOW, CYAN, LEAF = "1", "2", "1;31", "1;32", "1;33", "36", "32"


class Pen:
    """Everything that reaches a terminal goes through `plain`; layout comes after it, colour last."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.width = terminal.width

    def plain(self, text: str) -> str:
        """`text` made safe, and ASCII if the terminal is."""
        text = safe(text)
        return ascii_only(text) if self.terminal.ascii else text

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour, when there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.terminal.colour and colour and text else text

    def glyph(self, sign: str, in_ascii: str) -> str:
        """A sign of ours, or what stands for it in ASCII."""
        return in_ascii if self.terminal.ascii else sign

    def wrap(self, text: str, room: int | None) -> list[str]:
        """The lines of `text` in `room` columns (None: one line).

        A word is cut only when it is longer than a line.
        """
        text = self.plain(text)
        return list(_filled(text.split(), room)) or [""] if room else [text]

    def indented(self, text: str, lead: str, colour: str = "") -> list[str]:
        """`text` wrapped behind `lead`, which later lines replace by spaces."""
        room = self.width and max(16, self.width - len(lead))
        rows = [self.paint(row, colour) for row in self.wrap(text, room)]
        return [(self.paint(lead, BOLD) if at == 0 else " " * len(lead)) + row for at, row in enumerate(rows)]

    def flowed(self, parts: Sequence[tuple[str, str]], gap: int = 3, lead: str = "") -> list[str]:
        """Parts, each with its colour, side by side as far as there is room; what has none goes to the next
        line, behind `lead`.
        """
        shown: list[str] = []
        used = 0
        for said, colour in parts:
            for at, piece in enumerate(self.wrap(said, self.width and max(16, self.width - len(lead)))):
                across = columns(piece)
                if shown and at == 0 and (self.width is None or used + gap + across <= self.width):
                    shown[-1] += " " * gap + self.paint(piece, colour)
                    used += gap + across
                else:
                    indent = lead if shown else ""
                    shown.append(indent + self.paint(piece, colour))
                    used = len(indent) + across
        return shown


def columns(text: str) -> int:
    """How many columns `text` takes: an East Asian character takes two."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # imported late: only tables and non-ASCII names need it

    return max(0, int(wcswidth(text)))


def _filled(words: Iterable[str], room: int) -> Iterator[str]:
    line = ""
    for word in words:
        joined = f"{line} {word}" if line else word
        if columns(joined) <= room:
            line = joined
            continue
        if line:
            yield line
        *full, line = _cut(word, room)
        yield from full
    if line:
        yield line


def _cut(word: str, room: int) -> list[str]:
    """A word in pieces of at most `room` columns."""
    pieces, piece = [], ""
    for char in word:
        if piece and columns(piece + char) > room:
            pieces.append(piece)
            piece = ""
        piece += char
    return [*pieces, piece]
