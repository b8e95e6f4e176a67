"""How long a search for the cause may go on. Pure: whoever asks gives it a clock, or a count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _unlimited() -> float:
    return math.inf


class Patience:
    """What is left of a search, asked before each thing that is made or tried.

    `left` tells that in any unit: seconds, or a number of things.
    """

    def __init__(self, left: Callable[[], float] = _unlimited) -> None:
        self._left = left
        self._kept = 0.0

    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._left() <= self._kept

    @contextmanager
    def keeping(self, share: float) -> Iterator[None]:
        """The block leaves this part of what is left to what comes behind it."""
        left, kept = self._left(), self._kept
        if left < math.inf:
            self._kept += share * max(left - kept, 0.0)
        try:
            yield
        finally:
            self._kept = kept


def untried(tried: int, made: int, more: bool) -> str:
    """What was not tried, in words; nothing where all was. `more`: others might have come to mind."""
    if tried >= made and not more:
        return ""
    if not tried:
        return "no possible repair was tried"
    return f"of {'more than ' * more}{made} possible repairs {tried} were tried"


ALONE_ONLY = "what several repairs together would do was not followed to its end"
