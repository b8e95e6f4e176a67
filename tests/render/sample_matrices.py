"""Matrices to draw, small and large, and how they are drawn."""

from __future__ import annotations

from array import array

from netprobe.model import Cause, Command, Object, Place, Protocol, Stage
from netprobe.model.matrix import VERDICTS, Matrix, Member, Pair, PairGroup
from netprobe.model.report import Verdict
from netprobe.render.terminal import Terminal

DROP = Cause(
    "policy-drop",
    Place("host", None, Stage.FORWARD),
    "host FORWARD policy DROP",
    Object("policy", "iptables filter FORWARD policy", owner="docker"),
    commands=(Command.of("iptables", "-P", "FORWARD", "ACCEPT", namespace="host"),),
)


def matrix(count: int, groups: tuple[PairGroup, ...] = (), group: int = 0, complete: bool = True) -> Matrix:
    """So many members, all of which reach each other but for these groups; the first `group` of them are called web."""
    codes = [bytearray(VERDICTS.index(Verdict.REACHABLE) if i != j else 0 for j in range(count)) for i in range(count)]
    rtt = array("q", (0 if i == j else 20_000 + 100 * i + j for i in range(count) for j in range(count)))
    for each in groups:
        for i, j in each.pairs:
            codes[i][j], rtt[i * count + j] = VERDICTS.index(each.verdict), 0
    members = tuple(Member(f"c{n}", f"c{n}", group="web" if n < group else "") for n in range(count))
    overall = groups[0].verdict if groups else Verdict.REACHABLE
    return Matrix(Protocol.ICMP, 4, None, members, overall, tuple(map(bytes, codes)), rtt, groups, complete)


def between(*ends: range) -> tuple[Pair, ...]:
    """All pairs between two ranges, both ways."""
    first, second = ends
    return tuple(pair for i in first for j in second for pair in ((i, j), (j, i)))


BROKEN = (
    PairGroup(Verdict.UNREACHABLE, DROP.summary, between(range(2), range(2, 5)), (0, 2), DROP, walked=12, code=DROP.code),
    PairGroup(Verdict.UNDETERMINED, "c5 does not hold\x1b[2J still", ((5, 0),), (5, 0)),
    PairGroup(Verdict.INTERMITTENT, "it answered when it was asked alone", ((4, 5),), (4, 5)),
)
SHOWN = {
    "well": matrix(3),
    "broken": matrix(6, BROKEN),
    "large": matrix(
        500, (PairGroup(Verdict.UNREACHABLE, DROP.summary, between(range(7), range(100, 500)), (0, 100), DROP, code=DROP.code),), group=40
    ),
    "interrupted": matrix(3, (PairGroup(Verdict.UNREACHABLE, "no cause was looked for", ((0, 1),), (0, 1)),), complete=False),
}
LOOKS = {"80": Terminal(80), "40": Terminal(40), "ascii": Terminal(80, ascii=True), "colour": Terminal(80, colour=True)}
