"""Tables of the kernel that say the same as before: of the same bytes the same objects, so that a further
question neither decodes them anew nor makes new indexes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_Made = TypeVar("_Made")

_MOST, _LARGEST = 128, 1 << 16  # tables that are kept, and bytes of one
_kept: dict[tuple[Callable[[Sequence[bytes]], Any], tuple[bytes, ...]], Any] = {}


def of_the_same(
    make: Callable[[Sequence[bytes]], _Made],
    entries: Sequence[bytes],
    lasts: Callable[[_Made], bool] = lambda _: True,
) -> _Made:
    """What `make` makes of these entries, which depends on nothing else where it `lasts`."""
    if sum(map(len, entries)) > _LARGEST:
        return make(entries)
    key = (make, tuple(entries))
    known = _kept.get(key)
    if known is None:
        known = make(entries)
        if len(_kept) >= _MOST:
            _kept.clear()
        if lasts(known):
            _kept[key] = known
    made: _Made = known
    return made
