"""Text for XML and HTML: the one place where it is escaped."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .escape import safe

_QUOTES = {'"': "&quot;", "'": "&#39;"}


def escaped(text: str) -> str:
    """`text` for the content or an attribute of an element: nothing of it is markup, and what has no shape or
    would reorder its neighbours is shown by its number, as on a terminal.
    """
    return escape(safe(text), _QUOTES)
