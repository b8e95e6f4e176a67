"""What a host says that has come to a run: whatever it is, it is taken as it was asked for, or the host is lost."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from fleet.hostile import connected

from netprobe.errors import CannotLook
from netprobe.fleet.place import DistantNamespace
from netprobe.fleet.questions import Questions
from netprobe.fleet.sensors import DistantSensors
from netprobe.linux.sensors.tap import SO_TIMESTAMPNS_NEW, caught

LINK = struct.pack("=HHiHBB8x", 17, 8, 3, 1, 0, 6)
FRAME = [0, "eth0", LINK, b"", b"frame"]
HEARD = [0, b"data", b"", b"", False]
NUMBERS = [-1, 1, 1 << 31, 1 << 63, 1 << 90, "0", b"0", None, True, 0.5, []]
BYTES = [5, 10**9, -1, None, "text", [1, 2], [300], True]


def at(whole: list[Any], place: int, value: Any) -> list[Any]:
    return [*whole[:place], value, *whole[place + 1 :]]


def stamped(seconds: int) -> bytes:
    return struct.pack("@Niiqq", struct.calcsize("@Nii") + 16, 1, SO_TIMESTAMPNS_NEW, seconds, 0)


def sensors(clock: int | None = None, armed: Any = None, operations: Any = None) -> DistantSensors:
    """A run with one tap of ten frames and 100 bytes, and one socket."""
    connection = connected(
        "h1",
        clock=lambda: time.time_ns() if clock is None else clock,
        arm=lambda _run, taps: [armed] * len(taps),
        sender=lambda _run, _place, asked: [operations] * len(asked),
    )
    questions = Questions("h1", connection)
    place = DistantNamespace(questions, 7, (1, 2))
    host = place.sensors()
    host.tap(place, b"", 10, 100)
    host.arm()
    host.armed(0)
    host.socket(place, 2, 3, 1, 0)
    return host


def told(host: DistantSensors, **answer: Any) -> str:
    host._take({"sent": [], "frames": [], "heard": [], **answer})
    return host.gone


def test_what_was_asked_for_is_taken() -> None:
    host = sensors()
    host._fired = 1
    assert told(host, sent=[[0, time.time_ns(), 0]], frames=[FRAME], heard=[HEARD], taps=[[0, 3, True]], more=False) == ""
    assert host.taken(0) == [("eth0", LINK, b"", b"frame")]
    assert host.message(0, False) == [b"data", [], ("", 0)]
    assert host.lost(0) == (3, True)


BAD: list[tuple[str, Any]] = [
    *(("frames", at(FRAME, 0, each)) for each in NUMBERS),
    *(("heard", at(HEARD, 0, each)) for each in NUMBERS),
    *(("sent", [each, 1, 0]) for each in NUMBERS),
    *(("taps", [each, 1, False]) for each in NUMBERS),
    *(("frames", at(FRAME, place, each)) for place in (2, 3, 4) for each in BYTES),
    *(("heard", at(HEARD, place, each)) for place in (1, 2, 3) for each in BYTES),
    *(("sent", [0, each, 0]) for each in (-1, 1 << 63, 1 << 90, "1", None)),
    *(("sent", [0, 1, each]) for each in (-1, 4096, 1 << 40, "1", None)),
    *((kind, each) for kind in ("sent", "frames", "heard", "taps") for each in (5, None, [], "abc", {})),
    ("frames", at(FRAME, 1, "x" * 100_000)),
    ("frames", at(FRAME, 4, b"x" * 100_000)),
]


@pytest.mark.parametrize(("kind", "value"), BAD, ids=lambda each: f"{each!r:.40}")
def test_anything_else_loses_the_host(kind: str, value: Any) -> None:
    host = sensors()
    host._fired = 1
    assert told(host, **{kind: [value]}).startswith("h1 gives other answers than it was asked for")


@pytest.mark.parametrize("answer", [5, None, [], "abc", {}, {"sent": 5}, {"sent": [], "frames": [], "heard": [], "taps": None}])
def test_an_answer_that_is_none_loses_the_host(answer: Any) -> None:
    host = sensors()
    host._take(answer)
    assert host.gone


def test_a_time_that_no_capture_can_tell_loses_the_host() -> None:
    for kind, value in (("frames", at(FRAME, 3, stamped(5))), ("heard", at(HEARD, 2, stamped(5))), ("sent", [0, 5, 0])):
        host = sensors(clock=time.time_ns() + 10**15)
        host._fired = 1
        assert told(host, **{kind: [value]}), kind


def test_what_is_lost_there_is_an_error_for_people() -> None:
    """The thread that listens ends with the reason, and who waits for a packet to be sent hears it."""
    connection = connected(
        "h1",
        clock=time.time_ns,
        sender=lambda _run, _place, asked: [None] * len(asked),
        fire=lambda *_: None,
        take=lambda *_: {"sent": [[0, 1 << 63, 1 << 40]], "frames": [], "heard": []},
    )
    place = DistantNamespace(Questions("h1", connection), 7, (1, 2))
    host = place.sensors()
    place.socket(2, 3, 1, 0)
    host.begin()
    with pytest.raises(CannotLook, match="h1 gives other answers"):
        host.fire(0, b"x", None)
    host.end()


def test_a_tap_keeps_as_much_as_it_was_asked_to() -> None:
    """Twice that: a crowded one is emptied before a packet is sent, and what it had may have been handed out."""
    host = sensors()
    assert told(host, frames=[FRAME] * 10) == ""
    assert told(host, frames=[FRAME] * 11)
    large = sensors()
    assert told(large, frames=[at(FRAME, 4, b"x" * 65_000)] * 2) == ""
    assert told(large, frames=[at(FRAME, 4, b"x" * 65_000)])


def test_messages_that_nobody_takes_end() -> None:
    host = sensors()
    for _ in range(1000):
        told(host, heard=[HEARD] * 10)
        while host.message(0, False):
            pass
    assert host.gone == ""
    many = [at(HEARD, 1, b"x" * 65_000)] * 100
    assert any(told(host, heard=many) for _ in range(11))


def test_a_tap_that_was_refused_has_no_frames() -> None:
    assert told(sensors(armed={"errno": 1, "text": "no"}), frames=[FRAME])


@pytest.mark.parametrize("clock", [-(10**18), 1 << 63, 1 << 90, -(1 << 90)])
def test_a_clock_that_none_can_have_is_no_clock(clock: int) -> None:
    assert sensors(clock=clock).gone


def test_a_frame_without_a_stamp_is_of_no_time_before_the_first() -> None:
    ahead = sensors(clock=time.time_ns() + 10**18)
    assert caught("h1:red", "eth0", (LINK, b"", b"frame"), ahead.shift_ns).stamp_ns == 0
