"""A YAML text as a tree of plain text, lists and keys, each with its line and column.

Of YAML 1.1 (https://yaml.org/spec/1.1/) the shapes are taken and nothing else: a scalar is the text that was
written (`no`, `1e3`, `08` and `0x10` are names like any other), and anchors, aliases, tags and further
documents are errors. A file may come from anybody: it has limits of size and depth, and no object of Python
is ever made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct

from netprobe.errors import CannotLook, WrongQuestion

if TYPE_CHECKING:
    from yaml.error import Mark
    from yaml.events import Event

LARGEST_BYTES = 1 << 19
DEEPEST = 8  # lists and keys within each other


class Position(Struct, frozen=True):
    """A place in a file, as editors count: lines and columns from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def wrong(self, what: str, hint: str = "") -> NoReturn:
        """Raises WrongQuestion with this place before what is wrong there."""
        raise WrongQuestion(f"{self}: {what}", hint)


class Text(Struct, frozen=True):
    """A scalar, as written. `plain`: without quotes, so that an empty one is no value."""

    value: str
    at: Position
    plain: bool = True


class Sequence(Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    at: Position


class Mapping(Struct, frozen=True):
    """Keys with their values, each key once, in the order of the file."""

    entries: tuple[tuple[Text, Node], ...]
    at: Position


Node = Text | Sequence | Mapping


def document(data: bytes, file: str) -> Node:
    """The tree in these bytes. Raises WrongQuestion for anything else, with its place."""
    if len(data) > LARGEST_BYTES:
        Position(file).wrong(f"the file is larger than {LARGEST_BYTES} bytes", "Divide it into several.")
    return _Composer(file).composed(_decoded(data, file))


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        return _place(file, before).wrong("this is not UTF-8", "Save the file as UTF-8.")


def _place(file: str, before: str) -> Position:
    """The place behind a text."""
    return Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Composer:
    """Makes a tree of the parser's events."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._events: Iterator[Event] = iter(())

    def composed(self, text: str) -> Node:
        """The one document of a text."""
        yaml = _parser()
        try:
            self._events = yaml.parse(text, yaml.SafeLoader)
            return self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._at(mark).wrong(f"this is not YAML: {error.problem or error.context}")
        except yaml.reader.ReaderError as error:
            place = _place(self._file, text[: error.position])
            place.wrong(f"the character U+{error.character:04X} is not allowed in YAML")

    def _document(self) -> Node:
        next(self._events)  # StreamStart
        event = next(self._events)
        if type(event).__name__ == "StreamEndEvent":
            Position(self._file).wrong("the file is empty", "See docs/check.md for an example.")
        found = self._node(next(self._events), 0)
        next(self._events)  # DocumentEnd
        event = next(self._events)
        if type(event).__name__ != "StreamEndEvent":
            self._at(event.start_mark).wrong("a second document begins here", "Write one in each file.")
        return found

    def _node(self, event: Event, depth: int) -> Node:
        at = self._at(event.start_mark)
        if depth > DEEPEST:
            at.wrong(f"this is nested more than {DEEPEST} deep")
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            at.wrong(
                "anchors and aliases are not read", "Name what is used twice below endpoints: or groups:."
            )
        if event.tag is not None:
            at.wrong("tags are not read: every value is the text that is written", "Leave it out.")
        if kind == "ScalarEvent":
            return Text(event.value, at, event.style is None)
        if kind == "SequenceStartEvent":
            return Sequence(
                tuple(self._node(each, depth + 1) for each in self._until("SequenceEndEvent")), at
            )
        return Mapping(tuple(self._entries(depth)), at)

    def _entries(self, depth: int) -> Iterator[tuple[Text, Node]]:
        """The keys of a mapping with their values."""
        known: dict[str, Position] = {}
        for event in self._until("MappingEndEvent"):
            key = self._node(event, depth + 1)
            if not isinstance(key, Text):
                key.at.wrong("a key is a word, and this is a list or keys again")
            if key.value in known:
                key.at.wrong(f"{key.value!r} stands here twice", f"The first is at {known[key.value]}.")
            known[key.value] = key.at
            yield key, self._node(next(self._events), depth + 1)

    def _until(self, end: str) -> Iterator[Event]:
        while type(event := next(self._events)).__name__ != end:
            yield event

    def _at(self, mark: Mark | None) -> Position:
        return Position(self._file) if mark is None else Position(self._file, mark.line + 1, mark.column + 1)


def _parser() -> Any:
    """PyYAML, which takes a moment to import."""
    try:
        import yaml
    except ImportError as error:
        raise CannotLook(
            "PyYAML is not installed, and expectations are written in YAML",
            "Install it: pip install PyYAML, or apt install python3-yaml",
        ) from error
    return yaml
