"""Answers as a file of expectations: the way back from `read`. The same answers give the same text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from netprobe.model.command import joined

# what YAML reads as itself, in a list as well: no sign of its own, no colon before a blank
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@-]*(?::[A-Za-z0-9_./@-]+)*")
_WORDS = {"null", "Null", "NULL"}


class Answered(Struct, frozen=True):
    """What came of one question: whether an answer came, and what kept it off (a cause's code) or why that is
    not known.
    """

    source: str
    destination: str
    reachable: bool
    code: str = ""
    reason: str = ""


class Asking(Struct, frozen=True):
    """How all of them are asked."""

    protocol: Literal["icmp", "udp", "tcp", "arp"] | None = None
    port: int | None = None


def written(answers: Sequence[Answered], asking: Asking, blocked: bool = False, complete: bool = True) -> str:
    """The file. What did not answer is a comment; with `blocked` it is expected not to."""
    lines = ["# What answered when this was written; `netprobe check` asks again."]
    if not complete:
        lines.append("# INCOMPLETE: interrupted before all were asked.")
    works = [(each.source, each.destination) for each in answers if each.reachable]
    lines += ["version: 1", "expect:" if works or blocked else "expect: []"]
    lines += [_line(*pair, asking) for pair in _gathered(works)]
    lost = sorted(
        (each for each in answers if not each.reachable), key=lambda e: (e.code, e.source, e.destination)
    )
    for code in dict.fromkeys(each.code for each in lost):
        alike = [each for each in lost if each.code == code]
        lines += ["", f"# No answer{f': {code}' if code else ', and nobody can tell why'}"]
        lines += _of_lost(alike, asking, blocked and bool(code), code)
    return "\n".join(lines) + "\n"


def _of_lost(alike: Sequence[Answered], asking: Asking, blocked: bool, code: str) -> Iterator[str]:
    pairs = [(each.source, each.destination) for each in alike]
    for reason in dict.fromkeys(each.reason for each in alike):
        yield f"#   {_comment(reason)}"
    more = f", is: blocked, cause: {code}"
    for pair in _gathered(pairs):
        yield _line(*pair, asking, more) if blocked else f"# {_line(*pair, asking, more if code else '')}"


def _comment(text: str) -> str:
    """A text that stays one comment: a name may hold a line break."""
    return joined([text]) if not text.isprintable() else text


def _line(sources: tuple[str, ...], destinations: tuple[str, ...], asking: Asking, more: str = "") -> str:
    """An expectation for all pairs of both, but for one with itself."""
    asked = "".join(
        f", {key}: {value}" for key, value in (("protocol", asking.protocol), ("port", asking.port)) if value
    )
    return f"- {{from: {_listed(sources)}, to: {_listed(destinations)}{asked}{more}}}"


def _listed(names: tuple[str, ...]) -> str:
    shown = [scalar(name) for name in names]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def scalar(text: str) -> str:
    """A text as YAML: as it is, or in double quotes with escapes for all that is not printable ASCII (YAML
    1.1, 5.7). A byte that is no UTF-8 is written as PEP 383 carries it, which this program reads back.
    """
    if _PLAIN.fullmatch(text) and text not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isascii() and char.isprintable():
        return char
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _gathered(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sources that reach the same, themselves aside, with what that is: (sources, destinations), sorted."""
    reached: dict[str, set[str]] = {}
    for source, destination in pairs:
        reached.setdefault(source, set()).add(destination)
    alike: dict[tuple[str, ...], list[str]] = {}
    for source, destinations in sorted(reached.items()):
        alone = tuple(sorted(destinations))
        shared = tuple(sorted({*destinations, source}))
        together = [other for other, found in reached.items() if {*found, other} == {*shared}]
        alike.setdefault(shared if len(together) > 1 else alone, []).append(source)
    for targets, sources in alike.items():
        yield tuple(sources), targets
