"""A connection over a channel that says what the test wants: whatever comes, a question has an answer, an error of the host, or is lost."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netprobe.fleet import pulse
from netprobe.fleet.agent import Frames, framed
from netprobe.fleet.connection import AgentConnection, ConnectionLost

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-3, 300) | some.binary(max_size=9) | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)


class Said:
    """A channel that keeps what is sent, and is told what to say."""

    def __init__(self, connection: AgentConnection) -> None:
        self.connection = connection
        self.sent = Frames()
        self.asked: list[Any] = []
        self.closed = 0
        self.refusal: OSError | None = None

    def send(self, data: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.asked += self.sent.feed(data)

    def offer(self, data: bytes) -> bool:
        self.send(data)
        return True

    def close(self) -> None:
        self.closed += 1

    def say(self, *values: Any) -> None:
        self.connection.received(b"".join(map(framed, values)))


@pytest.fixture
def said() -> Iterator[Said]:
    with opened() as channel:
        yield channel


@contextmanager
def opened() -> Iterator[Said]:
    with AgentConnection("h1", Said) as connection:
        assert isinstance(connection._channel, Said)
        yield connection._channel


def test_answers_come_in_any_order(said: Said) -> None:
    first, second = said.connection.begin("open", "/x"), said.connection.begin("names")
    assert [[verb, arguments] for _, verb, arguments in said.asked] == [["open", ["/x"]], ["names", []]]
    numbers = [number for number, *_ in said.asked]
    said.say([numbers[1], True, ["b"]], [numbers[0], False, errno.ENOENT, "no such file"])
    assert second.result() == ["b"]
    with pytest.raises(FileNotFoundError, match="no such file"):
        first.result()
    assert said.connection.lost == ""


@given(some.lists(VALUES, max_size=4))
def test_whatever_a_host_answers_a_question_ends(values: list[Any]) -> None:
    with opened() as said:
        waiting = said.connection.begin("hello", timeout=0.01)
        number = said.asked[-1][0]
        said.say(*values, [number, *values])
        with suppress(OSError):  # the host's, or that it is lost
            waiting.result()
        lost = pytest.raises(ConnectionLost) if said.connection.lost else pytest.raises(TimeoutError)
        with lost:
            said.connection.call("hello", timeout=0.001)


@given(some.binary(max_size=100))
def test_whatever_bytes_a_host_sends_a_question_ends(data: bytes) -> None:
    with opened() as said:
        waiting = said.connection.begin("hello", timeout=0.01)
        said.connection.received(data)
        with pytest.raises((ConnectionLost, TimeoutError)):
            waiting.result()


@pytest.mark.parametrize(
    "answer", [None, [], [1], [1, True], [1, 1, 2], [1, False, 0, "x"], [1, False, 5], ["1", True, 2], [1, False, 1 << 40, "x"]]
)
def test_what_is_no_answer_ends_the_connection(said: Said, answer: Any) -> None:
    waiting = said.connection.begin("hello")
    said.say(answer)
    with pytest.raises(ConnectionLost, match="the connection to h1 is lost: it said what no agent says"):
        waiting.result()
    assert said.connection.lost


@pytest.mark.parametrize("again", [0, 98])
def test_an_answer_that_nobody_asked_for_ends_the_connection(said: Said, again: int) -> None:
    waiting = said.connection.begin("hello")
    number = said.asked[-1][0]
    said.say([number, True, "yes"], [number + again, True, "yes"])
    assert waiting.result() == "yes"
    assert said.connection.lost == "it said what no agent says (an answer to no question)"


def test_after_a_loss_nothing_is_heard_any_more(said: Said) -> None:
    waiting = said.connection.begin("hello")
    said.connection.lose("the first")
    heard = said.connection.heard
    said.say([said.asked[-1][0], True, "late"])
    assert said.connection.heard == heard
    with pytest.raises(ConnectionLost):
        waiting.result()


def test_what_is_lost_stays_lost_and_says_the_first_reason(said: Said) -> None:
    waiting = [said.connection.begin("hello") for _ in range(3)]
    said.connection.lose("the first")
    said.connection.lose("the second")
    for each in [*waiting, said.connection.begin("hello")]:
        with pytest.raises(ConnectionLost, match="the connection to h1 is lost: the first"):
            each.result()
    asked = len(said.asked)
    said.connection.begin("hello")
    assert len(said.asked) == asked


def test_a_channel_that_cannot_send_is_lost(said: Said) -> None:
    said.refusal = BrokenPipeError(errno.EPIPE, "Broken pipe")
    with pytest.raises(ConnectionLost, match="Broken pipe"):
        said.connection.call("hello")
    assert said.connection.lost == "Broken pipe"


def test_a_question_that_nobody_waits_for_any_more_is_forgotten(said: Said) -> None:
    with pytest.raises(TimeoutError):
        said.connection.call("hello", timeout=0.01)
    assert said.connection._pending == {}
    late = [said.asked[-1][0], True, "late"]
    said.say(late)
    assert said.connection.lost == ""
    said.say(late)
    assert said.connection.lost


def test_an_idle_host_is_asked_whether_it_is_there(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.BEAT_S", 0.1)
    end, answered = time.monotonic() + 5, 0
    while answered < 2 and time.monotonic() < end:
        for number, verb, _ in said.asked[answered:]:
            assert verb == "clock"
            said.say([number, True, 1])
            answered += 1
        time.sleep(0.05)
    assert said.connection.lost == ""
    assert answered >= 2


def test_a_silent_host_is_lost_and_let_go(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.SILENCE_S", 0.3)
    waiting = said.connection.begin("hello")
    with pytest.raises(ConnectionLost, match="it was silent"):
        waiting.result()
    end = time.monotonic() + 5
    while not said.closed and time.monotonic() < end:
        time.sleep(0.02)
    assert said.closed


def test_a_host_that_says_something_is_not_silent(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.SILENCE_S", 0.5)
    waiting = said.connection.begin("batch")
    answer = framed([said.asked[-1][0], True, b"x" * 50])
    for at in range(0, len(answer), 4):
        said.connection.received(answer[at : at + 4])
        time.sleep(0.06)
    assert waiting.result() == b"x" * 50


def test_the_one_thread_is_there_while_a_connection_is() -> None:
    def threads() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name == "netprobe fleet"]

    with opened(), opened():
        assert threads() == ["netprobe fleet"]
    end = time.monotonic() + 5
    while threads() and time.monotonic() < end:
        time.sleep(pulse.TICK_S / 5)
    assert threads() == []
    with opened():
        assert threads() == ["netprobe fleet"]


def test_a_connection_that_is_lost_while_it_is_made_is_let_go() -> None:
    def lose(connection: AgentConnection) -> Said:
        connection.lose("at once")
        return Said(connection)

    one = AgentConnection("h1", lose)
    assert isinstance(one._channel, Said)
    assert one._channel.closed == 1
