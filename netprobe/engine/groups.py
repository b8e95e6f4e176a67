"""The pairs that fail, in groups of one cause each: one search for the cause a group, one walk a pair.

Which other pairs fail for the cause of one that was searched, is tried: they are walked again over the model
with its repair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from netprobe.errors import NetprobeError
from netprobe.model import (
    Cause,
    Confidence,
    Evidence,
    Object,
    Place,
    Report,
    Source,
    Stage,
    Verdict,
)
from netprobe.model.matrix import Pair, PairGroup, PairState, Plan, Sweep
from netprobe.predict.fixes import sysctl
from netprobe.question import Question

from .line import ask
from .trials import End, Trials
from .world import MatrixWorld

SEARCHES = 64  # more causes than these are not looked for
CROWDED = "neigh-table-full"
_ROOM = 8192  # entries, at least, of a table that is to be larger
FULL = "the neighbour table of the kernel was full, which is one for all namespaces"
UNSOUGHT = "no cause was looked for"
ALONE = "it answered when it was asked alone"


def grouped(plan: Plan, swept: Sweep, search: Search) -> tuple[tuple[PairGroup, ...], bool]:
    """The groups of all pairs that fail, the largest first; whether the search came to its end."""
    failing = _failing(plan, swept)
    full = [pair for pair in failing if _state(plan, swept, pair) == PairState.FULL]
    groups = [*([_crowded(plan, swept, tuple(full))] if full else ()), *_lost(plan, swept)]
    rest, ended = [pair for pair in failing if pair not in set(full)], not swept.interrupted
    try:
        for _ in search.walked(rest) if ended else ():
            pass
        while ended and rest and len(groups) < SEARCHES:
            if (found := search.group(rest)) is None:
                break
            groups.append(found)
            taken = set(found.pairs)
            rest = [pair for pair in rest if pair not in taken]
    except KeyboardInterrupt:
        ended = False
    if rest:
        groups.append(PairGroup(Verdict.UNREACHABLE, UNSOUGHT, tuple(rest), rest[0]))
    return tuple(sorted(_joined(groups), key=lambda group: -len(group.pairs))), ended


def _crowded(plan: Plan, swept: Sweep, pairs: tuple[Pair, ...]) -> PairGroup:
    """Pairs of which nothing is known: the kernel had no room for the neighbours (__neigh_create)."""
    key = f"net.ipv{plan.version}.neigh.default.gc_thresh3"
    limit = f"{key} = {swept.limit}"
    grew = Evidence(Source.COUNTER, "table_fulls grew while these were asked", Confidence.OBSERVED)
    place = Place(None, None, Stage.NEIGHBOUR)  # the first namespace alone has the limit, for all of them
    fix = sysctl(key, max(_ROOM, 2 * swept.limit))
    cause = Cause(
        CROWDED, place, FULL, Object("sysctl", key, limit), (grew,), Confidence.OBSERVED, commands=fix
    )
    return PairGroup(Verdict.UNDETERMINED, FULL, pairs, pairs[0], cause, code=CROWDED)


def _lost(plan: Plan, swept: Sweep) -> list[PairGroup]:
    """Pairs of which nothing is known: the host of an end was lost."""
    pairs: dict[str, list[Pair]] = {}
    for pair in plan.pairs() if swept.lost else ():
        if _state(plan, swept, pair) == PairState.LOST:
            why = next(swept.lost[end] for end in pair if end in swept.lost)
            pairs.setdefault(why, []).append(pair)
    return [PairGroup(Verdict.UNDETERMINED, why, tuple(each), each[0]) for why, each in pairs.items()]


def _failing(plan: Plan, swept: Sweep) -> list[Pair]:
    """What is known to fail: after an interruption not what may still have been on its way."""
    failing = {PairState.REFUSED}
    if not swept.interrupted:
        failing |= {PairState.SENT, PairState.UNSENT, PairState.FULL}
    return [pair for pair in plan.pairs() if _state(plan, swept, pair) in failing]


def _state(plan: Plan, swept: Sweep, pair: Pair) -> int:
    return swept.states[pair[0] * len(plan.members) + pair[1]]


def _joined(groups: Sequence[PairGroup]) -> list[PairGroup]:
    """The groups, those of one sentence as one: something else may be wrong as well for some of its pairs."""
    made: dict[tuple[str, str, str], PairGroup] = {}
    for group in groups:
        same = group.verdict, group.code, group.summary
        known = made.get(same)
        pairs, walked = (group.pairs, group.walked) if known is None else (
            (*known.pairs, *group.pairs), known.walked + group.walked,
        )  # fmt: skip
        made[same] = replace(known or group, pairs=pairs, walked=walked)
    return list(made.values())


class Search:
    """The searches of one matrix, which read each namespace once for all walks."""

    def __init__(self, world: MatrixWorld, plan: Plan) -> None:
        self._world, self._plan = world, plan
        self._trials = Trials(world, plan)
        self._ends: dict[Pair, End | None] = {}
        self._reports: dict[Pair, Report | None] = {}
        self._tried: tuple[Cause | None, bool] = (None, False)

    def walked(self, pairs: Sequence[Pair]) -> Iterator[None]:
        """Walk these pairs, or of very many some of each kind, a step each."""
        for pair in self._trials.chosen(pairs):
            if pair not in self._ends:
                self._ends[pair] = self._trials.end(pair)
                yield

    def prepared(self, pairs: Sequence[Pair]) -> Iterator[None]:
        """Do ahead what will be done when these pairs turn out to fail, step by step: walk them, and explain
        one for each code that a walk ends with, the most frequent first.
        """
        yield from self.walked(pairs)
        ends = Counter(end[0] for pair in pairs if (end := self._ends.get(pair)) is not None)
        for code, _ in ends.most_common():
            like = [pair for pair in pairs if (end := self._ends.get(pair)) is not None and end[0] == code]
            if (pair := self._usual(like)) is not None:
                self._reports[pair] = self._trials.explained(pair)
                yield

    def group(self, pairs: Sequence[Pair]) -> PairGroup | None:
        """What stops one of the pairs, and which of the others that stops as well; None where none of them
        was walked.
        """
        first = self._usual(pairs)
        if first is None:
            return None
        try:
            report = self._asked(first)
        except NetprobeError as error:
            return PairGroup(Verdict.UNDETERMINED, str(error), (first,), first)
        if report.verdict is Verdict.REACHABLE:
            return PairGroup(Verdict.INTERMITTENT, ALONE, (first,), first, report=report)
        cause = report.causes[0] if report.causes else None
        same = tuple(self._alike(first, cause, pairs))
        walked = sum(1 for pair in same if pair in self._ends)
        keeper = _keeper(cause)
        summary = cause.summary if cause is not None else report.summary
        summary = f"{keeper} keeps its networks apart" if keeper is not None else summary
        code = cause.code if cause is not None else ""
        return PairGroup(
            report.verdict, summary, same, first, cause, walked, keeper is not None, code, report
        )

    def _asked(self, pair: Pair) -> Report:
        """The answer for one pair: what the model says, or where it does not say that it fails, a trace."""
        if pair not in self._reports:
            self._reports[pair] = self._trials.explained(pair)
        report = self._reports[pair]
        if report is not None and report.verdict is Verdict.UNREACHABLE:
            return report
        with self._world.tidied(self._plan, pair):
            return ask(self._world, self._question(pair)).report

    def _question(self, pair: Pair) -> Question:
        plan, (i, j) = self._plan, pair
        aim = plan.aims[i][j]
        assert aim is not None
        named = plan.members[j].endpoint
        whole = aim.address == plan.members[j].addresses[0] and not {"/", "@"} & {*named}
        return Question(
            plan.members[i].endpoint, named if whole else aim.address.address,
            protocol=str(plan.protocol).removesuffix("v6"),  # type: ignore[arg-type]
            port=plan.port, version=plan.version, timeout_ns=plan.timeout_ns,
        )  # fmt: skip

    def _alike(self, first: Pair, cause: Cause | None, pairs: Sequence[Pair]) -> Iterator[Pair]:
        """Those of the pairs that fail for the same cause as the first one; of those that were not walked
        the ones of networks between which most that were do.
        """
        kinds: dict[int, list[bool]] = {}
        known: dict[tuple[End | None, int], bool] = {}
        for pair in pairs:
            if pair in self._ends:
                side = self._side(pair)
                if side not in known:
                    known[side] = self._is_alike(pair, first, cause)
                kinds.setdefault(self._trials.kind(pair), []).append(known[side])
                if known[side]:
                    yield pair
        usual = {kind for kind, found in kinds.items() if 2 * sum(found) > len(found)}
        unwalked = (pair for pair in pairs if pair not in self._ends)
        yield from (pair for pair in unwalked if self._trials.kind(pair) in usual)

    def _side(self, pair: Pair) -> tuple[End | None, int]:
        """Where the walk of a pair ends, with the source where that is its own doing, else with the
        destination: of pairs that are alike in this, one is tried. (Frames to a MAC that no bridge knows may
        seem to end at any of its ports.)
        """
        end = self._ends[pair]
        own = end is not None and end[1].namespace == self._plan.members[pair[0]].namespace
        return end, pair[0] if own else pair[1]

    def _is_alike(self, pair: Pair, first: Pair, cause: Cause | None) -> bool:
        """Whether the repair mends this pair as well. Where that tells nothing: whether both end at one
        object, or are the two ways of one pair; without a word of the model whether they are of the same
        networks. What an engine keeps apart by different rules of its own is one.
        """
        if pair == first:
            return True
        end, other = self._ends[first], self._ends[pair]
        if end is None or other is None:
            unknown = cause is None or cause.code == "unknown"
            return unknown and end is other and self._trials.kind(pair) == self._trials.kind(first)
        keeper = _keeper(cause)
        if cause is not None and keeper is not None and other[2] is not None and other[2].owner == keeper:
            return other[0] == cause.code
        mends = (
            self._trials.mends(cause, pair) if cause is not None and self._is_tried(cause, first) else None
        )
        back = pair == first[::-1] and end[0] == other[0]
        return end == other or back if mends is None else mends

    def _is_tried(self, cause: Cause, first: Pair) -> bool:
        """Whether the repair mends the pair that it was found for: something else may be wrong as well."""
        if self._tried[0] is not cause:
            self._tried = cause, self._trials.mends(cause, first) is True
        return self._tried[1]

    def _usual(self, pairs: Sequence[Pair]) -> Pair | None:
        """A pair whose walk ends where most of them do."""
        walked = [pair for pair in pairs if pair in self._ends]
        ends = Counter(self._ends[pair] for pair in walked)
        return max(
            walked, key=lambda pair: (self._ends[pair] is not None, ends[self._ends[pair]]), default=None
        )


def _keeper(cause: Cause | None) -> str | None:
    """The container engine whose own rule keeps these apart, as Docker does with its networks."""
    if cause is None or cause.object is None or cause.code not in ("filtered-by-rule", "rejected-by-rule"):
        return None
    return cause.object.owner if cause.object.owner in ("docker", "podman") else None
