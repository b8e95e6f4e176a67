"""Answers find their questions by order, beside other askers, silent stations and twins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.model import Flow, Protocol
from netprobe.wire.answers import MOST_STATIONS, REPEATED_NS, Word, pair

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
    assert paired(asked(0, 0), asked(1000, 1), answered(1005), asked(2000, 2), answered(2005)) == [1, 2]
    assert paired(asked(0), asked(1000, 0), answered(1005)) == [0]


def test_questions_that_queue_are_answered_in_order() -> None:
    """At the station's own interface, too: stamps are taken before the queue."""
    words = [asked(0, 0), asked(1), asked(3, 0, THERE), asked(4, None, THERE), answered(6, point=THERE), answered(7, point=THERE)]
    assert paired(*words, answered(8), answered(9)) == [0, None, 0, None]


def test_a_question_without_an_answer_takes_none_from_the_others() -> None:
    words = [
        asked(0, 0), asked(100), asked(200, 1), asked(300, 0, THERE), asked(310, None, THERE), answered(320, point=THERE),
        asked(400, 1, THERE), answered(410, point=THERE), answered(420), answered(430),
    ]  # fmt: skip
    assert paired(*words) == [None, 1, None, 1]


def test_twice_at_the_stations_own_interface() -> None:
    words = [
        asked(0, 0), asked(1), asked(3, 0, THERE), answered(4, point=THERE), answered(5, point=THERE), asked(6, None, THERE),
        answered(7, point=THERE), answered(10), answered(11), answered(12),
    ]  # fmt: skip
    assert paired(*words) == [0, 0, None, 0, 0, None]


def test_a_slow_station() -> None:
    second = 20 * REPEATED_NS
    assert paired(asked(0, 0), answered(second), asked(2 * second, 1), answered(3 * second)) == [0, 1]
    assert paired(asked(0, 0), asked(5, 1), answered(second), answered(3 * second)) == [0, 1]


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


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 30)), min_size=1, max_size=25))
def test_answers_come_after_their_questions_and_keep_their_order(events: list[tuple[bool, bool, int]]) -> None:
    words, now, sequence = [], 0, 0
    for is_answer, own, pause in events:
        now += pause * REPEATED_NS // 20
        words.append(answered(now) if is_answer else asked(now, sequence if own else None))
        sequence += own and not is_answer
    when = {word.sequence: word.stamp_ns for word in words if word.sequence is not None}
    pairs = sorted(pair(words).items())
    assert [sequence for _, sequence in pairs] == sorted(sequence for _, sequence in pairs)
    assert all(when[sequence] <= words[i].stamp_ns for i, sequence in pairs)


def test_in_a_flood_of_the_same_question_ours_still_has_its_answer() -> None:
    """Forged 100,000 times a second: of the questions that one answer may belong to, the last ones are looked at."""
    flood = [word for n in range(1500) for word in (asked(10_000 * n, 0 if n == 700 else None), answered(10_000 * n + 5_000))]
    pairs = pair(flood)
    assert pairs == {1401: 0}


def test_a_flood_of_stations_is_not_looked_at_in_full() -> None:
    words = [asked(0, 0), *(answered(10 + n, f"02:00:00:00:{n // 256:02x}:{n % 256:02x}") for n in range(5000))]
    assert len(pair(words)) == MOST_STATIONS
