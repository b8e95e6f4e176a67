"""Tables by key, for the lookups that every step of a walk makes: on a machine with thousands of entries a
search for a cause walks hundreds of times over the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Index = TypeVar("_Index")

_MOST = 256  # indexes that are kept; the values that they are of are kept with them
_kept: dict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = {}


def indexed(make: Callable[..., _Index], *tables: tuple[Any, ...], of: str = "") -> _Index:
    """What `make` makes of these frozen tables, and of a name; made once, as long as they are the very same
    objects.
    """
    key = (make, of, *map(id, tables))
    kept = _kept.get(key)
    if kept is not None and all(map(_is, kept[0], tables)):
        index: _Index = kept[1]
        return index
    made = make(of, *tables) if of else make(*tables)
    if len(_kept) >= _MOST:
        _kept.clear()
    _kept[key] = (tables, made)
    return made


def _is(one: object, other: object) -> bool:
    return one is other


def grouped(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, tuple[_Value, ...]]:
    """Values by a key, in their order."""
    found: dict[_Key, list[_Value]] = {}
    for value in values:
        found.setdefault(key(value), []).append(value)
    return {each: tuple(those) for each, those in found.items()}


def first(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, _Value]:
    """The first value of each key."""
    found: dict[_Key, _Value] = {}
    for value in values:
        found.setdefault(key(value), value)
    return found
