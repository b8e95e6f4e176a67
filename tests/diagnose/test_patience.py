"""A search for the cause that may not go on for ever: what is tried first, what is said, whose time it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count

import pytest
from diagnose.test_change import World, routeless, whole
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.evidence import UNTRIED
from netprobe.diagnose.repair import choice, harm, search, tried
from netprobe.diagnose.repair.candidates import candidates
from netprobe.diagnose.repair.patience import ALONE_ONLY, Patience, untried
from netprobe.diagnose.repair.repair import Loss, Repair
from netprobe.diagnose.repair.several import Searches
from netprobe.diagnose.report import diagnose
from netprobe.engine import ask, rounds
from netprobe.engine.clock import SEARCH_S, Clock
from netprobe.linux import deadline
from netprobe.model import Command, Need, Snapshot, Stop, lookup
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.question import Question


def counted(things: int) -> Patience:
    """The patience for so many things, made or tried."""
    left = iter(range(things, 0, -1))
    return Patience(lambda: next(left, 0))


def lost(snapshot: Snapshot) -> tuple[Snapshot, Prediction, Stop]:
    found = predict(snapshot, probe(), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    return snapshot, found, found.stop


def without_forwarding() -> Snapshot:
    return edited(whole(), "host", sysctls={"net.ipv4.ip_forward": "0"})


def without_way_back() -> Snapshot:
    """Nothing is translated, and internet knows no way back: several things would do, and some restore."""
    ways = lookup.but(tutorial()["internet"].routes, dst="10.0.0.0/16")
    return edited(whole(), "internet", routes=ways)


def test_all_is_tried_where_there_is_time_and_nothing_is_said() -> None:
    asked = lost(without_way_back())
    patient, hurried = (choice.choose(*asked, searches=Searches(each)) for each in (None, counted(100_000)))
    assert patient == hurried == choice.choose(*asked)
    assert patient.untried == ""


@pytest.mark.parametrize("network", [without_forwarding, without_way_back, routeless])
def test_whatever_time_there_is_nothing_but_the_cause_or_the_end_of_the_walk_is_named(network: object) -> None:
    asked = lost(network())  # type: ignore[operator]
    right = choice.choose(*asked).stop
    found = [choice.choose(*asked, searches=Searches(counted(things))) for things in range(1, 120, 3)]
    assert {each.stop.about for each in found} <= {right.about, asked[2].about}
    assert all(each.untried for each in found[:10])


def test_without_any_time_nothing_is_tried_and_that_is_said() -> None:
    found = search.search(*lost(without_way_back()), patience=counted(0))
    assert (found.repairs, found.partial, found.untried) == ((), (), untried(0, 0, more=True))
    report = diagnose("why", probe(), *lost(without_way_back())[:2], None, frozenset(), explain, None, lambda: Searches(counted(0)))
    assert f"{UNTRIED}: no possible repair was tried" in report.notes


def test_what_was_not_tried_is_counted() -> None:
    assert untried(7, 7, more=False) == ""
    assert untried(7, 9, more=False) == "of 9 possible repairs 7 were tried"
    assert untried(9, 9, more=True) == "of more than 9 possible repairs 9 were tried"


def test_the_likeliest_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = list[tuple[bool, int]]()
    asked = lost(without_way_back())

    def first_walks(loss: Loss, repair: Repair, *_: object) -> None:
        walked.append((repair.stop.identity != loss.stop.identity, repair.merit))

    monkeypatch.setattr(search, "_try", first_walks)
    search.search(*asked)
    assert walked == sorted(walked)
    assert len({merit for _, merit in walked}) > 1


def test_each_kind_comes_to_its_turn_before_any_has_a_second() -> None:
    places = [place for place, _ in candidates(Loss.of(*lost(without_way_back())))]
    assert [number for _, number in places] == sorted(number for _, number in places)
    assert len({kind for kind, _ in places}) > 5


def test_half_of_the_time_is_for_trying_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may give itself thousands of things of which something could be wrong."""
    made = list[object]()
    monkeypatch.setattr(search, "candidates", lambda loss: _endless(loss, made))
    found = search.search(*lost(without_way_back()), patience=counted(100))
    assert 0 < len(made) <= 50
    begins, numbers = found.untried.partition(f"of more than {len(made)} possible repairs ")[1:]
    assert begins
    assert int(numbers.split()[0]) > 10


def _endless(loss: Loss, made: list[object]) -> Iterator[tuple[tuple[int, int], Repair]]:
    each = next(repair for _, repair in candidates(loss))
    for number in count():
        if loss.patience.is_over():
            return
        made.append(number)
        yield (0, number), replace(each, stop=replace(each.stop, commands=(Command(("ip", str(number))),)))


def test_what_would_do_is_weighed_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed = list[object]()
    monkeypatch.setattr(harm, "breaks", lambda *_: bool(weighed.append(1)))
    monkeypatch.setattr(harm, "_beside", lambda _: ())
    asked = lost(without_way_back())
    repairs = search.search(*asked).repairs
    assert len(repairs) > 2
    weighed.clear()
    assert harm.harmless(Loss.of(*asked, patience=counted(2)), repairs) == repairs
    assert len(weighed) == 2


def test_several_at_once_are_not_followed_without_time() -> None:
    asked = lost(edited(without_way_back(), "host", sysctls={"net.ipv4.ip_forward": "0"}))
    looks = Searches(counted(100_000))
    found = looks.alone(*asked, None)
    assert found.untried == ""
    looks.patience = counted(0)
    assert choice._untried(found, looks.patience) == ALONE_ONLY
    assert choice.choose(*asked, searches=looks).untried == ALONE_ONLY


# ---- whose time it is


class Hasty(World):
    """A machine that tells when it is read, and when that would count."""

    def __init__(self, *states: Snapshot) -> None:
        super().__init__(states, lambda _: 0)
        self.is_paused = False
        self.read_in_a_pause = 0

    def reading(self, limit_ns: int) -> AbstractContextManager[object]:
        del limit_ns
        return self._reading()

    @contextmanager
    def _reading(self) -> Iterator[object]:
        yield self.pauses

    @contextmanager
    def pauses(self) -> Iterator[None]:
        assert not self.is_paused
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        self.read_in_a_pause += self.is_paused
        return super().read(snapshot, needs)


def test_the_search_is_none_of_the_time_for_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    world, walks = Hasty(routeless()), list[bool]()
    walk = tried._walked
    monkeypatch.setattr(tried, "_walked", lambda *args: walks.append(world.is_paused) or walk(*args))
    found = ask(world, Question("red", "8.8.8.8", "why", send=False))
    assert found.report.causes[0].code == "no-route"
    assert len(walks) > 5
    assert all(walks)
    assert (world.is_paused, world.read_in_a_pause) == (False, 0)
    assert len(world.asked) > 3


def test_a_walk_that_asks_again_and_again_ends_with_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of chains each is read when the walk comes to it, and it is walked anew then."""
    world, walks = Hasty(routeless()), list[bool]()
    walk = rounds.predict
    monkeypatch.setattr(rounds, "predict", lambda *args, **how: walks.append(world.is_paused) or walk(*args, **how))
    ask(world, Question("red", "8.8.8.8", "why", send=False))
    assert walks
    assert not any(walks)


def test_the_time_of_a_pause_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(deadline.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(deadline, "waited_s", lambda: 0.0)
    with deadline.within(1.7) as pauses:
        with pauses():
            now[0] += 60.0
        assert deadline.left(9.0) == pytest.approx(1.7)


def test_all_searches_of_a_question_share_one_span_of_a_processors_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("netprobe.engine.clock.time.thread_time", lambda: now[0])
    clock = Clock()
    with clock.of("predict"):  # before the first search
        now[0] += 5.0
    clock.allow(0.5)
    assert clock.left() == SEARCH_S / 2
    with clock.of("diagnose"), clock.of("search"):
        now[0] += SEARCH_S / 4
        assert clock.left() == SEARCH_S / 4
    now[0] += 7.0  # something else, as reading is
    clock.allow(0.5)
    assert clock.left() == pytest.approx(SEARCH_S * 3 / 8)
    with clock.of("search"):
        now[0] += SEARCH_S
    assert clock.searches().patience.is_over()
    clock.allow(1.0)
    assert clock.left() == 0


def test_a_search_that_took_all_its_time_asks_for_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again of what was read: that would end too early."""
    calm, hasty = Hasty(routeless()), Hasty(routeless())
    ask(calm, Question("red", "8.8.8.8", "why", send=False))
    ticks = count()
    monkeypatch.setattr("netprobe.engine.clock.time.thread_time", lambda: next(ticks) * SEARCH_S / 200)
    found = ask(hasty, Question("red", "8.8.8.8", "why", send=False)).report
    assert found.verdict.value == "unreachable"
    assert len(hasty.asked) < len(calm.asked)
    assert any(note.startswith(UNTRIED) for note in found.notes)
    assert found.blockers == ()
