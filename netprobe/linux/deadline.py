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

from . import files

__all__ = ["NOT_IN_TIME", "check", "has_passed", "left", "share", "stopped", "within"]

SCHEDULED = "/proc/thread-self/schedstat"  # ns on a processor, ns of waiting for one (proc(5))
MOST_DELAY_S = 10.0


def _delay() -> float:
    """For how many seconds this thread has been ready to run without a processor; 0 where the kernel does not
    tell.
    """
    try:
        return int(files.setting(SCHEDULED).split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


_end: ContextVar[float] = ContextVar("end", default=math.inf)  # of time.monotonic(), s
_delayed: ContextVar[float] = ContextVar("delayed", default=0.0)  # `_delay` at the beginning


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """A question: its reading ends after so many seconds, not counting those for which this thread waited for
    a processor: on a busy machine there is as much time for the work as on an idle one.
    """
    ends, delayed = _end.set(time.monotonic() + seconds), _delayed.set(_delay())
    try:
        yield
    finally:
        _end.reset(ends)
        _delayed.reset(delayed)


@contextmanager
def stopped() -> Iterator[None]:
    """What the block does is no reading: the time that it takes is given back."""
    end, since, delay = _end.get(), time.monotonic(), _delay()
    _end.set(math.inf)
    try:
        yield
    finally:
        _end.set(end + time.monotonic() - since)
        _delayed.set(_delayed.get() + _delay() - delay)


def _left() -> float:
    """The seconds that are left of the question; the processor's queue is looked at when they seem to be
    over.
    """
    left = _end.get() - time.monotonic()
    return left if left > 0 else left + min(_delay() - _delayed.get(), MOST_DELAY_S)


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
