"""What the fixture `netprobe` gives: the functions of the module, whose answers are remembered for the report
of a test that fails.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from inspect import isfunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import pytest

if TYPE_CHECKING:
    from netprobe.expectations.expectation import Expectation
    from netprobe.model import Run
    from netprobe.model.check import Checked
    from netprobe.question import Question
    from netprobe.session import Session
    from netprobe.session import Session as _Face
else:
    _Face = object

_SHOWN = 3  # answers that a failed test shows
_LONGEST = 100  # letters of a test's name in that of a file
_PARTS = ("failed", "groups")  # of an answer to several questions: of check and matrix
_CAPTURED = ("trace", "ping", "arping")  # what takes `write=`


class Answered(NamedTuple):
    """A question as it was written, and its answer."""

    question: str
    answer: Any


class Netprobe(_Face):
    """The functions of `import netprobe` by their names, for tests.

    Each question opens the namespaces anew: what a test changes in between is seen. Without the privilege to
    look it skips the test, or, where that is required, raises NotPermitted.
    """

    def __init__(self, host: str | None = None, captures: str | None = None, required: bool = False) -> None:
        self._host = host
        self._captures = captures
        self._required = required
        self.begin("")

    def __repr__(self) -> str:
        return "netprobe"

    def __getattr__(self, name: str) -> Any:
        """What the module has by this name; a function of it with the options of the command line."""
        found = getattr(import_module("netprobe"), name)
        return self._asking(name, found) if isfunction(found) else found

    def begin(self, test: str) -> None:
        """What is asked from now on is asked by this test."""
        self._test = test
        self._captured = 0
        self._last: Answered | None = None
        self._bad: deque[Answered] = deque(maxlen=_SHOWN)

    def permitted(self, ask: Callable[[], Any]) -> Any:
        """What `ask` gives; the test is skipped where that takes a privilege which is missing.

        Without it names are not found (WrongQuestion), and answers remain undetermined.
        """
        from netprobe.errors import NotPermitted, WrongQuestion

        try:
            answer = ask()
        except (NotPermitted, WrongQuestion) as error:
            lacks = _missing()
            if self._required or (isinstance(error, WrongQuestion) and "SYS_ADMIN" not in lacks):
                raise
            said = str(error)
        else:
            said = _doubt(answer)
            lacks = _missing() if said else ()
            if self._required or not lacks:
                return answer
        without = f" (without {', '.join(f'CAP_{each}' for each in lacks)})" if lacks else ""
        pytest.skip(f"netprobe: {said}{without}")

    def become(self, wanted: Expectation) -> Checked:
        """What became of an expectation."""
        from netprobe.session import Session

        with Session(self._host) as session:
            return session.checked([wanted], lambda question: self._run(session, question)).results[0]

    def _run(self, session: Session, question: Question) -> Run:
        """The run of one question, its capture kept where that is wanted."""
        run: Run = self.permitted(lambda: session.run(question))
        if self._captures is not None:
            from netprobe.saved import save

            words = (question.command, question.source, question.destination)
            _, failed = save(run, self._file(*words), "none", " ".join(("netprobe", *words)))
            if failed is not None:
                raise OSError(failed[0])
        return run

    def remember(self, question: str, answer: Any) -> None:
        """Keep an answer that can be shown, for the report of a test that fails."""
        if not hasattr(answer, "text"):
            return
        self._last = Answered(question, answer)
        if not answer:
            self._bad.append(self._last)

    def sections(self) -> Iterator[tuple[str, str]]:
        """The last answers that were no, else the last one: title and text."""
        shown = self._bad or filter(None, (self._last,))
        for question, answer in shown:
            yield question, _whole(answer)

    def properties(self) -> Iterator[tuple[str, str]]:
        """The causes of the answers that were no: what a JUnit report says of them."""
        from netprobe.render.escape import safe

        for cause in (cause for _, answer in self._bad for cause in _causes(answer)):
            yield "netprobe-cause", cause.code
            yield "netprobe-summary", safe(cause.summary)

    def _asking(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        takes = signature(function).parameters

        @wraps(function)
        def asked(*words: Any, **options: Any) -> Any:
            given = {**self._defaults(name, takes, words), **options}
            answer = self.permitted(lambda: function(*words, **given))
            self.remember(_written(name, words, options), answer)
            return answer

        return asked

    def _defaults(self, name: str, takes: Mapping[str, Any], words: tuple[Any, ...]) -> dict[str, str]:
        """The options that the command line of pytest gives to every question."""
        found = {"host": self._host} if self._host is not None and "host" in takes else {}
        if self._captures is not None and name in _CAPTURED:
            found["write"] = self._file(name, *words)
        return found

    def _file(self, *words: Any) -> str:
        """Where the capture of the next question goes."""
        self._captured += 1
        return f"{self._captures}/{_file_words(self._test, self._captured, *words)}.pcapng"


def _whole(answer: Any) -> str:
    """The text of an answer; that of a ping, one line otherwise, with its hops."""
    if getattr(answer, "command", "") != "ping":
        return str(answer.text())
    from msgspec.structs import replace

    return str(replace(answer, command="trace").text())


def _doubt(answer: Any) -> str:
    """Why an answer says neither yes nor no; "" where it says one of them. That of several says no where one
    of them does.
    """
    if hasattr(answer, "failed"):
        unsure = [each for each in answer.failed if each.status in ("error", "undetermined")]
        return str(unsure[0].reason) if unsure and len(unsure) == len(answer.failed) else ""
    report = getattr(answer, "report", answer)  # a run has its report
    return str(report.summary) if getattr(report, "verdict", "") == "undetermined" else ""


def _missing() -> tuple[str, ...]:
    """The capabilities that netprobe uses and this thread has not."""
    from netprobe.linux.privilege import missing

    return missing()


def _causes(answer: Any) -> Iterator[Any]:
    """The one cause of a report; those of what failed, of several answers in one."""
    parts = (getattr(answer, name, None) for name in _PARTS)
    several = next((found for found in parts if found is not None), (answer,))
    yield from (each.cause for each in several if getattr(each, "cause", None) is not None)


def _written(name: str, words: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """A question as a program writes it: netprobe.ping('c1', 'c2', count=3)."""
    said = [*map(repr, words), *(f"{key}={value!r}" for key, value in options.items())]
    return f"netprobe.{name}({', '.join(said)})"


def _file_words(test: str, *words: Any) -> str:
    """A file's name for a question of a test; two tests never have the same."""
    named = test.replace("/", "-").replace("::", "-")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", named)
    if plain != named or len(plain) > _LONGEST:
        plain = f"{plain[:_LONGEST]}-{crc32(test.encode('utf-8', 'surrogateescape')):08x}"
    question = "-".join(map(str, words))
    return f"{plain}-{re.sub(r'[^A-Za-z0-9.@_-]+', '_', question)[:_LONGEST]}"
