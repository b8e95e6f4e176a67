"""How long one question may go on reading: begun with the question, asked by all who wait or read much.

What is not read by then is a blind spot ("not read in time"). The end is the thread's own (contextvars), so
that two questions side by side do not take each other's time. Outside of a question there is none.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from netprobe.kernel.processor import waited_s
from netprobe.model import NOT_IN_TIME

__all__ = ["NOT_IN_TIME", "check", "has_passed", "left", "overtime", "share", "stopped", "within"]

MOST_DELAY_S = 10.0

Pauses = Callable[[], AbstractContextManager[None]]
"""Gives blocks whose time is none of that for reading."""


_end: ContextVar[float] = ContextVar("end", default=math.inf)  # of time.monotonic(), s
_delayed: ContextVar[float] = ContextVar("delayed", default=0.0)  # `waited_s` at the beginning
_over: ContextVar[float] = ContextVar("over", default=0.0)  # the overtime that a question has had, s


@contextmanager
def within(seconds: float) -> Iterator[Pauses]:
    """A question: its reading ends after so many seconds, not counting those for which this thread waited for
    a processor: on a busy machine there is as much time for the work as on an idle one. Gives `stopped`, for
    what is no reading.
    """
    ends, delayed = _end.set(time.monotonic() + seconds), _delayed.set(waited_s())
    over = _over.set(0.0)
    try:
        yield stopped
    finally:
        _end.reset(ends)
        _delayed.reset(delayed)
        _over.reset(over)


@contextmanager
def stopped() -> Iterator[None]:
    """What the block does is no reading: the time that it takes is given back."""
    end, since, delay = _end.get(), time.monotonic(), waited_s()
    _end.set(math.inf)
    try:
        yield
    finally:
        _end.set(end + time.monotonic() - since)
        _delayed.set(_delayed.get() + waited_s() - delay)


@contextmanager
def overtime(most: float) -> Iterator[float]:
    """Time beside that of the question, until the given end of time.monotonic(): at most so many seconds in
    all of one question, however many of its parts ask for some. Outside of a question each has as many.
    """
    since, had, asked = time.monotonic(), _over.get(), _end.get() < math.inf
    try:
        with stopped():
            yield since + max(most - had, 0.0)
    finally:
        _over.set(had + time.monotonic() - since if asked else 0.0)


def _left() -> float:
    """The seconds that are left of the question; the processor's queue is looked at when they seem to be
    over.
    """
    left = _end.get() - time.monotonic()
    if left > 0 or left < -MOST_DELAY_S:
        return left
    return left + min(waited_s() - _delayed.get(), MOST_DELAY_S)


def left(most: float) -> float:
    """For how many seconds something may be waited for: `most`, or what is left of the question."""
    return min(most, max(_left(), 0.0))


def share(most: float, part: float = 0.5) -> float:
    """The same for what somebody else may make wait: a part of what is left, for others need some as well."""
    return left(most / part) * part


def has_passed() -> bool:
    """Whether the time is up."""
    return _left() <= 0


def check() -> None:
    """Raises OSError, ETIMEDOUT, when the time is up."""
    if has_passed():
        raise OSError(errno.ETIMEDOUT, NOT_IN_TIME)
