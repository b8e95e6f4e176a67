"""What stands on the right of a test: literals, ranges, prefixes and sets, compiled once into something to
look a value up in.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from msgspec import Struct

from netprobe.model import Term
from netprobe.model.lookup import but, column
from netprobe.model.pattern import pattern

from .datatypes import Datatype

Value = int | str


class Words(Struct, frozen=True, gc=False):
    """Names to compare with: exact ones, and beginnings (written with a * at the end)."""

    exact: frozenset[str]
    beginnings: tuple[str, ...]

    def __contains__(self, word: object) -> bool:
        return word in self.exact or (isinstance(word, str) and word.startswith(self.beginnings))


class Numbers(Struct, frozen=True, gc=False):
    """Numbers to compare with, as sorted ranges that do not overlap."""

    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_right(self.lows, number) - 1
        return index >= 0 and number <= self.highs[index]


Range = Words | Numbers

_OPEN = pattern(r"(?<!\\)\*\Z")  # the beginning of a word; "\*" is an asterisk
_ESCAPED = pattern(r"\\\*\Z")


@lru_cache(maxsize=16384)
def compiled(kind: Datatype, literals: tuple[str, ...]) -> Range:
    """The literals of one type, to look values up in. Raises ValueError for one that the type cannot read."""
    if kind.text:
        return _words(literals)
    if len(literals) == 1:
        low, high = kind.bounds(literals[0])
        return Numbers((low,), (high,))
    return _joined(sorted(map(kind.bounds, literals)))


def _joined(ranges: list[tuple[int, int]]) -> Numbers:
    """Sorted ranges, those that overlap as one."""
    lows: list[int] = []
    highs: list[int] = []
    for low, high in ranges:
        if highs and low <= highs[-1]:
            highs[-1] = max(highs[-1], high)
        else:
            lows.append(low)
            highs.append(high)
    return Numbers(tuple(lows), tuple(highs))


def _words(literals: tuple[str, ...]) -> Words:
    open_ended = list(filter(_OPEN.search, literals))
    exact = set(literals).difference(open_ended)
    return Words(
        frozenset(_ESCAPED.sub("*", literal) for literal in exact),
        tuple(literal[:-1] for literal in open_ended),
    )


class Element(Struct, frozen=True, gc=False):
    """One element of a set of concatenations or of a map: a range for each part of the key, and the data of a
    map.
    """

    parts: tuple[Range, ...]
    data: Term | None

    def holds(self, values: tuple[Value | None, ...]) -> bool:
        """Whether this element's ranges hold these values; one that is not known (None) fits everywhere."""
        if len(values) != len(self.parts):
            return False
        return all(value is None or value in part for value, part in zip(values, self.parts, strict=True))


@lru_cache(maxsize=4096)
def elements(kinds: tuple[Datatype, ...], terms: tuple[Term, ...]) -> tuple[Element, ...]:
    """The elements of a map or of a set of concatenations; of two that hold a key, the more specific one
    comes first.

    "*" is the element for all other keys and stands last.
    """
    found = [_element(kinds, term) for term in terms]
    return tuple(sorted(found, key=lambda element: element.parts == _everything(kinds)))


def _everything(kinds: tuple[Datatype, ...]) -> tuple[Range, ...]:
    return tuple(compiled(kind, ("*",)) for kind in kinds)


def _element(kinds: tuple[Datatype, ...], term: Term) -> Element:
    key, data = term.args if term.kind == "pair" else (term, None)
    if (key.kind, key.text) == ("value", "*"):
        return Element(_everything(kinds), data)
    parts = key.args if key.kind == "concat" else (key,)
    if len(parts) != len(kinds):
        raise ValueError("an element with another number of parts than its key")
    return Element(tuple(compiled(kind, (part.text,)) for kind, part in zip(kinds, parts, strict=True)), data)


def literals(term: Term) -> tuple[str, ...] | None:
    """The literals of a value or of a plain set of values; None for anything richer."""
    if term.kind == "value":
        return (term.text,)
    if term.kind == "set" and not but(term.args, kind="value"):
        return tuple(column(term.args, "text"))
    return None
