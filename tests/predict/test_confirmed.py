"""What was walked by the model's own word is the prediction where the kernel's answers come to the same, and is walked again
where they do not.
"""

from __future__ import annotations

import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace
from networks import probe
from test_waypoint import given

from netprobe.model import AskedRoute, AskRoute, FindMacvlans, FoundMacvlans, Need, Probe, ReadNamespace, RouteAnswer, Snapshot
from netprobe.predict import fib, routing
from netprobe.predict.predict import Course, Prediction, predict

FAR = "10.7.2.2"
PROBES = (probe("r0", FAR, ttl=6), probe("r0", FAR, ttl=2), probe("r2", "10.7.0.1", ttl=6))
LIES = (
    RouteAnswer(error="ENETUNREACH"),
    RouteAnswer(type="blackhole", error="EINVAL"),
    RouteAnswer(index=2, via="10.7.0.1"),
    RouteAnswer(index=3, via="10.7.0.9", table=254, prefix="0.0.0.0/0"),
    RouteAnswer(type="local", index=1, table=255),
)


def honest(snapshot: Snapshot, need: AskRoute) -> RouteAnswer:
    """As the kernel answers whose tables were read."""
    own = fib.sought(snapshot[need.namespace], need.query)
    if own.error is not None or own.leg is None:
        return RouteAnswer(error=own.error or "ENETUNREACH")
    return RouteAnswer(type=own.type, index=own.index, via=own.via, source=fib.source_for(snapshot[need.namespace], own, need.query.dst))


def read(snapshot: Snapshot, needs: tuple[Need, ...]) -> Snapshot:
    """The snapshot with these; nobody stands on an interface."""
    nobody = (FoundMacvlans(each.namespace, each.index, ()) for each in needs if isinstance(each, FindMacvlans))
    snapshot = replace(snapshot, macvlans=(*snapshot.macvlans, *nobody))
    return given(snapshot, tuple(each for each in needs if not isinstance(each, FindMacvlans)))


def answered(snapshot: Snapshot, needs: tuple[Need, ...], choice: dict[int, RouteAnswer | str]) -> Snapshot:
    """The snapshot with all routes asked: by their number some answers that are lies, or none but a reason."""
    for number, need in enumerate(needs):
        assert isinstance(need, AskRoute)
        told = choice.get(number, honest(snapshot, need))
        answer, why = (RouteAnswer(), told) if isinstance(told, str) else (told, None)
        asked = AskedRoute(need.namespace, need.query, answer, why)
        snapshot = replace(snapshot, answers=(*snapshot.answers, asked))
    return snapshot


def walked(asked: Probe, choice: dict[int, RouteAnswer | str], course: Course | None) -> tuple[Prediction, Snapshot]:
    snapshot = Snapshot()
    for _ in range(60):
        outcome = predict(snapshot, asked, course=course)
        if isinstance(outcome, Prediction):
            return outcome, snapshot
        routes = tuple(each for each in outcome if isinstance(each, AskRoute))
        snapshot = answered(snapshot, routes, choice) if routes else read(snapshot, outcome)
        choice = {} if routes else choice
    raise AssertionError(outcome)


@settings(max_examples=60)
@given_any(
    st.sampled_from(PROBES),
    st.dictionaries(st.integers(0, 8), st.one_of(st.sampled_from(LIES), st.just("timed out")), max_size=3),
    st.sampled_from([None, 1400]),
)
def test_whatever_the_kernel_answers_it_is_what_a_walk_from_the_start_says(
    asked: Probe, choice: dict[int, RouteAnswer | str], mtu: int | None
) -> None:
    lies = {n: replace(each, mtu=mtu) if isinstance(each, RouteAnswer) else each for n, each in choice.items()}
    found, snapshot = walked(asked, lies, Course())
    assert found == predict(snapshot, asked)
    assert found == walked(asked, lies, None)[0]


@pytest.mark.parametrize("choice", [{}, {0: LIES[0]}, {1: LIES[2]}])
def test_what_the_kernel_confirms_is_not_walked_again(choice: dict[int, RouteAnswer | str], monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, course = Snapshot(), Course()
    for _ in range(60):
        needs = predict(snapshot, PROBES[0], course=course)
        assert not isinstance(needs, Prediction)
        if any(isinstance(each, AskRoute) for each in needs):
            break
        snapshot = given(snapshot, needs)
    calls = []
    decide = routing.decide
    monkeypatch.setattr(routing, "decide", lambda *args: calls.append(1) or decide(*args))
    known = answered(snapshot, needs, choice)
    outcome = predict(known, PROBES[0], course=course)
    assert bool(calls) == bool(choice)
    assert outcome == predict(known, PROBES[0])


def test_with_something_else_read_since_it_is_walked_again() -> None:
    snapshot, course = Snapshot(), Course()
    while True:
        needs = predict(snapshot, PROBES[0], course=course)
        assert not isinstance(needs, Prediction)
        if any(isinstance(each, AskRoute) for each in needs):
            break
        snapshot = given(snapshot, needs)
    last = [*snapshot.namespaces][-1]
    down = tuple(replace(each, up=False, carrier=False) for each in snapshot[last].links)
    changed = answered(snapshot, needs, {}).with_namespace(replace(snapshot[last], links=down, routes=()))
    outcome = predict(changed, PROBES[0], course=course)
    assert outcome == predict(changed, PROBES[0])
    assert not isinstance(outcome, Prediction) or not outcome.passes


def test_nothing_is_supposed_of_what_could_not_be_read() -> None:
    course = Course()
    assert course.confirmed(Snapshot()) is None
    assert predict(Snapshot(), PROBES[0], course=course) == (ReadNamespace("r0"),)
