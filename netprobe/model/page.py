"""A page of the handbook of causes: what one cause means, how it is recognised, how it is mended."""

from __future__ import annotations

from msgspec import Struct


class Page(Struct, frozen=True, gc=False):
    """One cause explained. `meaning` is one plain sentence; `advice` stands before the commands of `fix`, in
    which capitals are placeholders.
    """

    code: str
    section: str
    meaning: str
    what: str
    how: str
    advice: str
    fix: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
