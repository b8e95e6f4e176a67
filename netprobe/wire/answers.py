"""Which ARP or ND answer belongs to which question. An answer carries nothing of its question but the asker's addresses.

Several programs may ask for the same address at the same time, from the same interface: another run, the kernel itself. Their
questions are told apart (ours carry a token), so the answers are, by order: a station answers in the order it is asked.
The order is read where the answer is seen first. If that is the station's own interface, going out, the answer belongs to the
question that came in just before; elsewhere, to the oldest one that still waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netprobe.model import Flow

STALE_NS = 50_000_000  # a question waiting this long has lost its answer, if a younger one waits too


@dataclass(frozen=True, slots=True)
class Word:
    """A question or an answer as one tap saw it. `sequence` is that of our own question; None of a foreign one, or an answer.

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
    """The sequence that each answer to us belongs to, by its index in `words`, which are in the order of time.

    Answers to foreign questions, and to nobody, are left out.
    """
    asked = next(((word.flow.src, word.flow.dst) for word in words if word.sequence is not None), None)
    if asked is None:
        return {}
    asks = [word for word in words if not word.is_answer and (word.flow.src, word.flow.dst) == asked]
    answers = [(i, word) for i, word in enumerate(words) if word.is_answer and (word.flow.dst, word.flow.src) == asked]
    paired: dict[int, int] = {}
    for station in sorted({word.station for _, word in answers}):
        paired |= _of_station(asks, [(i, word) for i, word in answers if word.station == station])
    return paired


def _of_station(asks: Sequence[Word], answers: Sequence[tuple[int, Word]]) -> dict[int, int]:
    """The pairs of one station: read at the point nearest to it, and carried over to the other points by order."""
    nearest = min(answers, key=lambda answer: (answer[1].stamp_ns, not answer[1].outgoing))[1]
    there = [(i, word) for i, word in answers if (word.point, word.outgoing) == (nearest.point, nearest.outgoing)]
    questions = [(word.stamp_ns, word.sequence) for word in asks if word.point == nearest.point]
    stamps = [word.stamp_ns for _, word in there]
    sequences = _just_before(questions, stamps) if nearest.outgoing else _in_order(questions, stamps)
    origin = list(zip(stamps, sequences, strict=True))
    paired = {}
    for point in {(word.point, word.outgoing) for _, word in answers}:
        here = [(i, word.stamp_ns) for i, word in answers if (word.point, word.outgoing) == point]
        for (i, _), sequence in zip(here, _in_order(origin, [stamp for _, stamp in here]), strict=True):
            if sequence is not None:
                paired[i] = sequence
    return paired


def _just_before(questions: Sequence[tuple[int, int | None]], stamps: Iterable[int]) -> list[int | None]:
    """For each stamp, the last question before it."""
    return [next((sequence for asked, sequence in reversed(questions) if asked <= stamp), None) for stamp in stamps]


def _in_order(questions: Sequence[tuple[int, int | None]], stamps: Iterable[int]) -> list[int | None]:
    """For each stamp, the oldest question that waits; when none does, the one answered last (it is answered again)."""
    waiting, pairs = list(questions), []
    last: int | None = None
    for stamp in stamps:
        before = [question for question in waiting if question[0] <= stamp]
        if before:
            fresh = [question for question in before if stamp - question[0] < STALE_NS]
            chosen = (fresh or before)[0]
            waiting = waiting[waiting.index(chosen) + 1 :]
            last = chosen[1]
        pairs.append(last)
    return pairs
