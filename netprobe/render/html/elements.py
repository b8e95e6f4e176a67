"""Elements of HTML and SVG, which no name gets out of.

What is no `Markup` yet is a name or a sentence, and is escaped (`netprobe.render.markup`). A page is
well-formed XML, too: every element is closed, every attribute quoted.
"""

from __future__ import annotations

from netprobe.render.markup import escaped

_VOID = frozenset({"meta", "br", "col", "path", "rect", "line", "circle", "svg"})  # `<path/>`, when empty


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


NOTHING = Markup("")


def marked(text: str) -> Markup:
    """`text` as it is read by a person, wherever it stands: between elements or in an attribute."""
    return text if isinstance(text, Markup) else Markup(escaped(text))


def element(name: str, /, *inner: str, **attributes: object) -> Markup:
    """One element. Names of attributes are Python's: `class_`, `aria_label`; those that are None are left
    out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{marked(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    text = "".join(map(marked, inner))
    if not text and name in _VOID:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{text}</{name}>")


def together(*parts: str) -> Markup:
    """Parts behind each other."""
    return Markup("".join(map(marked, parts)))


def stacked(*parts: str) -> Markup:
    """Parts that say something, each on lines of its own."""
    return Markup("\n".join(marked(part) for part in parts if part))
