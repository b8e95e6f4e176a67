"""One change of a living network: what is done, how it is undone, and by which names the changed object may be called."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.lab import commands
from netprobe.lab.changes import typed


@dataclass(frozen=True, slots=True)
class Shell:
    """A program that is run in a namespace, with `text` as its input."""

    namespace: str
    argv: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        given = f" <<< {shlex.quote(self.text)}" if self.text else ""
        return typed(self.namespace, shlex.join(self.argv)) + given

    def run(self) -> None:
        """Raises CannotLook when it is refused."""
        commands.run(self.namespace, self.argv, self.text)


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is called; `shown` is what a person would say for it."""

    shown: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return self.shown

    def run(self) -> None:
        """Raises what the function raises."""
        self.function(*self.arguments)


Step = Shell | Call


def shell(namespace: str, line: str, text: str = "") -> Shell:
    """A step of a command line, its words as a shell would read them."""
    return Shell(namespace, tuple(shlex.split(line)), text)


@dataclass(frozen=True, slots=True)
class Identity:
    """By what an object is known in a report: the namespace of its place, the kinds it may be called, words that must all be there.

    `codes`: causes that mean it without an object to name, as what is missing has none.
    """

    namespace: str
    kinds: frozenset[str]
    words: tuple[str, ...] = ()
    codes: frozenset[str] = frozenset()

    def is_named_by(self, cause: Mapping[str, Any]) -> bool:
        """Whether a cause of a report, as JSON, is about this object."""
        place, thing = cause.get("place") or {}, cause.get("object") or {}
        if place.get("namespace") != self.namespace:
            return False
        if cause.get("code") in self.codes:
            return True
        said = " ".join(filter(None, (thing.get("id"), thing.get("text"), place.get("interface"))))
        return thing.get("kind") in self.kinds and all(_holds(said, word) for word in self.words)


def _holds(said: str, word: str) -> bool:
    """Whether a text has a word that stands by itself: 10.0.0.1 is not in 10.0.0.10 nor in 110.0.0.1."""
    return re.search(rf"(?<![\w.:-]){re.escape(word)}(?![\w:-]|\.\w)", said) is not None


def known(namespace: str, kinds: str, *words: str, codes: str = "") -> Identity:
    """An identity; several kinds, or codes, have blanks between them."""
    return Identity(namespace, frozenset(kinds.split()), words, frozenset(codes.split()))


@dataclass(frozen=True, slots=True)
class Mutation:
    """One object changed. `truth` has more than one identity where an object has more than one name.

    `warm`: it is made of what traffic left behind, and would go with it.
    """

    kind: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    truth: tuple[Identity, ...]
    warm: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: " + "; ".join(map(str, self.steps))

    @property
    def namespaces(self) -> frozenset[str]:
        """Where something of it may show."""
        return frozenset(identity.namespace for identity in self.truth) | {step.namespace for step in self.steps if isinstance(step, Shell)}

    def apply(self) -> None:
        """Change it. CannotLook or OSError where the kernel refuses."""
        for step in self.steps:
            step.run()

    def take_back(self) -> None:
        """Undo the change itself; what went with it comes back by `sight.restore`."""
        for step in self.undo:
            step.run()

    def is_named_by(self, cause: Mapping[str, Any]) -> bool:
        """Whether a cause of a report is about the changed object."""
        return any(identity.is_named_by(cause) for identity in self.truth)
