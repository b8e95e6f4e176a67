"""What is asked of one host: its connection, within the time of the question; and many questions at once.

`rehearsed` does work of which is known that it asks much: what it asks and has no answer yet is noted, asked
all together, and the work done again, until it lacks nothing. So a namespace is read in as many round trips
as its questions depend on each other, whatever reads it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from netprobe.errors import SHORT, CannotLook, Shortage
from netprobe.kernel.elsewhere import Elsewhere
from netprobe.linux import deadline

from .agent import Malformed
from .connection import AgentConnection, ConnectionLost, Pending

PATIENCE_S = 10.0
SHARE = 0.6  # of what is left of a question: the other hosts are asked in it as well
CLOCKS = 5  # readings of a host's clock: the quickest counts
CLOCK_PATIENCE_S = 1.0
CLOCK_S, DRIFT_NS = 60.0, 50_000  # how long it counts; how far two clocks go apart in a second (50 ppm)
# errors that are no word of the host's kernel about what was asked
NO_ANSWER = SHORT | {errno.ETIMEDOUT, errno.EPROTO, errno.ENOSYS, errno.EBADF}
MOST_CLOSING = 64  # descriptors that wait to be closed
ROUNDS = 8  # of a rehearsal: afterwards is asked one by one

Request = tuple[Any, ...]
"""A request of the agent's verb `batch`: its kind, its arguments."""

Key = tuple[int | None, Request]
"""A place, and what tells a request to it from another."""

_T = TypeVar("_T")


class Unanswered(Shortage):
    """A host did not say: it is lost, late, lacks something, or says what makes no sense. Like a shortage
    here it says nothing of what was to be looked at, and is never taken for "no".
    """


class NotAsked(CannotLook):
    """In a rehearsal: there is no answer yet."""


class Questions:
    """The host `name`, asked over `connection`. What cannot be had is an OSError, a lost host Unanswered.

    A host that did not answer in time is not waited for again in the same question.
    """

    def __init__(self, name: str, connection: AgentConnection) -> None:
        self.name, self.connection = name, connection
        self._is_late = self._is_rehearsing = False
        self._known: dict[Key, Any] = {}
        self._missing: dict[Key, Request] = {}
        self._depth = 0
        self._ahead: list[tuple[int | None, dict[Key, Request], Pending]] = []
        self._closing: list[int] = []
        self.sensors: Any = None
        self._clock: tuple[int, int, float] | None = None
        self._held: dict[str, Elsewhere] = {}  # in a rehearsal, by path
        self._kept: dict[str, Elsewhere] = {}  # in a question

    def in_time(self) -> None:
        """A host that was late is asked again."""
        self._is_late = False

    def forget(self) -> None:
        """A new question begins."""
        self.in_time()
        self._known.clear()
        self._ahead.clear()
        self._kept.clear()

    def clock(self) -> tuple[int, int]:
        """What is to be added to the host's time to have ours, and by how much that may be wrong, in ns."""
        if self._clock is None or time.monotonic() - self._clock[2] > CLOCK_S:
            self._clock = (*self._compared(), time.monotonic())
        shift_ns, bound_ns, when = self._clock
        return shift_ns, bound_ns + int((time.monotonic() - when) * DRIFT_NS)

    def _compared(self) -> tuple[int, int]:
        best = 0, 1 << 62
        for _ in range(CLOCKS):
            before = time.time_ns()
            told = self.call("clock", patience_s=CLOCK_PATIENCE_S)
            after = time.time_ns()
            if not isinstance(told, int):
                raise Unanswered(f"{self.name} gives other answers than it was asked for")
            if after - before < best[1]:
                best = (before + after) // 2 - told, after - before
        return best[0], max(0, best[1]) // 2

    def over(self, host: object) -> None:
        """The observation of `host` has ended."""
        if self.sensors is host:
            self.sensors = None

    # --- one by one

    def call(self, verb: str, *arguments: Any, patience_s: float = PATIENCE_S) -> Any:
        """What the agent answers to a verb."""
        return self.begun(verb, *arguments, patience_s=patience_s)()

    def begun(self, verb: str, *arguments: Any, patience_s: float = PATIENCE_S) -> Callable[[], Any]:
        """The question is asked now; the function waits for the answer."""
        pending, end = self._begin(verb, arguments, patience_s)
        return lambda: self._result(pending, end)

    def _begin(self, verb: str, arguments: Sequence[Any], patience_s: float) -> tuple[Pending, float]:
        deadline.check()
        if self._is_late:
            raise self._late()
        patience_s = self.patience(patience_s)
        end = time.monotonic() + patience_s
        try:
            pending = self.connection.begin(verb, *arguments, timeout=patience_s)
        except Malformed as error:  # a name that is no text
            raise OSError(errno.EINVAL, str(error)) from error
        return pending, end

    def patience(self, most: float) -> float:
        """For how long the answer to a question is waited for that begins now, in s."""
        return deadline.share(most, SHARE)

    def _result(self, pending: Pending, end: float) -> Any:
        try:
            return pending.result()
        except ConnectionLost as error:
            raise Unanswered(str(error.strerror)) from error
        except TimeoutError as error:
            if time.monotonic() < end:  # the host's own word
                raise
            self._is_late = True
            raise self._late() from error
        except OSError as error:
            raise self.error(error.errno, error.strerror) from error

    def _late(self) -> Unanswered:
        return Unanswered(f"{self.name} did not answer in time")

    def error(self, code: int | None, text: str | None) -> OSError | Unanswered:
        """An error of the host: an OSError is its kernel's word. That it lacks descriptors or memory, or that
        its agent cannot do something, is none, and no lack of ours.
        """
        said = text or os.strerror(code or errno.EIO)
        return Unanswered(f"{self.name}: {said}") if code in NO_ANSWER else OSError(code, said)

    def held(self, path: str) -> Elsewhere | None:
        """The namespace at `path`, held once more, if it is open in this question, or in this rehearsal."""
        known = self._kept.get(path) or self._held.get(path)
        return None if known is None else known.again()

    def hold(self, path: str, place: Elsewhere) -> None:
        """A rehearsal opens what it needs once: its number is the same each time."""
        if self._is_rehearsing:
            self._held[path] = place.again()

    def keep(self, path: str, place: Elsewhere) -> None:
        """The namespace at `path` stays open for longer than this question: it is not opened again."""
        self._kept[path] = place

    def shut(self, number: int) -> None:
        """Close a descriptor of the agent, soon."""
        self._closing.append(number)
        if len(self._closing) >= MOST_CLOSING:
            self.settle()

    def settle(self) -> None:
        """Close what is to be closed."""
        numbers, self._closing = self._closing, []
        if numbers and not self.connection.lost:
            self.connection.begin("shut", numbers)

    # --- together

    @property
    def is_incomplete(self) -> bool:
        """Whether something that was asked in this rehearsal has no answer yet."""
        return bool(self._missing)

    def ask(self, place: int | None, request: Request) -> Any:
        """The answer to one request in a namespace of the host. Raises NotAsked in a rehearsal that has none
        yet.
        """
        [answer] = self.ask_all(place, [(request, request)])
        if isinstance(answer, OSError | Unanswered):
            raise answer
        return answer

    def ask_all(self, place: int | None, requests: Sequence[tuple[Request, Request]]) -> list[Any]:
        """The answers to several requests, or the error that each got; before each stands what is the same
        when it is asked again.

        Raises NotAsked in a rehearsal that has not all of them yet.
        """
        missing = {(place, key): request for key, request in requests if (place, key) not in self._known}
        if missing and self._depth:
            self._missing |= missing
            raise NotAsked(f"{self.name} was not asked yet")
        answers = self._answers(place, list(missing.values())) if missing else ()
        known = self._known | dict(zip(missing, answers, strict=True)) if missing else self._known
        return [self._checked_answer(known[place, key]) for key, _ in requests]

    def _checked_answer(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            return answer
        code, text = answer.get("errno"), answer.get("text")
        return self.error(code if isinstance(code, int) else errno.EPROTO, str(text))

    def _answers(self, place: int | None, requests: Sequence[Request]) -> list[Any]:
        try:
            answers = self.call("batch", place, [list(each) for each in requests])
        except OSError as error:  # of all of them: no word of the kernel
            raise Unanswered(f"{self.name}: {error.strerror}") from error
        return self._checked(answers, len(requests))

    def _checked(self, answers: Any, count: int) -> list[Any]:
        if not isinstance(answers, list) or len(answers) != count:
            raise Unanswered(f"{self.name} gives other answers than it was asked for")
        return answers

    def ahead(self, place: int | None, requests: Mapping[Request, Request]) -> None:
        """Ask for these (by their keys) now, and wait for the answers in the next `rehearsed`."""
        named = {(place, key): request for key, request in requests.items()}
        there = self._known.keys() | {name for _, asked, _ in self._ahead for name in asked}
        wanted = {name: request for name, request in named.items() if name not in there}
        if wanted:
            asked = [list(each) for each in wanted.values()]
            pending, _ = self._begin("batch", (place, asked), PATIENCE_S)
            self._ahead.append((place, wanted, pending))

    def rehearsed(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, which asks the host for many things and can be done more than once."""
        self._is_rehearsing = True
        try:
            self._hear()
            for _ in range(ROUNDS):
                try:
                    with self._rehearsal():
                        found = work()
                except Exception:  # whatever came of answers that are still missing
                    if not self._missing:
                        raise
                if not self._missing:
                    return found
                self._ask_missing()
            return work()
        finally:
            self._known.clear()
            self._missing.clear()
            self._is_rehearsing = False
            self._let_go()

    def _let_go(self) -> None:
        while self._held:
            self._held.popitem()[1].close()

    @contextmanager
    def _rehearsal(self) -> Iterator[None]:
        self._missing.clear()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _ask_missing(self) -> None:
        places: dict[int | None, dict[Request, Request]] = {}
        for (place, key), request in self._missing.items():
            places.setdefault(place, {})[key] = request
        self._missing.clear()
        for place, requests in places.items():
            self.ahead(place, requests)
        self._hear()

    def _hear(self) -> None:
        """Wait for what was asked ahead. What is too much together is asked alone later."""
        ahead, self._ahead = self._ahead, []
        for _, wanted, pending in ahead:
            answers = self._checked(self._result(pending, 0.0), len(wanted))
            for name, answer in zip(wanted, answers, strict=True):
                if not (isinstance(answer, dict) and answer.get("errno") == errno.EFBIG and len(wanted) > 1):
                    self._known[name] = answer


class Rehearsal(Questions):
    """A host that is never asked: what would be asked of it is noted."""

    def __init__(self) -> None:
        self.name = ""
        self._known, self._missing, self._depth = {}, {}, 1

    def missing(self) -> dict[Request, Request]:
        """What was asked, whatever the place, by what tells it from others."""
        return {key: request for (_, key), request in self._missing.items()}

    def shut(self, number: int) -> None:
        """Nothing is open."""
