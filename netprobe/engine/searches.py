"""The searches for a cause, measured. What was asked last is remembered: a diagnosis puts the same question
again once all that it lacked was read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from typing import ParamSpec, TypeVar

from netprobe.diagnose.repair.patience import Patience
from netprobe.diagnose.repair.search import Results
from netprobe.diagnose.repair.several import Searches
from netprobe.model import Stop

_Asked = ParamSpec("_Asked")
_Found = TypeVar("_Found")


class Searched(Searches):
    """The searches of one question. `measured` is entered while one runs; `left` is what they have left of
    their time.
    """

    def __init__(
        self, measured: Callable[[], AbstractContextManager[None]], left: Callable[[], float] = lambda: inf
    ) -> None:
        super().__init__(Patience(left))
        self.alone = _once(self.alone, _is_same, measured, _is_whole)
        self.together = _once(self.together, _is_same_search, measured)


class Unsearched(Searches):
    """Nothing is searched, and nothing found."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = lambda *_, **__: Results()
        self.together = lambda *_, **__: (None, ())


def _once(
    search: Callable[_Asked, _Found],
    is_same: Callable[[tuple[object, ...], tuple[object, ...]], bool],
    measured: Callable[[], AbstractContextManager[None]],
    is_kept: Callable[[_Found], bool] = lambda _: True,
) -> Callable[_Asked, _Found]:
    """The search, which keeps its last answer for the same question."""
    kept: list[tuple[tuple[object, ...], _Found]] = []

    def asked(*args: _Asked.args, **kwargs: _Asked.kwargs) -> _Found:
        question = (*args, *kwargs.items())
        for known, found in kept:
            if is_same(question, known):
                return found
        with measured():
            found = search(*args, **kwargs)
        kept[:] = [(question, found)] if is_kept(found) else []
        return found

    return asked


def _is_whole(found: Results) -> bool:
    """Whether all was tried: what was ended early may get further the next time."""
    return not found.untried


def _is_same(question: tuple[object, ...], known: tuple[object, ...]) -> bool:
    """Whether it is about the very same configuration, which is too large to compare, and the same loss."""
    parts = zip(question, known, strict=False)
    return len(question) == len(known) and all(a is b or (_is_small(a) and a == b) for a, b in parts)


def _is_small(part: object) -> bool:
    return isinstance(part, Stop | tuple)


def _is_same_search(question: tuple[object, ...], known: tuple[object, ...]) -> bool:
    """Whether it follows from the same search."""
    return question[1] is known[1]
