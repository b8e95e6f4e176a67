"""How wide text is at most, in pixels, before a browser has drawn it; pure.

The widths are those of DejaVu, the widest of the usual fonts, and a little more: text that fits here fits in
a font that is narrower. What is not ASCII may come from any other font, and counts as wider still.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netprobe.render.pen import columns

Measure = Callable[[str], float]
"""The width of a text."""

_NARROW = frozenset("iIjl.,:;'|![]()/ -ftr\"`")
_WIDE = frozenset("mMwW@%&OQGD")
_SANS = {True: 0.50, False: 0.80}  # em, bold: narrow letters, and others
_MONO, _FOREIGN = 0.61, 0.75  # em a column


def mono(size: float) -> Measure:
    """The measure of a font whose letters are all as wide, `size` pixels high."""
    return partial(_mono, size)


def bold(size: float) -> Measure:
    """The measure of bold letters without serifs, `size` pixels high."""
    return partial(_bold, size)


def _mono(size: float, text: str) -> float:
    return size * (_MONO * len(text) if text.isascii() else _FOREIGN * columns(text) + _MONO)


def _bold(size: float, text: str) -> float:
    return size * sum(map(_em, text))


def _em(char: str) -> float:
    if not char.isascii():
        return _FOREIGN * columns(char) + 0.2
    return 1.12 if char in _WIDE else _SANS[char in _NARROW]


def shortened(text: str, room: float, measure: Measure) -> str:
    """`text`, or as much of it as fits in `room` with an ellipsis behind."""
    if measure(text) <= room:
        return text
    first, last = 0, len(text)
    while first < last:  # the longest start that fits
        middle = (first + last + 1) // 2
        fits = measure(text[:middle] + "…") <= room
        first, last = (middle, last) if fits else (first, middle - 1)
    return text[:first].rstrip() + "…"


def wrapped(text: str, room: float, lines: int, measure: Measure) -> list[str]:
    """`text` in so many lines at most, each no wider than `room`; an ellipsis stands for the rest."""
    shown: list[str] = []
    words = text[: lines * round(room)].split()  # a letter is wider than a pixel
    while words and len(shown) < lines:
        shown.append(_line(words, room, measure))
    if words:
        shown[-1] = shortened(f"{shown[-1]} {' '.join(words)}", room, measure)
    return shown


def _line(words: list[str], room: float, measure: Measure) -> str:
    """As many of the words as fit in a line, taken away; a word that no line has room for is cut."""
    line = words.pop(0)
    if measure(line) > room:
        kept = len(line)
        while kept > 1 and measure(line[:kept]) > room:
            kept -= 1
        words.insert(0, line[kept:])
        return line[:kept]
    while words and measure(f"{line} {words[0]}") <= room:
        line = f"{line} {words.pop(0)}"
    return line
