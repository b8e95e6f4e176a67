"""What stands on the right of a test: literals, ranges, prefixes and sets, compiled once into something to
look a value up in.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from msgspec import Struct

from netprobe.model import Term

from .datatypes import Datatype

Value = int | str


class Words(Struct, frozen=True):
    """Names to compare with: exact ones, and beginnings (written with a * at the end)."""

    exact: frozenset[str]
    beginnings: tuple[str, ...]

    def __contains__(self, word: object) -> bool:
        return word in self.exact or (
            isinstance(word, str) and any(word.startswith(each) for each in self.beginnings)
        )


class Numbers(Struct, frozen=True):
    """Numbers to compare with, as sorted ranges that do not overlap."""

    lows: tuple[int, ...]
    highs: tuple[int, ...]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_right(self.lows, number) - 1
        return index >= 0 and number <= self.highs[index]


Range = Words | Numbers


@lru_cache(maxsize=16384)
def compiled(kind: Datatype, literals: tuple[str, ...]) -> Range:
    """The literals of one type, to look values up in. Raises ValueError for one that the type cannot read."""
    if kind.text:
        return _words(literals)
    if len(literals) == 1:
        low, high = kind.bounds(literals[0])
        return Numbers((low,), (high,))
    merged: list[list[int]] = []
    for low, high in sorted(kind.bounds(literal) for literal in literals):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return Numbers(tuple(low for low, _ in merged), tuple(high for _, high in merged))


def _words(literals: tuple[str, ...]) -> Words:
    exact, beginnings = set(), []
    for literal in literals:
        if literal.endswith("\\*"):
            exact.add(literal[:-2] + "*")
        elif literal.endswith("*"):
            beginnings.append(literal[:-1])
        else:
            exact.add(literal)
    return Words(frozenset(exact), tuple(beginnings))


class Element(Struct, frozen=True):
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
    key, data = (term.args[0], term.args[1]) if term.kind == "pair" else (term, None)
    if key.kind == "value" and key.text == "*":
        return Element(_everything(kinds), data)
    parts = key.args if key.kind == "concat" else (key,)
    if len(parts) != len(kinds):
        raise ValueError("an element with another number of parts than its key")
    return Element(tuple(compiled(kind, (part.text,)) for kind, part in zip(kinds, parts, strict=True)), data)


def literals(term: Term) -> tuple[str, ...] | None:
    """The literals of a value or of a plain set of values; None for anything richer."""
    if term.kind == "value":
        return (term.text,)
    if term.kind == "set" and all(each.kind == "value" for each in term.args):
        return tuple(each.text for each in term.args)
    return None
