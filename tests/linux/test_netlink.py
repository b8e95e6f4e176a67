"""The netlink transport against a kernel that misbehaves, and against the real one."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

import pytest

from netprobe.linux import netlink
from netprobe.linux.netlink import NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Netlink, attribute, attributes, text
from netprobe.linux.programs import cgroup_programs, tcx_filters

RTM_NEWLINK, RTM_GETLINK = 16, 18
IFLA_IFNAME = 3

Answers = Callable[[int], list[bytes]]


class Kernel:
    """A socket that answers each datagram sent to it with what `answers` makes of its last sequence number."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._waiting: list[bytes] = []
        self.sent = 0

    def send(self, data: bytes) -> None:
        self.sent += 1
        at = last = 0
        while at < len(data):
            length, _, _, last, _ = struct.unpack_from("=IHHII", data, at)
            at += (length + 3) & ~3
        self._waiting += self._answers(last)

    def recv_into(self, buffer: bytearray) -> int:
        data = self._waiting.pop(0)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        pass


def message(kind: int, sequence: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def speaking_to(answers: Answers) -> tuple[Netlink, Kernel]:
    spoken, kernel = Netlink(), Kernel(answers)
    spoken._socket.close()
    spoken._socket = kernel  # type: ignore[assignment]
    return spoken, kernel


def test_a_dump_in_pieces_among_strangers_messages() -> None:
    def answers(sequence: int) -> list[bytes]:
        first = message(16, sequence, b"ab\0\0") + message(16, sequence + 7, b"late")
        return [first, message(16, sequence, b"cd\0\0") + message(NLMSG_DONE, sequence, bytes(4))]

    spoken, _ = speaking_to(answers)
    assert spoken.dump(18, b"") == [(16, b"ab\0\0"), (16, b"cd\0\0")]
    assert not spoken.unsteady


def test_an_interrupted_dump_is_asked_again() -> None:
    tries: list[int] = []

    def answers(sequence: int) -> list[bytes]:
        tries.append(sequence)
        flags = NLM_F_DUMP_INTR if len(tries) < 3 else 0
        return [message(16, sequence, struct.pack("=I", len(tries)), flags) + message(NLMSG_DONE, sequence, bytes(4), flags)]

    spoken, _ = speaking_to(answers)
    assert spoken.dump(18, b"") == [(16, struct.pack("=I", 3))]
    assert not spoken.unsteady


def test_a_table_that_never_holds_still_is_told() -> None:
    def answers(sequence: int) -> list[bytes]:
        return [message(16, sequence, b"half", NLM_F_DUMP_INTR) + message(NLMSG_DONE, sequence, bytes(4))]

    spoken, kernel = speaking_to(answers)
    assert spoken.dump(18, b"") == [(16, b"half")]
    assert spoken.unsteady
    assert kernel.sent == netlink.DUMP_TRIES


@pytest.mark.parametrize("kind", [NLMSG_ERROR, NLMSG_DONE])
def test_a_refused_dump_is_an_error(kind: int) -> None:
    spoken, _ = speaking_to(lambda sequence: [message(kind, sequence, struct.pack("=i", -errno.EPERM))])
    with pytest.raises(PermissionError):
        spoken.dump(18, b"")


def test_many_questions_get_their_own_answers() -> None:
    def answers(last: int) -> list[bytes]:
        count = min(netlink.BATCH, 100 - answered[0])
        answered[0] += count
        numbers = range(last - count + 1, last + 1)
        refused = struct.pack("=i", -errno.ENOENT)
        # out of order, and every third is refused
        return [message(NLMSG_ERROR, n, refused) if n % 3 == 0 else message(88, n, struct.pack("=I", n)) for n in reversed(numbers)]

    answered = [0]
    spoken, kernel = speaking_to(answers)
    found = list(spoken.ask([(90, bytes(3))] * 100))
    assert kernel.sent == 2
    for number, answer in enumerate(found, 1):
        if number % 3 == 0:
            assert isinstance(answer, FileNotFoundError)
        else:
            assert answer == struct.pack("=I", number)


def test_a_truncated_message_ends_the_datagram() -> None:
    def answers(sequence: int) -> list[bytes]:
        return [message(16, sequence, b"good") + struct.pack("=IHHII", 3, 16, 0, sequence, 0), message(NLMSG_DONE, sequence, bytes(4))]

    spoken, _ = speaking_to(answers)
    assert spoken.dump(18, b"") == [(16, b"good")]


def test_the_real_kernel_lists_the_loopback() -> None:
    with Netlink() as spoken:
        links = spoken.dump(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0))
    assert {kind for kind, _ in links} == {RTM_NEWLINK}
    assert "lo" in {text(attributes(payload, 16)[IFLA_IFNAME]) for _, payload in links}


def test_the_real_kernel_refuses_what_does_not_exist() -> None:
    with Netlink() as spoken:
        (answer,) = spoken.ask([(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, b"nosuchlink0\0"))])
    assert isinstance(answer, OSError)
    assert answer.errno == errno.ENODEV


def test_where_no_program_is_there_is_none() -> None:
    assert tcx_filters(1) == ()
    assert tcx_filters(1 << 30) == ()
    assert cgroup_programs(0) == ()
    assert cgroup_programs(1 << 60) == ()
