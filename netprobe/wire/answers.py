"""Which ARP or ND answer belongs to which question.

An answer carries nothing of its question but the asker's addresses.

Several programs may ask for the same address at the same time, from the same interface: another run, the
kernel itself. Their questions are told apart (ours carry a token), so the answers are, by order: a station
answers in the order it is asked. A question may stay without an answer, and an answer may come twice; of the
pairings that keep the order, the one with the shortest waits is taken. It is read where the answers are seen
first, and carried over to the other places in the same way.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from msgspec import Struct

from netprobe.model import Flow

MOST_STATIONS = 64  # that answer for one address; more of them are nobody's network, but somebody who forges
MOST_WAITING = 64  # questions that one answer may belong to, the last ones before it
REPEATED_NS = 50_000_000  # an answer is rather taken for a second one than made to wait this long

_Question = tuple[int, int | None]  # when, and which of ours


class Word(Struct, frozen=True, gc=False):
    """A question or an answer as one tap saw it.

    `sequence` is that of our own question; None of a foreign one, or an answer.

    `point` is where: namespace, interface. `station` is the MAC that an answer names.
    """

    point: tuple[str, str]
    outgoing: bool
    stamp_ns: int
    flow: Flow
    sequence: int | None = None
    station: str = ""
    is_answer: bool = False


def pair(words: Sequence[Word]) -> dict[int, int]:
    """The sequence that each answer to us belongs to, by its index in `words`, which are in the order of
    time.

    Answers to foreign questions, and to nobody, are left out.
    """
    asked = next(((word.flow.src, word.flow.dst) for word in words if word.sequence is not None), None)
    if asked is None:
        return {}
    asks = [word for word in words if not word.is_answer and (word.flow.src, word.flow.dst) == asked]
    questions: dict[tuple[str, str], list[_Question]] = {}
    for word in asks:
        questions.setdefault(word.point, []).append((word.stamp_ns, word.sequence))
    stations: dict[str, list[tuple[int, Word]]] = {}
    for i, word in enumerate(words):
        if (
            word.is_answer
            and (word.flow.dst, word.flow.src) == asked
            and (word.station in stations or len(stations) < MOST_STATIONS)
        ):
            stations.setdefault(word.station, []).append((i, word))
    paired: dict[int, int] = {}
    for station in sorted(stations):
        paired |= _of_station(questions, stations[station])
    return paired


def _of_station(
    asks: Mapping[tuple[str, str], Sequence[_Question]], answers: Sequence[tuple[int, Word]]
) -> dict[int, int]:
    """The pairs of one station: read at the point nearest to it, and carried over to the other points by
    order.
    """
    nearest = min(answers, key=lambda answer: (answer[1].stamp_ns, not answer[1].outgoing))[1]
    there = [
        (i, word) for i, word in answers if (word.point, word.outgoing) == (nearest.point, nearest.outgoing)
    ]
    questions = asks.get(nearest.point, ())
    stamps = [word.stamp_ns for _, word in there]
    origin: list[_Question] = list(zip(stamps, _in_order(questions, stamps), strict=True))
    paired = {}
    for point in {(word.point, word.outgoing) for _, word in answers}:
        here = [(i, word.stamp_ns) for i, word in answers if (word.point, word.outgoing) == point]
        for (i, _), sequence in zip(here, _in_order(origin, [stamp for _, stamp in here]), strict=True):
            if sequence is not None:
                paired[i] = sequence
    return paired


def _in_order(questions: Sequence[_Question], stamps: Sequence[int]) -> list[int | None]:
    """For each stamp of an answer, the sequence of its question. A second answer has that of the first."""
    found: list[int | None] = []
    last, since = -1, -REPEATED_NS
    for stamp, index in zip(stamps, _aligned([asked for asked, _ in questions], stamps), strict=True):
        if (
            index is None
            and stamp - since >= REPEATED_NS
            and last + 1 < len(questions)
            and questions[last + 1][0] <= stamp
        ):
            index = last + 1  # too late to be a second answer: a slow station
        if index is not None:
            last, since = max(last, index), stamp
        found.append(questions[last][1] if last >= 0 else None)
    return found


def _aligned(asked: Sequence[int], answered: Sequence[int]) -> list[int | None]:
    """For each answer the index of its question, or None for a second one, in order and with the shortest
    waits in sum.

    Dynamic programming over the answers: the state is the last question that was answered, -1 for none.
    """
    best = {-1: 0}  # what each state costs: the later the state the cheaper, or it is not here
    steps: list[dict[int, int]] = []  # for each answer, the state before it by the state after it
    for stamp in answered:
        states = list(best)
        costs = {state: cost + REPEATED_NS for state, cost in best.items()}
        step = dict(zip(states, states, strict=True))
        until = bisect_right(asked, stamp)
        for index in range(max(bisect_right(asked, stamp - REPEATED_NS), until - MOST_WAITING), until):
            at = bisect_left(states, index)
            if at == 0:  # the states before it were given up
                continue
            before = states[at - 1]
            cost = best[before] + stamp - asked[index]
            if index not in costs or cost < costs[index]:
                costs[index], step[index] = cost, before
        best = _worth_keeping(costs)
        steps.append(step)
    return _walked_back(max(best), steps)


def _worth_keeping(costs: dict[int, int]) -> dict[int, int]:
    """In order, the states that may still win: a later one, which leaves fewer questions, must be cheaper
    than all before it.
    """
    kept: dict[int, int] = {}
    cheapest = max(costs.values()) + 1
    for state in sorted(costs):
        if costs[state] < cheapest:
            kept[state] = cheapest = costs[state]
    return dict(list(kept.items())[-MOST_WAITING:])


def _walked_back(state: int, steps: Sequence[dict[int, int]]) -> list[int | None]:
    found: list[int | None] = []
    for step in reversed(steps):
        found.append(None if step[state] == state else state)
        state = step[state]
    return found[::-1]
