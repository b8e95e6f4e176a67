"""All pairs of a matrix, one by one: as CSV (RFC 4180) and as JUnit XML."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from netprobe.model.matrix import Matrix, Pair, PairGroup
from netprobe.model.report import Verdict

from .escape import safe
from .junit import Ending, JunitCase, JunitSuite, junit
from .matrix import title

HEAD = ("source", "destination", "verdict", "rtt_ns", "cause", "summary")
_CUT = "interrupted before all pairs were asked"
_ENDINGS = {
    Verdict.REACHABLE: Ending.PASSED, Verdict.UNREACHABLE: Ending.FAILURE,
    Verdict.INTERMITTENT: Ending.FAILURE, Verdict.UNDETERMINED: Ending.ERROR,
}  # fmt: skip


def groups_of(matrix: Matrix) -> dict[Pair, PairGroup]:
    """The group of each pair that fails."""
    return {pair: group for group in matrix.groups for pair in group.pairs}


def csv_of(matrix: Matrix) -> str:
    """A line for each pair that was asked, under a head."""
    lines = _Lines()
    csv.writer(lines).writerows([HEAD, *_rows(matrix)])
    return "".join(lines)


class _Lines(list[str]):
    """What is written, line by line."""

    write = list.append


def _rows(matrix: Matrix) -> Iterator[tuple[str, ...]]:
    groups = groups_of(matrix)
    for (i, j), verdict in matrix.asked():
        group, rtt = groups.get((i, j)), matrix.rtt(i, j)
        cause = (group.code, group.summary) if group is not None else ("", "")
        ends = matrix.members[i].endpoint, matrix.members[j].endpoint
        yield tuple(map(safe, (*ends, verdict, str(rtt or ""), *cause)))


def junit_of(matrix: Matrix) -> str:
    """A case for each pair that was asked; one whose answer is not known is an error, and so is that the run
    was interrupted: what reads this must not take it for a whole one.
    """
    groups = groups_of(matrix)
    cases = tuple(_case(matrix, pair, verdict, groups.get(pair)) for pair, verdict in matrix.asked())
    properties = (("protocol", str(matrix.protocol)), ("complete", str(matrix.complete).lower()))
    cut = (
        ()
        if matrix.complete
        else (JunitCase("all were asked", "matrix", 0.0, Ending.ERROR, _CUT, text=_CUT),)
    )
    return junit([JunitSuite("netprobe matrix", (*cases, *cut), properties)])


def _case(matrix: Matrix, pair: Pair, verdict: Verdict, group: PairGroup | None) -> JunitCase:
    i, j = pair
    source, destination = (matrix.members[n].endpoint for n in pair)
    case = JunitCase(f"{source} to {destination}", f"matrix.{source}", (matrix.rtt(i, j) or 0) / 1e9)
    if group is None:
        return case
    fix = group.cause.fix if group.cause is not None else ()
    text = "\n".join((title(group), *fix))
    return JunitCase(
        case.name, case.classname, case.seconds, _ENDINGS[verdict], group.summary, group.code, text,
        (("cause", group.code),),
    )  # fmt: skip
