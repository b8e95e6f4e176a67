"""Hosts by a command, whose process does what the test wants: one that reads slowly or not at all costs no other host anything."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fleet.agents import within
from fleet.test_connection import opened

from netprobe.fleet import agent, pulse
from netprobe.fleet.connection import AgentConnection, ConnectionLost
from netprobe.fleet.pipe import Pipe, open_pipe

MUCH = [["nothing", b"x" * (1 << 20)]]
DEAF = "time.sleep(60)"
SLOW = "[(os.read(0, 4096), time.sleep(0.05)) for _ in range(1200)]"


@pytest.fixture
def made() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def host(made: ExitStack, does: str) -> AgentConnection:
    """One that says that it is an agent, and then does this."""
    program = f"import os,time;os.write(1,{agent.PREFACE!r});{does}"
    return made.enter_context(open_pipe("slow", (sys.executable, "-IS", "-c", program), send_agent=False))


def asking(made: ExitStack, one: AgentConnection) -> threading.Thread:
    """A thread that asks for more than the host reads; it is at it."""
    thread = threading.Thread(target=one.begin, args=("batch", None, MUCH), daemon=True)
    thread.start()
    made.callback(thread.join, 10)
    time.sleep(0.2)
    assert thread.is_alive()
    return thread


@pytest.mark.parametrize("does", [DEAF, SLOW])
def test_while_one_host_takes_nothing_the_others_have_their_beat(made: ExitStack, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.BEAT_S", 0.1)
    one, said = host(made, does), made.enter_context(opened())
    thread = asking(made, one)
    before = len(said.asked)
    assert within(2, lambda: len(said.asked) >= before + 3)
    assert thread.is_alive()
    one.close()


def test_a_host_that_takes_no_beat_is_lost_for_its_silence(made: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer of it, and its pipe is full."""
    monkeypatch.setattr("netprobe.fleet.connection.BEAT_S", 0.1)
    one = host(made, DEAF)
    assert isinstance(one._channel, Pipe)
    assert one._channel._process.stdin is not None
    os.write(one._channel._process.stdin.fileno(), bytes(1 << 20))
    one._pending.clear()
    monkeypatch.setattr("netprobe.fleet.connection.SILENCE_S", 0.5)
    assert within(3, lambda: bool(one.lost))
    assert one.lost.startswith("it was silent")


def test_a_host_that_reads_slowly_has_one_end_for_all_that_is_sent(made: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    one = host(made, SLOW)
    monkeypatch.setattr("netprobe.fleet.pipe.SILENCE_S", 0.6)
    begin = time.monotonic()
    asking(made, one)
    waiting = one.begin("batch", None, MUCH)  # behind the other
    assert time.monotonic() - begin < 1.5
    with pytest.raises(ConnectionLost, match="did not take"):
        waiting.result()


def test_closing_while_others_send_ends_them_at_once(made: ExitStack) -> None:
    one = host(made, DEAF)
    first, second = asking(made, one), asking(made, one)
    begin = time.monotonic()
    one.close()
    for each in (first, second):
        each.join(5)
        assert not each.is_alive()
    assert time.monotonic() - begin < 2


def test_what_is_closed_takes_nothing_more(made: ExitStack) -> None:
    one = host(made, DEAF)
    one.close()
    assert isinstance(one._channel, Pipe)
    for ask in (one._channel.send, one._channel.offer):
        with pytest.raises(BrokenPipeError) as caught:
            ask(b"x")
        assert caught.value.errno == errno.EPIPE


class Faulty:
    """A member whose beat fails."""

    why = ""

    def beat(self, now: float) -> None:  # noqa: ARG002
        raise ValueError("a fault")

    def lose(self, why: str) -> None:
        self.why = why

    def close(self) -> None:
        raise ValueError("a fault")


def test_a_beat_that_fails_loses_that_member_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.BEAT_S", 0.1)
    faulty = Faulty()
    with opened() as said:
        pulse.PULSE.add(faulty)
        assert within(3, lambda: len(said.asked) >= 3)
        assert "a fault" in faulty.why
        assert faulty not in pulse.PULSE._members


def test_where_the_thread_has_died_the_next_connection_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.fleet.connection.BEAT_S", 0.1)
    dead = threading.Thread(target=int)
    dead.start()
    dead.join()
    assert within(3, lambda: pulse.PULSE._thread is None)
    monkeypatch.setattr(pulse.PULSE, "_thread", dead)
    with opened() as said:
        assert within(3, lambda: bool(said.asked))
