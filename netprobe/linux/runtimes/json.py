"""JSON that somebody else wrote, decoded into declared types or not at all."""

from __future__ import annotations

from typing import TypeVar

import msgspec

MOST = 1 << 20  # values: a list of ten thousand containers has half as many

_T = TypeVar("_T")


def decoded(data: bytes, kind: type[_T]) -> _T | None:
    """`data` as a value of the type `kind`; None when it is no such thing, nested too deep, or has more than
    MOST values.
    """
    # one less than values in each list or object; a value takes up to a hundred times its byte
    if data.count(b",") > MOST:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
