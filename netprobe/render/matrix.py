"""Who reaches whom as text and Markdown: the figures, the heat map, and the pairs that fail in one group a
cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from statistics import median

from netprobe.model.matrix import Matrix, Pair, PairGroup
from netprobe.model.report import Verdict

from . import words
from .blocks import fix_lines
from .escape import safe
from .heat import COLOURS, heat
from .markdown import fenced
from .pen import Pen
from .terminal import Terminal

SAMPLE = 10_000  # round trips that the median is taken of
NAMED = 4  # members that are listed by name
LABEL = "    "
_UNASKED = {True: "are not on one network, and were not asked", False: "were not asked to the end"}
_SAMPLED = "were not asked: of each two hosts one pair was, and each endpoint three times at both ends"


def text(matrix: Matrix, terminal: Terminal, quiet: bool = False) -> str:
    """The whole answer for a terminal; `quiet` is its first line."""
    pen = Pen(terminal)
    if quiet:
        return "\n".join(headline(matrix, pen)) + "\n"
    parts = [headline(matrix, pen), heat(matrix, pen)]
    parts += [_group(matrix, group, pen) for group in matrix.groups]
    parts += [remarks(matrix, pen)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def headline(matrix: Matrix, pen: Pen) -> list[str]:
    """How many pairs answer, and how fast."""
    first, *others = figures(matrix)
    return pen.flowed([(first, COLOURS[matrix.overall]), *zip(others, repeat(""))])


def figures(matrix: Matrix) -> list[str]:
    """The figures of the first line, in words."""
    reachable = matrix.count(Verdict.REACHABLE)
    asked = sum(map(matrix.count, Verdict))
    port = f" to port {matrix.port}" if matrix.port is not None else ""
    said = [
        f"{reachable:,} of {asked:,} pairs reachable",
        f"{len(matrix.members)} endpoints by {matrix.protocol.upper()}{port}",
    ]
    times = sorted(filter(None, matrix.rtt_ns[:: 1 + len(matrix.rtt_ns) // SAMPLE]))
    if times:
        least, most = min(filter(None, matrix.rtt_ns)), max(matrix.rtt_ns)
        ends = f"{words.duration(least)} to {words.duration(most)}"
        said.append(f"answers after {words.duration(round(median(times)))} ({ends})")
    if not matrix.complete:
        said.append("INCOMPLETE: interrupted")
    return said


def _group(matrix: Matrix, group: PairGroup, pen: Pen) -> list[str]:
    """One cause: how many pairs, what stops them, which they are, what mends it."""
    head = pen.indented(title(group), "", COLOURS[group.verdict])
    rows = [*head, *pen.indented(listed(matrix, group.pairs), LABEL)]
    if group.cause is None:
        return rows
    thing = words.thing(group.cause.object) if group.cause.object is not None else ""
    return [*rows, *pen.listed(filter(None, [thing]), LABEL), *fix_lines(group.cause, pen)]


def title(group: PairGroup) -> str:
    """The one line of a group: "23 pairs: host FORWARD policy DROP [policy-drop]"."""
    count = len(group.pairs)
    pairs = f"{count:,} pair{'s'[: count - 1]}"
    design = "isolated by design: " if group.intended else ""
    return f"{pairs}: {design}{group.summary}" + (f" [{group.code}]" if group.code else "")


def listed(matrix: Matrix, pairs: Sequence[Pair]) -> str:
    """Which pairs they are, in few words: "s7 and 49 others, both ways", "a, b to c, d"."""
    sources, targets = (list(dict.fromkeys(ends)) for ends in zip(*pairs, strict=True))
    whom, told = _names(matrix, sources), _names(matrix, targets)
    if {(j, i) for i, j in pairs} == set(pairs):
        left = [i for i, j in pairs if j == pairs[0][1]]
        sides = sorted([left, [n for n in sources if n not in left]], key=len)
        if len(pairs) == 2 * len(sides[0]) * len(sides[1]):
            return " and ".join(_names(matrix, side) for side in sides) + ", both ways"
    if len(pairs) == len(sources) * len(targets) - len({*sources} & {*targets}):
        return f"{whom} to each other" if {*sources} == {*targets} else f"{whom} to {told}"
    some = [" to ".join(matrix.members[n].endpoint for n in pair) for pair in pairs[:NAMED]]
    return "; ".join(some) + _more(len(pairs) - NAMED, "more")


def _names(matrix: Matrix, members: Sequence[int]) -> str:
    names = [matrix.members[n].endpoint for n in members[:NAMED]]
    return ", ".join(names) + _more(len(members) - NAMED, "others")


def _more(count: int, what: str) -> str:
    return f" and {count:,} {what}" if count > 0 else ""


def remarks(matrix: Matrix, pen: Pen) -> list[str]:
    """What was left out, and what a person should know."""
    left = [f"{each.what} is left out: {each.why}" for each in matrix.blind]
    unasked = matrix.count(None) - len(matrix.members)
    why = _SAMPLED if matrix.sampled and matrix.complete else _UNASKED[matrix.complete]
    said = [f"{unasked:,} pairs {why}"][:unasked]
    return pen.listed([*left, *said, *matrix.notes], "note: ")


def markdown(matrix: Matrix) -> str:
    """The answer for the summary page of a run in CI."""
    pen = Pen(Terminal(100))
    head = f"### netprobe matrix: {figures(matrix)[0]}"
    lines = [*figures(matrix)[1:], *remarks(matrix, pen)]
    parts = [head, "\n".join(f"* {safe(line)}" for line in lines), fenced(heat(matrix, pen))]
    parts += [fenced(_group(matrix, group, pen)) for group in matrix.groups]
    return "\n\n".join(filter(None, parts)) + "\n"
