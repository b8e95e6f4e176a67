"""The handbook of causes: its pages are the docstrings of the catalogue, read here.

A docstring is its first sentence, then paragraphs that begin with `What:`, `How we know:`, `Fix:` (with
commands indented below) and `See:` (references divided by semicolons).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from netprobe.model import Page

from .catalogue import SECTIONS, Rule, code_of

_WORDS = ("What", "How we know", "Fix", "See")


def pages() -> tuple[Page, ...]:
    """All pages, in the order of the sections."""
    return tuple(_page(section, rule) for section, rules in SECTIONS for rule in rules)


def codes() -> tuple[str, ...]:
    """All codes, in the order of the pages."""
    return tuple(code_of(rule) for _, rules in SECTIONS for rule in rules)


def find(code: str) -> Page | None:
    """The page of a code, however it is written:

    PORT_CLOSED is port-closed. None when there is no such cause.
    """
    wanted = code.strip().lower().replace("_", "-").replace(" ", "-")
    return next(
        (_page(section, rule) for section, rules in SECTIONS for rule in rules if code_of(rule) == wanted),
        None,
    )


def nearest(code: str) -> tuple[str, ...]:
    """The codes that somebody who wrote `code` may have meant, the likeliest first."""
    from difflib import get_close_matches

    word = code.strip().lower().replace("_", "-")
    return (
        tuple(get_close_matches(word, codes(), 3))
        or tuple(c for c in codes() if len(word) > 2 and word in c)[:3]
    )


def _page(section: str, rule: Rule) -> Page:
    parts = dict(_parts(inspect.getdoc(rule) or ""))
    advice, fix = _commands(parts.get("Fix", ""))
    see = tuple(item.strip() for item in _flat(parts.get("See", "")).split(";") if item.strip())
    meaning, what, how = (_flat(parts.get(name, "")) for name in ("", "What", "How we know"))
    return Page(code_of(rule), section, meaning, what, how, advice, fix, see)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each paragraph; the first has the name ""."""
    for paragraph in text.split("\n\n"):
        name, colon, rest = paragraph.partition(":")
        yield (name, rest) if colon and name in _WORDS else ("", paragraph)


def _commands(text: str) -> tuple[str, tuple[str, ...]]:
    """The sentences of a fix, and its commands: the lines that are indented."""
    lines = text.splitlines()
    said = [line for line in lines if not line.startswith("    ")]
    return _flat("\n".join(said)), tuple(line.strip() for line in lines if line.startswith("    "))


def _flat(text: str) -> str:
    return " ".join(text.split())
