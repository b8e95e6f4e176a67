"""One change of a living network: what is done, how it is undone, and by which names the changed object may be called."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

    def called(self, namespace: str, old: str, new: str) -> Identity:
        """The same object where an interface of its namespace has another name."""
        if namespace != self.namespace:
            return self
        return replace(self, words=tuple(re.sub(_word(old), new, word) for word in self.words))


def _word(word: str) -> str:
    """The pattern of a word that stands by itself: 10.0.0.1 is not in 10.0.0.10 nor in 110.0.0.1."""
    return rf"(?<![\w.:-]){re.escape(word)}(?![\w:-]|\.\w)"


def _holds(said: str, word: str) -> bool:
    return re.search(_word(word), said) is not None


def known(namespace: str, kinds: str, *words: str, codes: str = "") -> Identity:
    """An identity; several kinds, or codes, have blanks between them."""
    return Identity(namespace, frozenset(kinds.split()), words, frozenset(codes.split()))


@dataclass(frozen=True, slots=True)
class Mutation:
    """One object changed. `truth` has more than one identity where an object has more than one name.

    `warm`: it is made of what traffic left behind, and would go with it. `renamed`: the interface that has another name with it, as
    (namespace, old, new).
    """

    kind: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    truth: tuple[Identity, ...]
    warm: bool = False
    renamed: tuple[str, str, str] | None = None

    def __str__(self) -> str:
        return f"{self.kind}: " + "; ".join(map(str, self.steps))

    @property
    def namespaces(self) -> frozenset[str]:
        """Where something of it may show."""
        return frozenset(identity.namespace for identity in self.truth) | {step.namespace for step in self.steps if isinstance(step, Shell)}

    def behind(self, changes: Sequence[Mutation]) -> Mutation:
        """This change as it may be called behind all of these: by the new name of an interface, too."""
        named = [each.renamed for each in changes if each.renamed is not None]
        also = (identity.called(*one) for identity in self.truth for one in named)
        return replace(self, truth=tuple(dict.fromkeys((*self.truth, *also))))

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
