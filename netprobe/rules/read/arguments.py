"""The argument grammar that iptables-save(8) and its kin print: tokens, then one block of options per match
or target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from netprobe.model.pattern import pattern

Option = tuple[bool, str, list[str]]

# Only ASCII's blanks divide words, only a line feed divides lines: a name or a comment may hold any other.
_TOKEN = pattern(r'"((?:\\.|[^"\\])*)"|(\S+)', re.ASCII | re.DOTALL)
_ESCAPED = pattern(r"\\(.)", re.DOTALL)
_QUOTED = pattern(r'(?<= )"(?:\\.|[^"\\])*"(?= |$)', re.DOTALL)
_LINE = pattern(r'(?:(?<= )"(?:\\.|[^"\\])*+"(?= |\n|$)|[^\n])*+', re.DOTALL)
_LONGEST = 1024  # of a quoted word: a comment has at most 256 bytes (xt_comment.h), escaped twice as many


class Block(Struct):
    """The options of one module:

    `kind` "match" or "target" or "" (the options of every rule), and its `name`.

    An option is (negated, name with its dashes, values).
    """

    kind: str
    name: str
    options: list[Option] = []

    def text(self) -> str:
        """The block as the tool prints it, for a person."""
        head = {"match": f"-m {self.name}", "target": f"-j {self.name}"}.get(self.kind, "")
        words = [head] if head else []
        for negated, name, values in self.options:
            words += [*(("!",) if negated else ()), name, *values]
        return " ".join(words)

    def flag(self, name: str) -> bool:
        """Whether an option stands there, negated or not."""
        return any(option == name for _, option, _ in self.options)

    @property
    def negated(self) -> bool:
        """Whether any of its options is."""
        return any(negated for negated, _, _ in self.options)

    def negates(self, *names: str) -> bool:
        """Whether one of these options is negated."""
        return any(negated for negated, name, _ in self.options if name in names)

    @property
    def settings(self) -> dict[str, str]:
        """The first value of each option, "" where it has none, by their names without dashes."""
        return {name[2:]: "".join(values[:1]) for _, name, values in self.options}

    def value(self, name: str) -> str | None:
        """The first value of an option, None where it is absent or has none."""
        return value_of(self.options, name)


def value_of(options: list[Option], name: str) -> str | None:
    """The first value of one of these options, None where it is absent or has none."""
    return next((values[0] for _, option, values in options if option == name and values), None)


def logical_lines(text: str, at: int = 0) -> Iterator[str]:
    """The lines of what such a tool prints, from a place on; a quoted word with line breaks in it stays in
    one.
    """
    while at < len(text):
        end = text.find("\n", at)
        line = text[at:] if end < 0 else text[at:end]
        if _is_open(line):
            whole = _LINE.match(text, at, at + len(line) + _LONGEST)
            line = whole[0] if whole else line
        yield line
        at += len(line) + 1


def _is_open(line: str) -> bool:
    """Whether a quoted word begins in a line and does not end there."""
    if "\\" not in line and line.count('"') % 2 == 0:  # as in nearly all
        return False
    return ' "' in _QUOTED.sub("", line)


def tokens(line: str) -> list[tuple[str, bool]]:
    """The words of a line and whether they were quoted (a quoted word is never an option)."""
    if '"' not in line:
        return [(word, False) for word in line.split(" ") if word]
    found = []
    for quoted, plain in _TOKEN.findall(line):
        found.append((plain, False) if plain else (_ESCAPED.sub(r"\1", quoted), True))
    return found


def blocks(words: list[tuple[str, bool]]) -> list[Block]:
    """The words of one rule, after `-A CHAIN`, grouped: the options of every rule first, then matches and the
    target in order.

    One-dash options (-s, -i, -p) belong to the rule wherever they stand: arptables-save prints them behind
    the target.
    """
    general = opened = Block("", "")
    found = [general]
    negated = nameless = False
    values: list[str] | None = None
    for word, quoted in words:
        if quoted or word[:1] not in _SIGNS or word in ("-", "--"):
            if nameless:
                opened.name, nameless = word, False
            elif values is not None:
                values.append(word)
        elif word == "!":
            negated, nameless, values = True, False, None
        elif word in _OPENERS:
            opened = Block(_OPENERS[word], "")
            found.append(opened)
            negated, nameless, values = False, True, None
        else:
            values = []
            (general if word in _GENERAL else opened).options.append((negated, word, values))
            negated = nameless = False
    return found


_SIGNS = frozenset("-!")
_OPENERS = {"-m": "match", "-j": "target", "-g": "goto"}
_GENERAL = frozenset(("-s", "-d", "-i", "-o", "-p", "-f", "-c", "--logical-in", "--logical-out"))
