"""The pen: writes safe text in a terminal's alphabet, paints it, wraps it.

Colours never carry a meaning alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

from msgspec.structs import replace

from .escape import ascii_only, safe
from .terminal import Terminal

# select graphic rendition, ECMA-48
BOLD, DIM, RED, GREEN, YELLOW, CYAN, LEAF = "1", "2", "1;31", "1;32", "1;33", "36", "32"


# what our own texts have beside ASCII, each in one column
SIGNS = frozenset("µ«»·²×–…←→⇄≤≥─│├└▣✓✗")


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

    def room(self, taken: int) -> int | None:
        """The columns beside so many that are taken; enough to read in any case."""
        return self.width and max(16, self.width - taken)

    def narrower(self, taken: int) -> Pen:
        """A pen for what stands beside so many columns."""
        return self if self.width is None else Pen(replace(self.terminal, width=self.width - taken))

    def fits(self, rows: Iterable[str]) -> bool:
        """Whether none of the rows is too wide."""
        return self.width is None or max(map(columns, rows)) <= self.width

    def indented(self, text: str, lead: str, colour: str = "") -> list[str]:
        """`text` wrapped behind `lead`, which later lines replace by spaces."""
        rows = [self.paint(row, colour) for row in self.wrap(text, self.room(len(lead)))]
        return behind(self.paint(lead, BOLD), " " * len(lead), rows)

    def listed(self, texts: Iterable[str], lead: str, colour: str = "") -> list[str]:
        """Several texts, each behind `lead`."""
        return [row for text in texts for row in self.indented(text, lead, colour)]

    def flowed(self, parts: Sequence[tuple[str, str]], gap: int = 3, lead: str = "") -> list[str]:
        """Parts, each with its colour, side by side as far as there is room; what has none goes to the next
        line, behind `lead`.
        """
        shown: list[str] = []
        used = 0
        for said, colour in parts:
            first, *more = self.wrap(said, self.room(len(lead)))
            wanted = used + gap + columns(first)
            if shown and (self.width is None or wanted <= self.width):
                shown[-1] += " " * gap + self.paint(first, colour)
                used = wanted
            else:
                more.insert(0, first)
            for piece in more:
                indent = lead if shown else ""
                shown.append(indent + self.paint(piece, colour))
                used = columns(indent + piece)
        return shown


def behind(lead: str, later: str, rows: Iterable[str]) -> list[str]:
    """Rows behind what stands before the first, and before each later one."""
    leads = chain([lead], repeat(later))
    return [before + row for before, row in zip(leads, rows, strict=False)]


def columns(text: str) -> int:
    """How many columns `text` takes: an East Asian character takes two."""
    if text.isascii() or (text.isprintable() and is_narrow(text)):
        return len(text)
    from wcwidth import wcswidth  # imported late: only names with such characters need it

    return max(0, int(wcswidth(text)))


def is_narrow(text: str) -> bool:
    """Whether each character is known to take one column: ASCII, or a sign of ours."""
    return text.isascii() or all(sign in SIGNS for sign in text if not sign.isascii())


def clipped(text: str, room: int) -> str:
    """As much of the beginning of `text` as so many columns hold."""
    return _cut(text, room)[0]


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
