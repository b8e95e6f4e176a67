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

# hundredths of an em of the characters from the blank to the tilde, as a browser measures them
_PLAIN = """
32 41 46 84 64 96 78 28 40 40 50 84 32 37 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 54
100 69 69 70 78 64 58 78 76 30 30 66 56 87 75 79 61 79 70 64 62 74 69 99 69 62 69 40 34 40 84 50
50 62 64 55 64 62 36 64 64 28 28 58 28 98 64 62 64 64 42 53 40 64 60 82 60 60 53 64 34 64 84"""
_BOLD = """
35 46 53 84 70 101 88 31 46 46 53 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 59
100 78 77 74 84 69 69 83 84 38 38 78 64 100 84 86 74 86 78 73 69 82 78 111 78 73 73 46 37 46 84 50
50 68 72 60 72 68 44 72 72 35 35 67 35 105 72 69 72 72 50 60 48 72 66 93 65 66 59 72 37 72 84"""
_OURS = frozenset("→←µ…·–×")  # signs that every font has
_MONO, _FOREIGN, _SLACK = 0.61, 0.8, 0.2  # em a column


def mono(size: float) -> Measure:
    """The measure of a font whose letters are all as wide, `size` pixels high."""
    return partial(_mono, size)


def plain(size: float) -> Measure:
    """The measure of letters without serifs, `size` pixels high."""
    return partial(_sans, size, _table(_PLAIN))


def bold(size: float) -> Measure:
    """The measure of bold letters without serifs, `size` pixels high."""
    return partial(_sans, size, _table(_BOLD))


def _table(hundredths: str) -> dict[str, float]:
    return {chr(32 + n): int(each) / 100 for n, each in enumerate(hundredths.split())}


def _mono(size: float, text: str) -> float:
    if text.isascii():
        return size * _MONO * len(text)
    foreign = "".join(char for char in text if not char.isascii() and char not in _OURS)
    return size * (_MONO * (len(text) - len(foreign)) + _FOREIGN * columns(foreign) + _SLACK * len(foreign))


def _sans(size: float, table: dict[str, float], text: str) -> float:
    return size * sum(table.get(char) or _FOREIGN * columns(char) + _SLACK for char in text)


def shortened(text: str, room: float, measure: Measure) -> str:
    """`text`, or as much of it as fits in `room` with an ellipsis behind."""
    if _fits(text, room, measure):
        return text
    first, last = 0, min(len(text), round(room))
    while first < last:  # the longest start that fits
        middle = (first + last + 1) // 2
        fits = measure(text[:middle] + "…") <= room
        first, last = (middle, last) if fits else (first, middle - 1)
    return text[:first].rstrip() + "…"


def _fits(text: str, room: float, measure: Measure) -> bool:
    """Whether there is room; a letter is wider than a pixel, so that a long text is not measured for it."""
    return len(text) <= room and measure(text) <= room


def abridged(name: str, room: float, measure: Measure) -> str:
    """`name`, or as much of its start and of its end as fits in `room`: names that are alike differ there."""
    if _fits(name, room, measure):
        return name
    end = len(name)
    start = shortened(name, room * 0.6, measure).removesuffix("…")
    while end > len(start) and measure(f"{start}…{name[end - 1 :]}") <= room:
        end -= 1
    return f"{start}…{name[end:]}"


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
