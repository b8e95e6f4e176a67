"""HTML and SVG as text, which no name gets out of: the one place that escapes for both.

What is no `Markup` yet is a name or a sentence: it is made visible first (`escape.safe`: control characters,
bidi overrides and what XML 1.0 section 2.2 forbids are shown by their numbers), then escaped. A page is
well-formed XML, too: every element is closed, every attribute quoted.
"""

from __future__ import annotations

from html import escape

from netprobe.render.escape import safe

_VOID = frozenset({"meta", "br", "col", "path", "rect", "line", "circle", "svg"})  # `<path/>`, when empty


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


NOTHING = Markup("")


def escaped(text: str) -> Markup:
    """`text` as it is read by a person, wherever it stands: between elements or in an attribute."""
    return text if isinstance(text, Markup) else Markup(escape(safe(text)))


def element(name: str, /, *inner: str, **attributes: object) -> Markup:
    """One element. Names of attributes are Python's: `class_`, `aria_label`; those that are None are left
    out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    text = "".join(map(escaped, inner))
    if not text and name in _VOID:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{text}</{name}>")


def together(*parts: str) -> Markup:
    """Parts behind each other."""
    return Markup("".join(map(escaped, parts)))


def stacked(*parts: str) -> Markup:
    """Parts that say something, each on lines of its own."""
    return Markup("\n".join(escaped(part) for part in parts if part))
