"""What an agent catches, hears and sends, over a pipe in a namespace of its own: on its loopback."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fleet.agents import agent, within

from netprobe.fleet.agent import MOST_KEPT, _Observing
from netprobe.fleet.connection import AgentConnection
from netprobe.linux.sensors.tap import SO_TIMESTAMPNS_NEW
from netprobe.wire.bpf import RET, packed

ALL = packed(((RET, 0, 0, 65535),))
NOTHING = packed(((RET, 0, 0, 0),))
HERE = ["127.0.0.1", 0]
ICMP, UDP = ["socket", socket.AF_INET, socket.SOCK_RAW, 1], ["socket", socket.AF_INET, socket.SOCK_DGRAM, 17]
STAMPS = ["setsockopt", 0, socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1]
IP_RECVERR, PACKET_OUTGOING = 11, 4


@pytest.fixture(scope="module")
def host() -> Iterator[AgentConnection]:
    with agent() as opened:
        assert opened.call("batch", None, [["tool", ["ip", "link", "set", "lo", "up"], 100, 5]]) == [[0, b"", b""]]
        yield opened


@pytest.fixture
def run(host: AgentConnection, request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.node.name
    with pytest.raises(OSError, match="no such run"):  # each test has finished its own
        host.call("take", request.node.name, 0)


def echo(number: int, size: int = 24) -> bytes:
    """An ICMP echo request with a checksum."""
    body = struct.pack("!HH", 77, number) + b"x" * size
    total = sum(struct.unpack(f"!{len(body) // 2}H", body)) + 0x0800
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBH", 8, 0, ~(total + (total >> 16)) & 0xFFFF) + body


def gather(host: AgentConnection, run: str, frames: int = 0, heard: int = 0, sent: int = 0) -> dict[str, list[Any]]:
    """What comes until there is so much of it, at most 5 s."""
    found: dict[str, list[Any]] = {"frames": [], "heard": [], "sent": []}

    def is_enough() -> bool:
        told = host.call("take", run, 100_000_000)
        for kind, seen in found.items():
            seen.extend(told[kind])
        return [len(each) for each in found.values()] >= [frames, heard, sent] and len(found["sent"]) >= sent

    assert within(5, is_enough), found
    return found


def test_a_packet_is_sent_caught_and_answered(host: AgentConnection, run: str) -> None:
    before = time.time_ns()
    assert host.call("arm", run, [[None, ALL, 100, 1 << 20], [None, NOTHING, 100, 1 << 20]]) == [None, None]
    assert host.call("sender", run, None, [ICMP, STAMPS, ["enlarge", 0], ["hear", 0]]) == [0, None, None, None]
    host.call("fire", run, [[0, echo(1), HERE, 0]])
    found = gather(host, run, frames=4, heard=2, sent=1)
    [[number, stamp, code]] = found["sent"]
    assert (number, code) == (0, 0)
    assert before < stamp < time.time_ns()
    assert {(tap, name) for tap, name, *_ in found["frames"]} == {(0, "lo")}
    types = [address[10] for _, _, address, _, _ in found["frames"]]
    assert types == [PACKET_OUTGOING, 0, PACKET_OUTGOING, 0]  # request and reply, out and in
    assert [frame[34] for *_, frame in found["frames"]] == [8, 8, 0, 0]
    [kinds] = {tuple(kind for _, kind, _ in messages(control)) for _, _, _, control, _ in found["frames"]}
    assert set(kinds) == {SO_TIMESTAMPNS_NEW, 8}  # PACKET_AUXDATA
    assert found["heard"][-1][1][20] == 0  # an ICMP echo reply behind its IP header
    assert socket.inet_ntoa(found["heard"][-1][3][4:8]) == "127.0.0.1"
    ended = host.call("finish", run)
    assert (ended["taps"], ended["frames"], ended["more"]) == ([[0, 0, False], [1, 0, False]], [], False)


def messages(control: bytes) -> Iterator[tuple[int, int, bytes]]:
    while len(control) >= 16:
        size, level, kind = struct.unpack_from("@Nii", control)
        yield level, kind, control[16:size]
        control = control[(size + 7) & ~7 :]


def test_an_icmp_error_is_heard_from_the_error_queue(host: AgentConnection, run: str) -> None:
    answers = host.call("sender", run, None, [
        UDP, ["bind", 0, HERE], ["getsockname", 0], ["setsockopt", 0, 0, IP_RECVERR, 1], ["hear", 0],
    ])  # fmt: skip
    assert answers[2][0] == "127.0.0.1"
    assert answers[2][1] > 0
    host.call("fire", run, [[0, b"token", ["127.0.0.1", 9], 0]])
    [[number, data, control, address, is_error]] = gather(host, run, heard=1, sent=1)["heard"]
    assert (number, data, is_error) == (0, b"token", True)
    assert address[:8] == struct.pack("=H", socket.AF_INET) + struct.pack("!H", 9) + socket.inet_aton("127.0.0.1")
    [(level, kind, error)] = messages(control)
    assert (level, kind) == (socket.IPPROTO_IP, IP_RECVERR)
    assert struct.unpack_from("=IBBB", error) == (errno.ECONNREFUSED, 2, 3, 3)
    host.call("finish", run)


def test_packets_leave_in_their_order_at_their_time(host: AgentConnection, run: str) -> None:
    host.call("sender", run, None, [ICMP])
    host.call("fire", run, [[0, echo(number), HERE, 20_000_000 if number else 0] for number in range(5)])
    sent = gather(host, run, sent=5)["sent"]
    assert [each[0] for each in sent] == [0, 1, 2, 3, 4]
    gaps = [(after - before) / 1e6 for (_, before, _), (_, after, _) in pairwise(sent)]
    assert all(gap >= 14.9 for gap in gaps)  # one that was late once is followed after three quarters
    assert sum(gaps) < 2000
    host.call("finish", run)


def test_a_refused_packet_says_how(host: AgentConnection, run: str) -> None:
    host.call("sender", run, None, [ICMP])
    raw = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton("127.0.0.1"))
    host.call("fire", run, [[0, echo(1), ["192.0.2.1", 0], 0], [0, echo(2), raw, 0], [0, echo(3), b"nonsense", 0], [0, echo(4), [], 0]])
    assert [code for _, _, code in gather(host, run, sent=4)["sent"]] == [errno.ENETUNREACH, 0, errno.EINVAL, errno.EINVAL]
    with pytest.raises(OSError, match="Bad file descriptor"):
        host.call("fire", run, [[7, b"", None, 0]])
    host.call("finish", run)


def test_a_tap_that_is_full_hears_nothing_more(host: AgentConnection, run: str) -> None:
    host.call("arm", run, [[None, ALL, 10, 1 << 20], [None, ALL, 1000, 2000], [None, ALL, 1000, 1 << 20]])
    host.call("sender", run, None, [ICMP])
    host.call("fire", run, [[0, echo(number), HERE, 1000] for number in range(100)])
    frames = gather(host, run, sent=100)["frames"]
    ended = host.call("finish", run)
    frames += ended["frames"]
    counts = [sum(1 for tap, *_ in frames if tap == number) for number in range(3)]
    assert counts[0] == 10
    assert counts[1] * 66 <= 2000 + 66
    assert counts[2] == 400
    assert [(number, is_full) for number, _, is_full in ended["taps"]] == [(0, True), (1, True), (2, False)]


def test_a_crowded_tap_begins_anew_with_the_first_packet(host: AgentConnection, run: str) -> None:
    host.call("arm", run, [[None, ALL, 20, 1 << 20]])
    host.call("sender", run, None, [ICMP])
    assert host.call("batch", None, [["tool", ["ping", "-c3", "-i0.01", "127.0.0.1"], 1000, 5]])[0][0] == 0  # somebody else's: 12 frames
    host.call("fire", run, [[0, echo(1), HERE, 0]])
    frames = [frame for *_, frame in gather(host, run, sent=1, frames=4)["frames"] + host.call("finish", run)["frames"]]
    assert [struct.unpack_from("!H", frame, 38)[0] for frame in frames] == [77] * 4  # its identifier


def test_clearing_forgets_what_was_caught(host: AgentConnection, run: str) -> None:
    host.call("arm", run, [[None, ALL, 1000, 1 << 20]])
    host.call("batch", None, [["tool", ["ping", "-c1", "127.0.0.1"], 1000, 5]])
    host.call("clear", run)
    assert host.call("finish", run)["frames"] == []


def test_what_cannot_be_armed_or_opened_says_why_in_its_place(host: AgentConnection, run: str) -> None:
    armed = host.call("arm", run, [[99, ALL, 1, 1], [None, b"", 1, 1], [None, b"x" * 8, 1, 1], [None, ALL, 10, 1000], [None]])
    assert [each and each["errno"] for each in armed] == [errno.EBADF, errno.EINVAL, errno.EINVAL, None, errno.EINVAL]
    done = host.call("sender", run, None, [
        ["socket", 999, 1, 1], ICMP, ["bind", 0, HERE], ["bind", 1, ["192.0.2.7", 0]], ["do", "x"], ["_run"], ["ioctl", 0x8914, b"\0" * 40],
        ["ioctl", 0x8927, struct.pack("=16s24x", b"lo")], ["filter", 1, NOTHING], ["getsockopt", 1, 1, 3, 4], ["close", 1], ["close", 1],
    ])  # fmt: skip
    codes = [each["errno"] if isinstance(each, dict) else None for each in done]
    assert codes == [
        errno.EAFNOSUPPORT, None, errno.EBADF, errno.EADDRNOTAVAIL, errno.ENOSYS, errno.ENOSYS, errno.EINVAL,
        None, None, None, None, errno.EBADF,
    ]  # fmt: skip
    assert (done[1], done[9]) == (1, struct.pack("=i", socket.SOCK_RAW))
    host.call("finish", run)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can send as another user")
def test_a_socket_belongs_to_the_user_who_is_asked_for(host: AgentConnection, run: str) -> None:
    rule = [["tool", ["ip", "rule", "add", "uidrange", "4711-4711", "prohibit"], 100, 5]]
    assert host.call("batch", None, rule)[0][0] == 0
    done = host.call("sender", run, None, [[*UDP, 4711], ["connect", 0, ["192.0.2.1", 9]], UDP, ["connect", 1, ["192.0.2.1", 9]]])
    assert [done[1]["errno"], done[3]["errno"]] == [errno.EACCES, errno.ENETUNREACH]
    host.call("finish", run)


def test_taking_waits_for_something_and_not_for_ever(host: AgentConnection, run: str) -> None:
    host.call("sender", run, None, [ICMP])
    begin = time.monotonic()
    assert host.call("take", run, 200_000_000) == {"sent": [], "frames": [], "heard": [], "more": False}
    assert 0.15 < time.monotonic() - begin < 2
    waiting = host.begin("take", run, 4_000_000_000)
    host.call("fire", run, [[0, echo(1), HERE, 0]])
    begin = time.monotonic()
    assert len(waiting.result()["sent"]) == 1
    waiting = host.begin("take", run, 4_000_000_000)
    host.call("finish", run)
    assert waiting.result()["sent"] == []
    assert time.monotonic() - begin < 2


def test_a_run_that_nobody_asks_for_is_let_go() -> None:
    with agent() as host:
        host.call("lease", 1)
        host.call("arm", "forgotten", [[None, ALL, 10, 1000]])
        home = ["file", "/proc/thread-self/net/packet", 10_000]
        assert len(host.call("batch", None, [home])[0].splitlines()) == 2
        assert within(4, lambda: len(host.call("batch", None, [home])[0].splitlines()) == 1)


def test_nothing_is_left_open_when_runs_are_finished(host: AgentConnection) -> None:
    def files() -> int:
        return len(host.call("batch", None, [["names", "/proc/self/fd", 10_000]])[0])

    before = files()
    for number in range(5):
        host.call("arm", number, [[None, ALL, 10, 1000]] * 3)
        host.call("sender", number, None, [ICMP, UDP, ["hear", 0]])
        host.call("fire", number, [[0, echo(1), HERE, 0]])
        host.call("finish", number)
    assert within(5, lambda: files() <= before)


def test_what_nobody_takes_costs_no_processor(host: AgentConnection, run: str) -> None:
    pid = host.call("hello")["pid"]
    done = host.call("sender", run, None, [UDP, ["bind", 0, HERE], ["getsockname", 0], ["enlarge", 0], ["hear", 0], UDP])
    port = done[2][1]
    many = MOST_KEPT + 1000
    host.call("fire", run, [[1, b"x", ["127.0.0.1", port], 0]] * many, timeout=30)
    assert within(20, lambda: used_s(pid, 1) < 0.08)
    heard = 0
    while told := host.call("take", run, 100_000_000)["heard"]:
        heard += len(told)
    assert heard > MOST_KEPT
    host.call("finish", run)


def used_s(pid: int, during_s: float) -> float:
    """How much of a processor a process uses meanwhile."""

    def used() -> int:
        return sum(int(each) for each in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])

    before = used()
    time.sleep(during_s)
    return (used() - before) / os.sysconf("SC_CLK_TCK")


def test_what_is_left_is_taken_by_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`finish` and `take` are of different threads."""
    observing, held = _Observing(), []
    taken = observing._taken

    def watched(most: int, size: int) -> dict[str, Any]:
        free = threading.Thread(target=lambda: held.append(not observing._lock.acquire(blocking=False)))
        free.start()
        free.join()
        return taken(most, size)

    monkeypatch.setattr(observing, "_taken", watched)
    observing.finish()
    assert held == [True]
