"""Short ways to write the terms and statements that the readers of both engines produce."""

from __future__ import annotations

from functools import lru_cache

from netprobe.model import Statement, Term


@lru_cache(maxsize=1024)
def key(text: str) -> Term:
    """A selector of the packet, in nft's words."""
    return Term("key", text)


def value(text: str) -> Term:
    """A literal."""
    return Term("value", text)


def one_of(values: list[str]) -> Term:
    """A literal, or a set of them."""
    return value(values[0]) if len(values) == 1 else Term("set", args=tuple(value(each) for each in values))


def masked(term: Term, mask: int, full: int) -> Term:
    """`term & mask`, or the term alone when the mask is full."""
    return term if mask == full else Term("&", args=(term, value(str(mask))))


EQUALITY = {False: "==", True: "!="}  # the operators, by whether the test is negated


def match(left: Term | str, right: Term | str, negated: bool = False, text: str = "") -> Statement:
    """A test for equality or membership."""
    return Statement(
        "match",
        key(left) if isinstance(left, str) else left,
        EQUALITY[negated],
        value(right) if isinstance(right, str) else right,
        text=text,
    )


def some_bit(left: str, names: list[str], negated: bool = False) -> Statement:
    """A test that one of these flags is set (nft's `in`), or that none is."""
    return Statement("match", key(left), "not in" if negated else "in", one_of(names))


def unknown(text: str) -> Statement:
    """A step that we do not understand, as its tool prints it."""
    return Statement("unknown", text=text)


def undone(text: str) -> Statement:
    """The same of what a rule does at its end: that may be anything."""
    return Statement("unknown", text=text, options={"ends": ""})


def note(text: str) -> Statement:
    """A step without effect on the packet's way."""
    return Statement("note", text=text)
