"""Messages of the kernel of which a machine has thousands, most like another but for a few attributes that
each has for its own: what is alike of them is decoded once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from .record import attributes, those

_Known = TypeVar("_Known")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Values = tuple[bytes | None, ...]
_Span = tuple[int, int, int]
"""The number of an attribute, and where its value begins and ends."""

_ATTRIBUTE, _TYPE_MASK = struct.Struct("=HH"), 0x3FFF  # struct nlattr, NLA_TYPE_MASK
_MOST_LENGTHS, _MOST_SHAPES, _MOST_KNOWN = 64, 16, 1024  # that are known; of one length; of one shape
_LONG = 512  # bytes of a message of which nothing is kept


class AlikeMessages(Generic[_Known]):
    """Messages of one kind, whose attributes begin at `at`; `own`: the numbers of those that each has for its
    own. `decode` makes of a message what is alike of all that are like it.
    """

    def __init__(self, decode: Callable[[bytes], _Known], at: int, *own: int) -> None:
        self._decode, self._at, self._own = decode, at, own
        # by the length of a message, and by what is its own and where that begins and ends
        self._shapes: dict[int, dict[tuple[_Span, ...], _Partition]] = {}

    def of(self, body: bytes) -> tuple[_Known, _Values]:
        """What was made of the first message that is like this one, and the own attributes of this one in the
        order in which they were named: None of one that is absent; of a repeated one the last counts.
        """
        for split, common, own, known in self._shapes.get(len(body), {}).values():
            parts = split(body)
            made = known.get(common(parts))
            if made is not None:  # all else is the same, and with it what tells where its own are
                return made, own((*parts, None))
        return self._learned(body)

    def _learned(self, body: bytes) -> tuple[_Known, _Values]:
        made = self._decode(body)
        spans = _spans(body, self._at) if len(body) < _LONG else None
        if spans is not None:
            own = tuple(each for each in spans if each[0] in self._own)
            shapes = _kept(self._shapes, len(body), _MOST_LENGTHS, dict)
            shape = _kept(shapes, own, _MOST_SHAPES, lambda: _partition(len(body), own, self._own))
            _kept(shape.known, shape.common(shape.split(body)), _MOST_KNOWN, lambda: made)
        return made, tuple(map(attributes(body, self._at).get, self._own))


def _kept(known: dict[_Key, _Value], key: _Key, most: int, make: Callable[[], _Value]) -> _Value:
    """What is known by a key, or is from now on; all else is let go where that is too much."""
    if key not in known and len(known) >= most:
        known.clear()
    return known.setdefault(key, make())


class _Partition(NamedTuple):
    """How messages are taken apart: into what they have in common and their own, in turns; which parts are
    the one, which the other, where None stands behind all; and what was made of each that is known.
    """

    split: Callable[[bytes], tuple[bytes, ...]]
    common: Callable[[tuple[bytes, ...]], Any]
    own: Callable[[tuple[bytes | None, ...]], _Values]
    known: dict[Any, Any]


def _spans(body: bytes, at: int) -> list[_Span] | None:
    """The attributes of a message from an offset on; None where they do not reach to its end."""
    found = list[_Span]()
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size or at + size > len(body):
            return None
        found.append((kind & _TYPE_MASK, at + _ATTRIBUTE.size, at + size))
        at += size + 3 & ~3
    return found if at >= len(body) else None


def _partition(size: int, own: tuple[_Span, ...], wanted: tuple[int, ...]) -> _Partition:
    """How messages of a size are taken apart that have these attributes of their own."""
    edges = [0, *(edge for _, *span in own for edge in span), size]
    split = struct.Struct("=" + "".join(f"{end - begin}s" for begin, end in pairwise(edges)))
    places = {kind: 2 * number + 1 for number, (kind, *_) in enumerate(own)}
    chosen = those([places.get(each, -1) for each in wanted])
    return _Partition(split.unpack, itemgetter(slice(0, None, 2)), chosen, {})
