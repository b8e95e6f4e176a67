"""Netlink: with a kernel that misbehaves, and with the real one."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from netprobe.linux import deadline, netlink, same
from netprobe.linux.netlink import CONNTRACK, LONGEST, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Netlink, Request
from netprobe.linux.same import of_the_same
from netprobe.linux.tables import bpf, fib
from netprobe.linux.tables.bpf import cgroup_programs, tcx_filters

NLM_F_MULTI = 2
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWNSID, RTM_GETNSID = 88, 90

Answers = Callable[[list[int]], list[bytes]]


class FakeKernel(threading.Thread):
    """Answers each datagram sent to `theirs` with what `answers` makes of its sequence numbers."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self.theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard = 0

    def run(self) -> None:
        while data := self._ours.recv(1 << 16):
            self.heard += 1
            with suppress(ConnectionError):  # who has heard enough hangs up
                for answer in self._answers(list(_sequences(data))):
                    self._ours.send(answer)

    def end(self) -> None:
        self._ours.shutdown(socket.SHUT_RD)
        self.join()
        self._ours.close()


def _sequences(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        length, _, _, sequence, _ = struct.unpack_from("=IHHII", data, at)
        yield sequence
        at += (length + 3) & ~3


def message(kind: int, sequence: int, payload: bytes = b"", flags: int = NLM_F_MULTI) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def link(index: int) -> bytes:
    return struct.pack("=BxHiII", 0, 1, index, 0, 0)


def done(sequence: int, error: int = 0, flags: int = NLM_F_MULTI) -> bytes:
    return message(NLMSG_DONE, sequence, struct.pack("=i", error), flags)


@contextmanager
def speaking_to(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> Iterator[tuple[Netlink, FakeKernel]]:
    kernel = FakeKernel(answers)
    kernel.start()
    with monkeypatch.context() as patch:
        patch.setattr(netlink, "_endpoint", lambda _: kernel.theirs)
        spoken = Netlink()
    try:
        with spoken:
            yield spoken, kernel
    finally:
        kernel.end()


def test_a_dump_in_pieces_among_strangers_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        [sequence] = sequences
        first = message(RTM_NEWLINK, sequence, link(1))
        return [message(RTM_NEWLINK, sequence + 700, link(9)), first, message(RTM_NEWLINK, sequence, link(2)) + done(sequence)]

    with speaking_to(monkeypatch, answers) as (spoken, _):
        assert [record["index"] for record in spoken.dump(Request(RTM_GETLINK))] == [1, 2]
        assert not spoken.unsteady


@pytest.mark.parametrize("where", ["entry", "end"])
def test_an_interrupted_dump_is_asked_again(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    tries: list[int] = []

    def answers(sequences: list[int]) -> list[bytes]:
        tries.extend(sequences)
        torn = NLM_F_DUMP_INTR if len(tries) < 3 else 0
        entry, end = (torn, 0) if where == "entry" else (0, torn)
        first = message(RTM_NEWLINK, tries[-1], link(len(tries)), NLM_F_MULTI | entry)
        return [first, done(tries[-1], 0, NLM_F_MULTI | end)]

    with speaking_to(monkeypatch, answers) as (spoken, _):
        assert [record["index"] for record in spoken.dump(Request(RTM_GETLINK))] == [3]
        assert not spoken.unsteady


def test_a_table_that_never_holds_still_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        return [message(RTM_NEWLINK, sequences[0], link(7), NLM_F_MULTI | NLM_F_DUMP_INTR) + done(sequences[0])]

    with speaking_to(monkeypatch, answers) as (spoken, kernel):
        assert [record["index"] for record in spoken.dump(Request(RTM_GETLINK))] == [7]
        assert spoken.unsteady
        assert kernel.heard == netlink.DUMP_TRIES


def entry_and_end(sequences: list[int]) -> list[bytes]:
    return [message(RTM_NEWLINK, sequences[0], link(1)) + done(sequences[0])]


def test_a_dump_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with speaking_to(monkeypatch, entry_and_end) as (spoken, _):
        with deadline.within(-1), pytest.raises(TimeoutError, match="not read in time"):
            spoken.dump(Request(RTM_GETLINK))
        with deadline.within(60):
            assert len(spoken.dump(Request(RTM_GETLINK))) == 1


def test_entries_are_taken_apart_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with speaking_to(monkeypatch, entry_and_end) as (spoken, _):
        messages = spoken._steady(Request(RTM_GETLINK))
        with deadline.within(-1), pytest.raises(TimeoutError, match="not read in time"):
            spoken._record_in_time(messages[0])


@pytest.mark.parametrize("seconds", [0.2, -1.0])
def test_a_socket_waits_no_longer_than_the_question(seconds: float) -> None:
    with deadline.within(seconds), Netlink() as spoken:
        patience = spoken._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        assert (0, 0) < struct.unpack("@ll", patience) <= (0, 210_000)
        with pytest.raises(TimeoutError, match="not read in time"):
            next(spoken._received())


def test_a_dump_has_a_size_and_the_next_question_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        [sequence] = sequences
        return [message(RTM_NEWLINK, sequence, link(1)) * 100, message(RTM_NEWLINK, sequence, link(2)), done(sequence)]

    with speaking_to(monkeypatch, answers) as (spoken, _):
        with monkeypatch.context() as patch:
            patch.setattr(netlink, "LARGEST", 2000)
            with pytest.raises(OSError, match="lists more than"):
                spoken.dump(Request(RTM_GETLINK))
        assert len(spoken.dump(Request(RTM_GETLINK))) == 101


@pytest.mark.parametrize("kind", [NLMSG_ERROR, NLMSG_DONE])
def test_a_refused_dump_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        refused = struct.pack("=i", -errno.EPERM) + message(RTM_GETLINK, sequences[0])
        return [message(kind, sequences[0], refused)]

    with speaking_to(monkeypatch, answers) as (spoken, _), pytest.raises(PermissionError):
        spoken.dump(Request(RTM_GETLINK))


def test_many_questions_get_their_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def answer(sequence: int) -> bytes:
        number = asked.index(sequence)
        if number % 3 == 0:
            return message(NLMSG_ERROR, sequence, struct.pack("=i", -errno.ENOENT) + message(RTM_GETNSID, sequence), 0)
        return message(RTM_NEWNSID, sequence, bytes(4) + struct.pack("=HHI", 8, 1, number), 0)

    def answers(sequences: list[int]) -> list[bytes]:
        asked.extend(sequences)
        return [answer(sequence) for sequence in reversed(sequences)]  # out of order, and every third is refused

    with speaking_to(monkeypatch, answers) as (spoken, kernel):
        found = list(spoken.ask_all([Request(RTM_GETNSID, attributes=[("NETNSA_FD", fd)]) for fd in range(100)]))
    assert kernel.heard == 2
    assert [None if each is None else each.get("NETNSA_NSID") for each in found] == [None if n % 3 == 0 else n for n in range(100)]


def test_counting_stops_where_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        return [message(RTM_NEWLINK, sequences[0], link(index)) for index in range(10)]  # and never an end

    with speaking_to(monkeypatch, answers) as (spoken, _):
        assert spoken.count(Request(RTM_GETLINK), lambda record: int(record["index"]), 5) == 6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda sequence: message(RTM_NEWLINK, sequence, bytes(LONGEST)), "more than"),
        (lambda sequence: message(RTM_NEWLINK, sequence, link(1))[:-4], "a length that it does not have"),
        (lambda sequence: message(NLMSG_ERROR, sequence, struct.pack("=i", 0)), "says yes"),
        (lambda sequence: struct.pack("=IHHII", 15, RTM_NEWLINK, 0, sequence, 0), "a length that it does not have"),
    ],
)
def test_a_message_that_cannot_be_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], bytes], words: str) -> None:
    with speaking_to(monkeypatch, lambda sequences: [answer(sequences[0])]) as (spoken, _), pytest.raises(OSError, match=words):
        spoken.ask(Request(RTM_GETLINK))


def test_the_answer_to_an_earlier_question_is_not_taken_for_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(sequences: list[int]) -> list[bytes]:
        refused = struct.pack("=i", -errno.EPERM) + message(RTM_GETLINK, sequences[0] - 1)
        return [message(NLMSG_ERROR, sequences[0] - 1, refused), message(RTM_NEWLINK, sequences[0], link(5), 0)]

    with speaking_to(monkeypatch, answers) as (spoken, _):
        assert spoken.ask(Request(RTM_GETLINK))["index"] == 5


def test_the_real_kernel_lists_the_loopback() -> None:
    with Netlink() as spoken:
        assert "lo" in {record.text("IFLA_IFNAME") for record in spoken.dump(Request(RTM_GETLINK))}


def test_the_real_kernel_refuses_what_does_not_exist() -> None:
    with Netlink() as spoken, pytest.raises(OSError, match="No such device") as refused:
        spoken.ask(Request(RTM_GETLINK, attributes=[("IFLA_IFNAME", b"nosuchlink0")]))
    assert refused.value.errno == errno.ENODEV


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_nothing_stays_open() -> None:
    before = open_files()
    with Netlink() as spoken:
        spoken.dump(Request(RTM_GETLINK))
    with pytest.raises(OSError, match="not supported"):
        netlink._endpoint(1 << 8)
    with Netlink(CONNTRACK):
        pass
    assert open_files() == before


def test_where_no_program_is_there_is_none() -> None:
    assert tcx_filters(1) == ()
    assert tcx_filters(1 << 30) == ()
    assert cgroup_programs(0) == ()
    assert cgroup_programs(1 << 60) == ()


def test_the_programs_of_its_own_cgroup_are_asked_for_once_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(bpf, "cgroup_programs", lambda cgroup: asked.append(cgroup) or ("cgroup / egress id 7",))
    bpf.forget()
    assert {bpf.own_programs() for _ in range(9)} == {("cgroup / egress id 7",)}
    assert len(asked) == 1  # it was once a namespace, though it is one cgroup
    bpf.forget()
    bpf.own_programs()
    assert len(asked) == 2
    bpf.forget()


def test_where_there_are_more_addresses_than_routes_are_read_the_dump_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    class Counted:
        def bodies_at_most(self, _request: object, most: int) -> list[bytes]:
            begun.append(most)
            return []

    monkeypatch.setattr(fib, "_few", lambda *_: [])
    for at_least, whole in ((0, True), (fib.MOST, True), (fib.MOST + 1, False)):
        begun.clear()
        assert fib.read_routes(Counted(), at_least) == ((), whole)  # type: ignore[arg-type]
        assert begun == ([fib.MOST] if whole else [])


def test_addresses_that_are_known_to_be_many_are_not_listed_to_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def dump(self, _request: object) -> list[object]:
            return []

        def first_bodies(self, _request: object, _most: int) -> list[bytes]:
            return []

    listed: list[object] = []
    monkeypatch.setattr(fib, "_of_networks", lambda *_: listed.append(0) or [])
    for at_least, times in ((0, 1), (fib.FIRST, 1), (fib.FIRST + 1, 0)):
        listed.clear()
        assert fib._few(Empty(), Empty(), at_least) == []  # type: ignore[arg-type]
        assert len(listed) == times


def test_what_is_made_of_the_same_bytes_is_the_same_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same, "_kept", {})
    made: list[tuple[bytes, ...]] = []

    def make(entries: Sequence[bytes]) -> tuple[bytes, ...]:
        made.append(tuple(entries))
        return made[-1]

    first = of_the_same(make, [b"a", b"b"])
    assert of_the_same(make, [b"a", b"b"]) is first
    assert [of_the_same(make, each) for each in ([b"ab"], [b"b", b"a"], [])] == [(b"ab",), (b"b", b"a"), ()]
    assert len(made) == 4


def test_what_is_not_in_the_bytes_alone_and_what_is_large_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same, "_kept", {})
    made: list[int] = []

    def make(entries: Sequence[bytes]) -> int:
        made.append(len(made))
        return made[-1]

    large = [bytes(1024)] * 65
    assert [of_the_same(make, [b"a"], lasts=lambda _: False) for _ in range(2)] == [0, 1]
    assert [of_the_same(make, large) for _ in range(2)] == [2, 3]
    assert not same._kept
    for n in range(1000):
        of_the_same(make, [str(n).encode()])
    assert len(same._kept) <= 128
