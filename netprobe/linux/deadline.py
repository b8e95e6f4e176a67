"""How long one question may go on reading: begun with the question, asked by all who wait or read much.

What is not read by then is a blind spot ("not read in time"). The end is the thread's own (contextvars), so
that two questions side by side do not take each other's time. Outside of a question there is none.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from netprobe.model import NOT_IN_TIME

__all__ = ["NOT_IN_TIME", "check", "has_passed", "left", "share", "stopped", "within"]

_end: ContextVar[float] = ContextVar("end", default=math.inf)  # of time.monotonic(), s


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """A question: its reading ends after so many seconds."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


@contextmanager
def stopped() -> Iterator[None]:
    """What the block does is no reading: the time that it takes is given back."""
    end, since = _end.get(), time.monotonic()
    _end.set(math.inf)
    try:
        yield
    finally:
        _end.set(end + time.monotonic() - since)


def left(most: float) -> float:
    """For how many seconds something may be waited for: `most`, or what is left of the question."""
    return min(most, max(_end.get() - time.monotonic(), 0.0))


def share(most: float, part: float = 0.5) -> float:
    """The same for what somebody else may make wait: a part of what is left, for others need some as well."""
    return left(most / part) * part


def has_passed() -> bool:
    """Whether the time is up."""
    return time.monotonic() >= _end.get()


def check() -> None:
    """Raises OSError, ETIMEDOUT, when the time is up."""
    if has_passed():
        raise OSError(errno.ETIMEDOUT, NOT_IN_TIME)
