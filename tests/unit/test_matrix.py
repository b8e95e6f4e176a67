"""What is made of a sweep, without a kernel: a full table, an interruption, and how they are written."""

from __future__ import annotations

from array import array
from typing import Any
from unittest.mock import patch

import pytest
from junitparser import JUnitXml

from netprobe.all_pairs import Matrix, _named
from netprobe.cli.ending import until_interrupted
from netprobe.cli.matrix import _asked
from netprobe.engine.groups import grouped
from netprobe.engine.matrix import ask_matrix
from netprobe.errors import Interrupted
from netprobe.model import Endpoint, Protocol, Verdict
from netprobe.model.matrix import Member, MemberAddress, PairState, Plan, Sweep
from netprobe.question import MatrixQuestion

NAMES = ("a", "b", "c")
MEMBERS = tuple(Member(name, name, (MemberAddress(f"10.0.0.{n}", "10.0.0.0/24", "eth0", 2),)) for n, name in enumerate(NAMES, 1))


class World:
    """A machine with three members, of which a sweep tells what the test says."""

    def __init__(self, states: str, interrupted: bool = False) -> None:
        codes = {".": PairState.ANSWERED, "-": PairState.UNASKED, "s": PairState.SENT, "f": PairState.FULL}
        self.swept = Sweep(bytearray(codes[each] for each in states), array("q", [1000] * 9), {}, interrupted=interrupted, limit=1024)

    def resolve(self, text: str) -> Endpoint:
        return Endpoint(text, text)

    def members(self, *_: Any) -> tuple[Member, ...]:
        return MEMBERS

    def sweep(self, *_: Any) -> Sweep:
        return self.swept


def asked(world: Any) -> Any:
    return ask_matrix(world, MatrixQuestion(NAMES), lambda _done, _all: None)


def test_a_full_table_is_a_cause() -> None:
    """The pairs behind it are not unreachable: nobody knows."""
    found = asked(World("-f..-...-"))
    assert found.overall is Verdict.UNDETERMINED
    (group,) = found.groups
    assert (group.pairs, group.verdict, group.cause.code) == (((0, 1),), Verdict.UNDETERMINED, "neigh-table-full")
    assert group.cause.fix == ("sysctl -w net.ipv4.neigh.default.gc_thresh3=8192",)


def test_interrupted_it_has_what_was_decided() -> None:
    """A pair that may still have been on its way is not called unreachable."""
    with pytest.raises(Interrupted) as caught:
        asked(World("-.s.-----", interrupted=True))
    found = caught.value.kept
    assert (caught.value.count, found.complete, found.overall, found.groups) == (2, False, Verdict.REACHABLE, ())
    assert [pair for pair, _ in found.asked()] == [(0, 1), (1, 0)]


def test_the_command_prints_what_was_decided(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Any:
        with patch("netprobe.linux.machine.Machine", lambda *_: Closing("-.s.-----", interrupted=True)):
            return _asked({"host": None}, NAMES, OPTIONS)

    found, interrupted = until_interrupted(work)
    assert interrupted
    assert isinstance(found, Matrix)
    assert not found
    assert (
        repr(found)
        == "<matrix: 2 of 2 pairs reachable   3 endpoints by ICMP   answers after 1 µs (1 µs to 1 µs)   INCOMPLETE: interrupted>"
    )
    (suite,) = JUnitXml.fromstring(found.junit().encode())
    assert (suite.tests, suite.errors) == (3, 1), "a CI system must not take it for a whole one"


class Closing(World):
    def __exit__(self, *_: object) -> None:
        pass


OPTIONS: dict[str, Any] = {"four": False, "six": False, "everybody": False, "network": (), "group": (), "exclude": (), "protocol": None,
                           "port": None, "timeout": 10**9}  # fmt: skip


def test_a_group_may_be_written_in_parts() -> None:
    with patch("netprobe.session.Session.matrix", lambda _self, named, *_, **__: named):
        found: Any = _asked({"host": None}, ("x",), {**OPTIONS, "group": ("web=a", "db=c", "web=b")})
    assert found == {"": ["x"], "web": ["a", "b"], "db": ["c"]}


def test_a_group_of_one_is_a_name() -> None:
    assert _named({"web": "c1", "db": ["c2"]}) == [("c1", "web"), ("c2", "db")]


def test_all_is_well() -> None:
    plan = Plan(Protocol.ICMP, MEMBERS, ((None,) * 3,) * 3)
    search: Any = type("Search", (), {"walked": lambda *_: ()})()
    assert grouped(plan, Sweep(bytearray(9), array("q", [0] * 9), {}), search) == ((), True)
