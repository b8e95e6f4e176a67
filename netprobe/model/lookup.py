"""Tables by key, for the lookups that every step of a walk makes: on a machine with thousands of entries a
search for a cause walks hundreds of times over the same tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from functools import lru_cache
from operator import attrgetter, is_
from typing import Any, Protocol, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Index = TypeVar("_Index")

# indexes that are kept, and entries of the tables that they are of, which are kept with them
_MOST, _MOST_ENTRIES = 4096, 250_000
_LONG = 32  # entries of a table, from which on it is not gone through for each value that is sought in it


class _Indexes:
    """Indexes, with the very tables that they are of."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = {}
        self._entries = 0

    def put(self, key: tuple[Any, ...], tables: tuple[tuple[Any, ...], ...], made: object) -> None:
        """Keep one more; all others are let go where they have become too many."""
        self._entries += sum(map(len, tables))
        if len(self.by_key) >= _MOST or self._entries > _MOST_ENTRIES:
            self.by_key.clear()
            self._entries = 0
        self.by_key[key] = (tables, made)


_kept = _Indexes()


def indexed(make: Callable[..., _Index], *tables: tuple[Any, ...], of: str = "") -> _Index:
    """What `make` makes of these frozen tables, and of a name; made once, as long as they are the very same
    objects.
    """
    key = (make, of, *map(id, tables))
    kept = _kept.by_key.get(key)
    if kept is not None and all(map(is_, kept[0], tables)):
        index: _Index = kept[1]
        return index
    made = make(of, *tables) if of else make(*tables)
    _kept.put(key, tables, made)
    return made


def grouped(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, tuple[_Value, ...]]:
    """Values by a key, in their order."""
    return gathered((key(value), value) for value in values)


def gathered(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, tuple[_Value, ...]]:
    """What stands beside each key, in its order."""
    found = defaultdict[_Key, list[_Value]](list)
    for key, value in pairs:
        found[key].append(value)
    return {each: tuple(those) for each, those in found.items()}


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


_Named = TypeVar("_Named", bound=_HasName)


def named(values: Iterable[_Named], name: str) -> _Named | None:
    """The first of them with this name, or None; for tables of a few entries."""
    return next((each for each in values if each.name == name), None)


def first(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, _Value]:
    """The first value of each key."""
    found: dict[_Key, _Value] = {}
    for value in values:
        found.setdefault(key(value), value)
    return found


@lru_cache(maxsize=256)
def _reader(*names: str) -> Callable[[Any], Any]:
    return attrgetter(*names)


def _such(values: Iterable[_Value], fields: dict[str, object]) -> Iterator[_Value]:
    read = _reader(*fields)
    wanted = tuple(fields.values()) if len(fields) > 1 else next(iter(fields.values()))
    return (value for value in values if read(value) == wanted)


def where(values: Iterable[_Value], **fields: object) -> tuple[_Value, ...]:
    """Those of the values that have these fields: `where(rules, version=6, priority=0)`."""
    return tuple(_such(values, fields))


def find(values: Iterable[_Value], **fields: object) -> _Value | None:
    """The first of the values that has these fields, or None."""
    return next(_such(values, fields), None)


def but(values: Iterable[_Value], **field: object) -> tuple[_Value, ...]:
    """The values but for those that have this field: `but(links, kind="loopback")`."""
    [(name, other)] = field.items()
    read = _reader(name)
    return tuple(value for value in values if read(value) != other)


def among(values: Iterable[_Value], **field: Container[Any]) -> tuple[_Value, ...]:
    """Those of the values whose field is one of these: `among(rules, action=("prohibit", "blackhole"))`."""
    [(name, several)] = field.items()
    read = _reader(name)
    return tuple(value for value in values if read(value) in several)


def not_among(values: Iterable[_Value], **field: Container[Any]) -> tuple[_Value, ...]:
    """The values but for those whose field is one of these: `not_among(answers, namespace=changed)`."""
    [(name, several)] = field.items()
    read = _reader(name)
    return tuple(value for value in values if read(value) not in several)


def holding(values: Iterable[_Value], **field: object) -> tuple[_Value, ...]:
    """Those of the values whose field, of several things, holds this one: `holding(routes, indexes=3)`."""
    [(name, thing)] = field.items()
    read = _reader(name)
    return tuple(value for value in values if thing in read(value))


def those_in(values: Iterable[_Value], several: Container[Any]) -> tuple[_Value, ...]:
    """Those of the values that are some of these, in their order: `those_in(words, SWITCHES)`."""
    known = _sought(several)
    return tuple(value for value in values if value in known)


def those_not_in(values: Iterable[_Value], several: Container[Any]) -> tuple[_Value, ...]:
    """The values but for these, in their order."""
    if id(values) == id(several):
        return ()
    known = _sought(several)
    return tuple(value for value in values if value not in known)


class _LongTable:
    """A table in which many values are looked up: by their hashes, but for what has none."""

    def __init__(self, several: tuple[Any, ...]) -> None:
        self._several = several
        try:
            self._known: Container[Any] = frozenset(several)
        except TypeError:
            self._known = several

    def __contains__(self, value: object) -> bool:
        try:
            return value in self._known
        except TypeError:
            return value in self._several


def _sought(several: Container[Any]) -> Container[Any]:
    """The same to look values up in."""
    if not isinstance(several, tuple) or len(several) < _LONG:
        return several
    return indexed(_LongTable, several)


def has(values: Iterable[_Value], **fields: object) -> bool:
    """Whether any of the values has these fields."""
    return next(_such(values, fields), None) is not None


def column(values: Iterable[Any], field: str) -> Iterator[Any]:
    """One field of each of the values, in their order: `column(hops, "namespace")`."""
    return map(_reader(field), values)


def sole(values: Collection[_Value]) -> tuple[_Value, ...]:
    """The one value where there is no other; none of several."""
    return tuple(values) if len(values) == 1 else ()


def exchanged(values: Iterable[_Value], old: _Value, new: _Value) -> tuple[_Value, ...]:
    """The values, `new` in the place of the very object `old`."""
    return tuple(new if each is old else each for each in values)


def without(values: Iterable[_Value], gone: _Value) -> tuple[_Value, ...]:
    """The values but for the very object `gone`."""
    return tuple(each for each in values if each is not gone)


def all_but(values: Iterable[_Value], gone: Iterable[_Value]) -> tuple[_Value, ...]:
    """The values but for these very objects."""
    known = set(map(id, gone))
    return tuple(each for each in values if id(each) not in known)
