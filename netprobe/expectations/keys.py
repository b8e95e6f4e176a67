"""The keys of one place of the file, taken one by one: a key that nobody knows is an error with the nearest
one, and so is a value of another form than its key has.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import NoReturn, TypeVar

from netprobe.duration import nanoseconds
from netprobe.errors import WrongQuestion

from .document import Mapping, Node, Position, Sequence, Text

_NUMBER = re.compile(r"[1-9][0-9]{0,9}|0")
_Kind = TypeVar("_Kind", Text, Sequence, Mapping)
_FORMS = {Text: "a value", Sequence: "a list", Mapping: "keys with values"}


def near(word: str, known: Collection[str]) -> str:
    """A hint with what was probably meant, and what there is."""
    found = get_close_matches(word.lower(), known, 1)
    listed = ", ".join(known)
    return f"Did you mean {found[0]}? There is {listed}." if found else f"There is {listed}."


def shown(node: Node) -> str:
    """What stands there, for a message."""
    return repr(node.value)[:60] if isinstance(node, Text) else _FORMS[type(node)]


def wrong(node: Node, what: str, hint: str = "") -> NoReturn:
    """Raises WrongQuestion with the place of a node."""
    node.at.wrong(what, hint)


def of_kind(node: Node, kind: type[_Kind], name: str) -> _Kind:
    """The node, when it is of this kind; what stands there otherwise is told."""
    if not isinstance(node, kind):
        wrong(node, f"{name} is to be {_FORMS[kind]}, and here is {shown(node)}")
    return node


def text_of(node: Node, name: str) -> str:
    """A value, which is not empty."""
    found = of_kind(node, Text, name)
    if not found.value or (found.plain and found.value in ("~", "null")):
        wrong(node, f"{name} has no value", "Write one, or leave the key out. A name like that: in quotes.")
    return found.value


class Keys:
    """A mapping, of which `known` are the keys that may stand there. `name` is what it is called."""

    def __init__(self, node: Node, known: Collection[str], name: str) -> None:
        mapping = of_kind(node, Mapping, name)
        self.at: Position = mapping.at
        self._found: dict[str, tuple[Position, Node]] = {}
        for key, value in mapping.entries:
            if key.value not in known:
                wrong(key, f"{shown(key)} is no key of {name}", near(key.value, known))
            self._found[key.value] = (key.at, value)

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def node(self, key: str) -> Node | None:
        """What stands behind a key; None where it is not there."""
        return self._found[key][1] if key in self._found else None

    def needed(self, key: str) -> Node:
        """What stands behind a key that must be there."""
        if key not in self._found:
            self.at.wrong(f"{key} is missing here")
        return self._found[key][1]

    def key(self, key: str) -> Position:
        """Where a key stands that is there."""
        return self._found[key][0]

    def text(self, key: str) -> str | None:
        """The value behind a key."""
        node = self.node(key)
        return None if node is None else text_of(node, key)

    def choice(self, key: str, *words: str) -> str | None:
        """The value behind a key, which is one of these words."""
        found = self.text(key)
        if found is None or found in words:
            return found
        node = self.needed(key)
        return wrong(node, f"{key} cannot be {shown(node)}", near(found, words))

    def switch(self, key: str) -> bool | None:
        """The value behind a key that is true or false."""
        found = self.choice(key, "true", "false")
        return None if found is None else found == "true"

    def number(self, key: str, low: int, high: int) -> int | None:
        """The number behind a key."""
        node = self.node(key)
        return None if node is None else number_of(node, key, low, high)

    def span_ns(self, key: str) -> int | None:
        """The span of time behind a key, in ns."""
        found = self.text(key)
        if found is None:
            return None
        try:
            return nanoseconds(found)
        except WrongQuestion as error:
            node = self.needed(key)
            return wrong(node, f"{key}: {error}", error.hint)


def number_of(node: Node, name: str, low: int, high: int) -> int:
    """A decimal number within bounds: `08` and `0x10` are none."""
    found = text_of(node, name)
    if not _NUMBER.fullmatch(found) or not low <= int(found) <= high:
        wrong(node, f"{name} cannot be {shown(node)}", f"Write a number from {low} to {high}.")
    return int(found)


def listed(node: Node, name: str) -> tuple[Text, ...]:
    """One value or a list of values, none of them empty."""
    if isinstance(node, Mapping):
        wrong(node, f"{name} is to be a value or a list, and here is {shown(node)}")
    items = node.items if isinstance(node, Sequence) else (node,)
    if not items:
        wrong(node, f"{name} is an empty list")
    return tuple(_filled(item, name) for item in items)


def _filled(node: Node, name: str) -> Text:
    text_of(node, name)
    return of_kind(node, Text, name)
