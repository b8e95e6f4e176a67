"""Hostile names become safe terminal text: the one place where that happens.

A namespace, an interface or a rule's comment may hold escape sequences, bidi overrides, characters without
width or bytes that are no UTF-8. Each such character is shown by its number (`\\x1b`, `\\u202e`); everything
a person can see and tell apart stays.
"""

from __future__ import annotations

from unicodedata import category

# Printable for Python, yet without a shape of their own: fillers, joiners, variation selectors, the empty
# Braille cell.
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}.union(
        range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
    )
)


def safe(text: str) -> str:
    """`text` with every character escaped that could move the cursor, hide or reorder what stands beside it.

    Idempotent.

    Line breaks and tabs are escaped too: a name has none. For a text of several lines see `lines`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text, (" ", *text)))


def lines(text: str) -> list[str]:
    """The safe lines of a text as a tool prints it: line feeds divide, tabs become spaces."""
    apart = text.removesuffix("\n").split("\n") if text else []
    return [safe(line.rstrip(" \t\r").expandtabs(4)) for line in apart]


def ascii_only(text: str) -> str:
    """`text` for a terminal without UTF-8: our own signs spelled out, every other character by its number.

    Idempotent.
    """
    if text.isascii():
        return text
    return "".join(map(_spelled, text))


def _spelled(char: str) -> str:
    return char if char.isascii() else _SPELLED.get(char) or _visible(char)


_SPELLED = {"→": "->", "←": "<-", "µ": "u", "–": "-", "…": "...", "·": ".", "×": "x", "≥": ">=", "≤": "<="}


def _shown(char: str, before: str) -> str:
    return char if _harmless(char, before) else _visible(char)


def _harmless(char: str, before: str) -> bool:
    if not char.isprintable() or ord(char) in _INVISIBLE:
        return False
    # an accent belongs to a letter; more than one would climb over the lines above
    if category(char) in ("Mn", "Me"):
        return category(before).startswith("L")
    return True


def _visible(char: str) -> str:
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8, as PEP 383 carries it
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
