"""Answers find their questions by order, beside other askers, silent stations and twins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.model import Flow, Protocol
from netprobe.wire.answers import STALE_NS, Word, pair

ASK = Flow("10.0.0.2", "10.0.0.3", Protocol.ARP, icmp_type=1)
TOLD = Flow("10.0.0.3", "10.0.0.2", Protocol.ARP, icmp_type=2)
MAC, TWIN = "02:00:00:00:00:03", "02:00:00:00:00:04"
HOME, THERE = ("red", "eth0"), ("blue", "eth0")


def asked(time: int, sequence: int | None = None, point: tuple[str, str] = HOME) -> Word:
    return Word(point, point == HOME, time, ASK, sequence)


def answered(time: int, mac: str = MAC, point: tuple[str, str] = HOME) -> Word:
    return Word(point, point == THERE, time, TOLD, station=mac, is_answer=True)


def paired(*words: Word) -> list[int | None]:
    """The sequences of the answers, in the order given."""
    pairs = pair(words)
    return [pairs.get(i) for i, word in enumerate(words) if word.is_answer]


def test_one_after_the_other() -> None:
    assert paired(asked(0, 0), answered(5), asked(10, 1), answered(15)) == [0, 1]


def test_a_foreign_question_takes_its_own_answer() -> None:
    assert paired(asked(0, 0), asked(1), asked(2, 1), answered(5), answered(6), answered(7)) == [0, None, 1]


def test_questions_for_another_address_do_not_count() -> None:
    other = Word(HOME, True, 1, Flow("10.0.0.2", "10.0.0.9", Protocol.ARP, icmp_type=1), None)
    assert paired(asked(0, 0), other, asked(2, 1), answered(5), answered(6)) == [0, 1]


def test_answers_to_others_do_not_count() -> None:
    for_another = Word(HOME, False, 4, Flow("10.0.0.3", "10.0.0.77", Protocol.ARP, icmp_type=2), station=MAC, is_answer=True)
    assert paired(asked(0, 0), for_another, answered(5)) == [None, 0]


def test_without_a_question_there_is_no_answer() -> None:
    assert paired(answered(5)) == [None]
    assert paired(asked(0), answered(5)) == [None]
    assert paired(answered(5), asked(6, 0)) == [None]


def test_twins_answer_each_question() -> None:
    assert paired(asked(0, 0), answered(5), answered(6, TWIN), asked(10, 1), answered(15, TWIN), answered(16)) == [0, 0, 1, 1]


def test_a_station_that_answers_twice() -> None:
    assert paired(asked(0, 0), answered(5), answered(6), asked(10, 1), answered(15), answered(16)) == [0, 0, 1, 1]


def test_an_answer_that_was_lost_is_not_made_up_by_the_next() -> None:
    late = 2 * STALE_NS
    assert paired(asked(0, 0), asked(late, 1), answered(late + 5)) == [1]
    assert paired(asked(0), asked(late, 0), answered(late + 5)) == [0]


def test_the_stations_own_interface_decides() -> None:
    """There the answer goes out right after its question came in; a question that was never answered takes nothing."""
    words = [
        asked(0, 0), asked(1), asked(2, 1),
        asked(3, 0, THERE), asked(4, None, THERE), asked(5, 1, THERE), answered(6, point=THERE), answered(8),
    ]  # fmt: skip
    assert paired(*words) == [1, 1]


def test_twice_at_the_stations_own_interface() -> None:
    words = [
        asked(0, 0), asked(1), asked(3, 0, THERE), answered(4, point=THERE), answered(5, point=THERE), asked(6, None, THERE),
        answered(7, point=THERE), answered(10), answered(11), answered(12),
    ]  # fmt: skip
    assert paired(*words) == [0, 0, None, 0, 0, None]


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 9))
def test_however_two_askers_mix_each_gets_its_own(ours: list[bool], delay: int) -> None:
    words, wanted, sequence = [], [], 0
    for n, own in enumerate(ours):
        words += [asked(10 * n, sequence if own else None), answered(10 * n + delay)]
        wanted.append(sequence if own else None)
        sequence += own
    if not any(ours):
        wanted = [None] * len(ours)
    assert paired(*words) == wanted
