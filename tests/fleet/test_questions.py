"""What is asked of a host, with a host that is only pretended: batches, dumps that are cut, answers that no kernel gives."""

from __future__ import annotations

import errno
import random
import struct
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from netprobe.errors import CannotLook, NetprobeError, is_short
from netprobe.fleet.connection import AgentConnection
from netprobe.fleet.directory import HostDirectory
from netprobe.fleet.host import Host
from netprobe.fleet.place import DistantNamespace
from netprobe.fleet.questions import Questions, Unanswered
from netprobe.kernel.elsewhere import at
from netprobe.linux import deadline
from netprobe.linux.netfilter import remembered
from netprobe.linux.netlink import ROUTE, Netlink, Request
from netprobe.linux.tables.fib import RTM_GETRULE
from netprobe.model import AskRoute, ReadNamespace, RouteQuery, Snapshot

HEADER, DONE, MULTI = struct.Struct("=IHHII"), 3, 2
RTM_NEWRULE = 32
Answer = Callable[[list[Any]], Any]


class Pretended:
    """A connection to a host that answers each request of a batch by `answer`, and is open to nothing else."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.lost = ""
        self.batches: list[list[list[Any]]] = []
        self.others: dict[str, Any] = {
            "open": 9, "identity": [4, 77], "names": [["red", 4, 77]], "processes": [], "shut": None, "clock": 0,
        }  # fmt: skip

    def begin(self, verb: str, *arguments: Any, **_: Any) -> Any:
        if verb == "batch":
            self.batches.append(arguments[1])
            return Given([self._answer(request) for request in arguments[1]])
        return Given(self.others[verb])


class Given:
    """An answer that is there."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


def asked(answer: Answer) -> tuple[Questions, Pretended]:
    connection = Pretended(answer)
    return Questions("h1", cast("AgentConnection", connection)), connection


def rule(sequence: int, priority: int) -> bytes:
    body = struct.pack("=BBBBB2xBI", 2, 0, 0, 0, 254, 1, 0) + struct.pack("=HHI", 8, 6, priority)
    return HEADER.pack(HEADER.size + len(body), RTM_NEWRULE, MULTI, sequence, 0) + body


def done(sequence: int) -> bytes:
    return HEADER.pack(HEADER.size + 4, DONE, MULTI, sequence, 0) + bytes(4)


def test_a_dump_that_was_cut_is_asked_for_again_whole() -> None:
    """Who wants all of it gets all; who wants no more than there are has them at once."""
    questions, connection = asked(lambda request: [b"".join(rule(1, n) for n in range(5)), *([] if request[5] else [done(1)])])
    with at(DistantNamespace(questions, 9, (4, 77))), Netlink(ROUTE) as netlink:
        assert len(netlink.first(Request(RTM_GETRULE), 3)) == 3
        assert len(connection.batches) == 1
        assert netlink.at_most(Request(RTM_GETRULE), 3) is None
        assert len(connection.batches) == 2
        assert len(netlink.at_most(Request(RTM_GETRULE), 9) or ()) == 5
        assert [batch[0][5] for batch in connection.batches] == [3, 4, 10, 0]
    assert not netlink.unsteady


def test_a_table_of_one_entry_more_than_is_wanted_is_a_larger_one() -> None:
    questions, _ = asked(lambda _: [b"".join(rule(1, n) for n in range(5)), done(1)])
    with at(DistantNamespace(questions, 9, (4, 77))), Netlink(ROUTE) as netlink:
        for most, found in ((4, 0), (5, 5), (6, 5)):
            assert len(netlink.at_most(Request(RTM_GETRULE), most) or ()) == found
            assert len(netlink.bodies_at_most(Request(RTM_GETRULE), most) or ()) == found
        for most, found in ((2, 0), (3, 3)):
            assert len(netlink.at_most(Request(RTM_GETRULE), most, lambda body: body[-4] % 2 == 0) or ()) == found


def test_work_is_repeated_until_all_its_questions_are_answered() -> None:
    questions, connection = asked(lambda request: request[1].encode())
    place = DistantNamespace(questions, 9, (4, 77))

    def work() -> tuple[bytes, bytes]:
        first = place.file("/proc/a", 9)
        return first, place.file("/proc/b", 9) if first else b""

    assert questions.rehearsed(work) == (b"/proc/a", b"/proc/b")
    assert [len(batch) for batch in connection.batches] == [1, 1]
    assert questions.rehearsed(work) == (b"/proc/a", b"/proc/b"), "what was answered once is asked again"
    assert len(connection.batches) == 4


def test_nothing_is_kept_of_answers_that_are_missing() -> None:
    questions, _ = asked(lambda _: b"")
    place, of = DistantNamespace(questions, 9, (4, 77)), ("h1", 5, 6)
    remembered.forget()
    kept = []

    def work() -> None:
        with at(place):
            place.file("/proc/a", 9)
            remembered.keep_tables(of, (), ())
            kept.append(remembered.tables(of))

    questions.rehearsed(work)
    assert kept == [None, ()]
    assert remembered.tables(("h2", 5, 6)) is None, "two hosts may have the same cookie"
    remembered.forget()


def test_one_that_is_too_much_together_is_asked_alone() -> None:
    questions, connection = asked(lambda _: None)
    connection._answer = lambda request: (
        {"errno": errno.EFBIG, "text": "too much"} if len(connection.batches[-1]) > 1 and request[1] == "/proc/b" else b"x"
    )
    place = DistantNamespace(questions, 9, (4, 77))
    assert questions.rehearsed(lambda: (place.file("/proc/a", 9), place.file("/proc/b", 9))) == (b"x", b"x")


def test_a_host_that_lacks_something_says_nothing_of_what_was_asked() -> None:
    questions, _ = asked(lambda _: {"errno": errno.EMFILE, "text": "Too many open files"})
    with pytest.raises(CannotLook, match="h1: Too many open files") as told:
        questions.ask(9, ("cookie",))
    assert is_short(told.value), "so that no reader takes it for an answer"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ETIMEDOUT, errno.EBADF, errno.ENOBUFS])
def test_what_the_kernel_was_not_asked_is_no_answer_of_its_fib(code: int) -> None:
    """To a route lookup any refusal of the kernel is an answer: what is none must not look like one."""
    _, connection = asked(lambda request: {"errno": code, "text": "no"} if request[0] == "netlink" else 5)
    with Host("h1", cast("AgentConnection", connection)) as host:
        name = host.resolve("red").namespace or ""
        [answer] = host.read(Snapshot(), [AskRoute(name, RouteQuery(None, "10.0.0.1"))]).answers
    assert answer.why == "h1: no"


def test_ahead_waits_for_nothing_and_raises_nothing() -> None:
    _, connection = asked(lambda _: b"")
    with Host("h1", cast("AgentConnection", connection)) as host:
        name = host.resolve("red").namespace or ""
        with deadline.within(0):
            host.ahead([ReadNamespace(name)])
            assert host.read(Snapshot(), [ReadNamespace(name)])[name].unread


def test_what_is_asked_ahead_is_asked_once() -> None:
    _, connection = asked(lambda _: b"")
    with Host("h1", cast("AgentConnection", connection)) as host:
        name = host.resolve("red").namespace or ""
        connection.batches.clear()
        for _ in range(2):
            host.ahead([ReadNamespace(name)])
        host.read(Snapshot(), [ReadNamespace(name)])
    assert len(connection.batches[0]) > 100
    asked_for = [str(request) for batch in connection.batches for request in batch if request[0] == "file"]
    assert len(asked_for) == len(set(asked_for))


def hostile(dice: random.Random) -> Answer:
    """Anything, of which the agent's codec is capable, most of it nearly right."""

    def datagram(message: bytes) -> bytes:
        _, kind, _, _, _ = HEADER.unpack_from(message)
        body = dice.randbytes(dice.randrange(64) * 4)
        if len(body) > 12 and dice.random() < 0.7:  # attributes that are some
            body = body[:8] + struct.pack("=HH", len(body) - 8, dice.randrange(50)) + body[12:]
        wanted = dice.choice([kind - 2, kind - 2, kind - 1, kind, kind + 1, 2])
        return HEADER.pack(HEADER.size + len(body), wanted & 0xFFFF, MULTI, 1, 0) + body

    def answer(request: list[Any]) -> Any:
        if dice.random() < 0.05:
            return dice.choice([None, 1, b"", "x", [], [[]], {"errno": 1}, {"errno": 1 << 70, "text": 5}, {}, -1])
        match request[0]:
            case "netlink":
                return [datagram(request[3]) for _ in range(dice.randrange(4))] + ([done(1)] if dice.random() < 0.8 else [])
            case "cookie":
                return dice.randrange(1 << 64)
            case "tool":
                return [dice.choice([0, 1, None, -9]), dice.randbytes(30), b""]
            case "key":
                return [1, 2]
        return dice.choice([b"", b"1\n", b"\xff\0", dice.randbytes(40), b"a b c\n" * 3])

    return answer


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_host_says_it_is_a_blind_spot_at_worst(seed: int) -> None:
    _, connection = asked(hostile(random.Random(seed)))
    try:
        with Host("h1", cast("AgentConnection", connection)) as host:
            name = host.resolve("red").namespace or ""
            needs = [ReadNamespace(name), AskRoute(name, RouteQuery(None, "10.0.0.1"))]
            snapshot = host.read(Snapshot(), needs)
            assert name in snapshot.namespaces
            host.spaces()
    except (NetprobeError, OSError):
        pass


def test_an_answer_of_another_kind_is_no_answer() -> None:
    for wrong in (None, 5, "text", {}, [1, 2]):
        questions, _ = asked(lambda _, wrong=wrong: wrong)
        with pytest.raises((CannotLook, OSError)):
            DistantNamespace(questions, 9, (4, 77)).file("/proc/a", 9)


@pytest.mark.parametrize("answer", [None, 7, [], [4], ["a", "b"], [4, 77, 1]])
def test_an_identity_that_is_none_is_nonsense_of_that_host(answer: object) -> None:
    questions, connection = asked(lambda _: b"")
    connection.others["identity"] = answer
    with pytest.raises(Unanswered, match="h1 gives other answers than it was asked for"):
        HostDirectory(questions)


def test_a_datagram_that_is_longer_than_any_of_a_kernel_is_nonsense() -> None:
    questions, _ = asked(lambda _: [rule(1, 1) * 2000])
    with at(DistantNamespace(questions, 9, (4, 77))), Netlink(ROUTE) as netlink, pytest.raises(Unanswered, match="other answers"):
        netlink.first(Request(RTM_GETRULE), 3)


def test_an_answer_of_very_many_messages_ends_with_the_time_of_the_question() -> None:
    much = HEADER.pack(HEADER.size, 99, MULTI, 1, 0) * 4000  # of a kind that nobody asked for
    questions, _ = asked(lambda _: [*[much] * 1200, done(1)])
    begin, late = time.monotonic(), pytest.raises(OSError, match=deadline.NOT_IN_TIME)
    with deadline.within(0.3), at(DistantNamespace(questions, 9, (4, 77))), Netlink(ROUTE) as netlink, late:
        netlink.first(Request(RTM_GETRULE), 1 << 30)
    assert time.monotonic() - begin < 1
