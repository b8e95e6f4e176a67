"""Answers as a file of expectations: the way back from `read`. The same answers give the same text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from msgspec import Struct

from netprobe.model.command import joined
from netprobe.model.lookup import column, where
from netprobe.model.protocol import Word

# what YAML reads as itself, in a list as well: no sign of its own, no colon before a blank
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@-]*(?::[A-Za-z0-9_./@-]+)*")
_WORDS = {"null", "Null", "NULL"}


class PairAnswer(Struct, frozen=True):
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

    protocol: Word | None = None
    port: int | None = None


_HEAD = "# What answered when this was written; `netprobe check` asks again."
_CUT = "# INCOMPLETE: interrupted before all were asked."


def written(
    answers: Sequence[PairAnswer], asking: Asking, blocked: bool = False, complete: bool = True
) -> str:
    """The file. What did not answer is a comment; with `blocked` it is expected not to."""
    works = where(answers, reachable=True)
    lost = sorted(where(answers, reachable=False), key=_order)
    expected = works or (blocked and any(column(lost, "code")))
    lines = [_HEAD, "version: 1", "expect:" if expected else "expect: []", *_lines(works, asking)]
    for code, alike in groupby(lost, attrgetter("code")):
        lines += ["", *_of_lost(list(alike), asking, blocked, code)]
    if not complete:
        lines.insert(1, _CUT)
    return "\n".join(lines) + "\n"


def _order(each: PairAnswer) -> tuple[str, str, str]:
    return each.code, each.source, each.destination


def _of_lost(alike: Sequence[PairAnswer], asking: Asking, blocked: bool, code: str) -> Iterator[str]:
    """What did not answer for one cause; what nobody can tell is not expected to stay so."""
    yield f"# No answer: {code or 'nobody can tell why'}"
    for reason in dict.fromkeys(column(alike, "reason")):
        yield f"#   {_comment(reason)}"
    sign = "" if blocked and code else "# "
    more = f", is: blocked, cause: {code}" if code else ""
    for line in _lines(alike, asking, more):
        yield sign + line


def _comment(text: str) -> str:
    """A text that stays one comment: a name may hold a line break."""
    return joined([text]) if not text.isprintable() else text


def _lines(answers: Sequence[PairAnswer], asking: Asking, more: str = "") -> Iterator[str]:
    """An expectation for all pairs of some sources and destinations, but for one with itself."""
    protocol = f", protocol: {asking.protocol}" if asking.protocol else ""
    port = f", port: {asking.port}" if asking.port else ""
    for sources, destinations in _gathered(answers):
        pairs = f"from: {_listed(sources)}, to: {_listed(destinations)}"
        yield f"- {{{pairs}{protocol}{port}{more}}}"


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
    number = ord(char)
    if char in _ESCAPED:
        return f"\\{char}"
    if 0x20 <= number < 0x7F:
        return char
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


_ESCAPED = ('"', "\\")


def _gathered(answers: Sequence[PairAnswer]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sources with the same destinations, themselves aside, and these: (sources, destinations), sorted."""
    reached: dict[str, set[str]] = {}
    for each in answers:
        reached.setdefault(each.source, set()).add(each.destination)
    alike: dict[tuple[str, ...], list[str]] = {}
    for source in sorted(reached):
        alike.setdefault(_shared(source, reached), []).append(source)
    for targets, sources in alike.items():
        yield tuple(sources), targets


def _shared(source: str, reached: dict[str, set[str]]) -> tuple[str, ...]:
    """The destinations of a source, with itself where that makes them those of another one as well."""
    whole = {*reached[source], source}
    others = (other for other in reached if other != source and {*reached[other], other} == whole)
    return tuple(sorted(reached[source] if next(others, None) is None else whole))
