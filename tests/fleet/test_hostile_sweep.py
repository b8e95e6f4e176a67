"""A matrix over hosts of which one is lost, frozen or says what no agent says: its pairs are not known, and the others are asked."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from typing import Any

import pytest
from fleet.hostile import NoAnswer, connected
from msgspec.structs import replace

from netprobe.engine.matrix import ask_matrix
from netprobe.errors import CannotLook
from netprobe.fleet.place import DistantNamespace
from netprobe.fleet.questions import Questions
from netprobe.fleet.sweep import sweep
from netprobe.model import Endpoint, Protocol, Verdict
from netprobe.model.matrix import Aim, Member, MemberAddress, Plan, Sweep
from netprobe.question import MatrixQuestion

NAMES = ("h1:a", "h2:a", "h3:a")
MEMBERS = tuple(Member(name, name, (MemberAddress(f"10.0.0.{n}", "10.0.0.0/24", "eth0", 2),)) for n, name in enumerate(NAMES, 1))
AIMS = tuple(tuple(None if other is each else Aim(other.addresses[0], None) for other in MEMBERS) for each in MEMBERS)
PLAN = Plan(Protocol.ICMP, MEMBERS, AIMS, timeout_ns=100_000_000)
NOTHING: dict[str, Any] = {"sent": [], "frames": [], "heard": []}


class Wire:
    """Three hosts with one member each: what one sends, the other hears and answers. `odd` says something else for a verb."""

    def __init__(self, **odd: Any) -> None:
        self.waiting: list[dict[str, list[Any]]] = [{"sent": [], "heard": []} for _ in NAMES]
        self.questions = [Questions(f"h{n + 1}", connected(f"h{n + 1}", **self.answers(n, odd))) for n in range(len(NAMES))]
        self.places = {name: DistantNamespace(asked, 7, (1, n)) for n, (name, asked) in enumerate(zip(NAMES, self.questions, strict=True))}

    def answers(self, n: int, odd: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "sender": lambda _run, _place, asked: [None] * len(asked),
            "fire": lambda _run, sends: self.fired(n, sends),
            "take": lambda *_: self.taken(n),
            "finish": lambda *_: {**self.taken(n), "taps": []},
        }
        return usual | (odd if n == 1 else {})

    def fired(self, n: int, sends: Sequence[Any]) -> None:
        for _, data, (address, _), _ in sends:
            to, sent = int(address[-1]) - 1, self.waiting[n]["sent"]
            sent.append([len(sent), 1, 0])
            self.waiting[to]["heard"].append([0, bytes([0x45, *[0] * 19]) + data, b"", b"", False])
            self.waiting[n]["heard"].append([0, bytes([0x45, *[0] * 19, 0]) + data[1:], b"", b"", False])

    def taken(self, n: int) -> dict[str, Any]:
        time.sleep(0.01)
        waiting = self.waiting[n]
        heard, waiting["heard"] = waiting["heard"], []
        return {**NOTHING, "heard": heard, "sent": list(waiting["sent"])}

    def swept(self, plan: Plan = PLAN) -> Sweep:
        return sweep(plan, self.places, None, lambda *_: None, lambda _: ())


def states(found: Sweep) -> str:
    return "".join("?s.ruf!"[each] for each in found.states)


def test_three_that_are_well() -> None:
    found = Wire().swept()
    assert states(found) == "?...?...?"
    assert (found.lost, found.blind) == ({}, ())


def lost(*_: Any) -> Any:
    raise OSError(errno.EIO, "it fell over")


def silent(*_: Any) -> Any:
    raise NoAnswer


def idle(*_: Any) -> Any:
    time.sleep(0.02)
    return dict(NOTHING)


def heard(data: Any, number: Any = 0) -> Any:
    return lambda *_: {**NOTHING, "heard": [[number, data, b"", b"", False]]}


def sent(*each: Any) -> Any:
    return lambda *_: {**NOTHING, "sent": [list(each)]}


ODD = {
    "refused at once": {"sender": lost},
    "an answer that is no list": {"sender": lambda *_: 5},
    "too few answers": {"sender": lambda *_: []},
    "an operation refused": {"sender": lambda _run, _place, asked: [{"errno": 1, "text": "no"}] * len(asked)},
    "what it sends": {"fire": lost},
    "what it takes": {"take": lost},
    "frozen": {"take": silent, "finish": silent},
    "an answer that is none": {"take": lambda *_: None},
    "short data": {"take": heard(b"\x45")},
    "no data": {"take": heard(b"")},
    "another socket": {"take": heard(b"\x45" * 40, -1)},
    "late": {"take": sent(0, 1 << 63, 0)},
    "a code that is text": {"take": sent(0, 1, "no")},
    "a packet before the first": {"take": sent(-1, 1, 0)},
    "a packet that was not sent": {"take": sent(1 << 30, 1, 0)},
}


@pytest.mark.parametrize("name", ODD)
def test_of_a_lost_host_nothing_is_known_and_the_others_are_asked(name: str) -> None:
    found = Wire(**ODD[name]).swept()
    assert [states(found)[n] for n in (2, 6)] == [".", "."], "h1 and h3 reach each other"
    assert {states(found)[n] for n in (1, 3, 5, 7)} <= {"!", "."}
    assert "!" in states(found)
    assert [each.what for each in found.blind] == ["h2"]
    assert list(found.lost) == [1]
    assert found.blind[0].why == found.lost[1]
    assert "h2" in found.lost[1]


def test_a_host_that_fails_to_finish_may_have_heard_what_is_missing() -> None:
    found = Wire(take=idle, finish=lost).swept()
    assert states(found) == "?!.!?!.!?"


def test_what_came_last_is_told_when_it_ends() -> None:
    wire, patient = Wire(take=idle), replace(PLAN, timeout_ns=1_000_000_000)  # all is sent by then, on a busy machine too
    assert states(wire.swept(patient)) == "?...?...?"


def test_without_any_host_there_is_no_matrix() -> None:
    wire = Wire()
    for each in wire.questions:
        each.connection.lose("it was cut")
    with pytest.raises(CannotLook, match="the connection to h1 is lost: it was cut"):
        wire.swept()


class World:
    """A world that swept with a lost host."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def resolve(self, text: str) -> Endpoint:
        return Endpoint(text, text)

    def members(self, *_: Any) -> tuple[Member, ...]:
        return MEMBERS

    def sweep(self, *_: Any) -> Sweep:
        return self.wire.swept()


def test_the_answer_says_which_host_was_lost_and_calls_no_pair_of_it_unreachable() -> None:
    world: Any = World(Wire(take=lost))
    found = ask_matrix(world, MatrixQuestion(NAMES), lambda *_: None)
    assert found.overall is Verdict.UNDETERMINED
    [group] = found.groups
    assert (group.verdict, group.pairs) == (Verdict.UNDETERMINED, ((0, 1), (1, 0), (1, 2), (2, 1)))
    assert "h2" in group.summary
    assert ("h2", group.summary) in [(each.what, each.why) for each in found.blind]
    assert found.count(Verdict.REACHABLE) == 2
