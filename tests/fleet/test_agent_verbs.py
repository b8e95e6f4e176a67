"""What an agent reads on a host, asked over a pipe in a namespace of its own."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet.agents import agent

from netprobe.fleet.agent import LARGEST, WORKERS, Malformed
from netprobe.fleet.connection import AgentConnection

GETLINK, DUMP, REQUEST = 18, 0x300, 1
OWN = "/proc/thread-self/ns/net"


@pytest.fixture(scope="module")
def host() -> Iterator[AgentConnection]:
    with agent() as opened:
        yield opened


@pytest.fixture(scope="module")
def other(host: AgentConnection) -> Iterator[str]:
    """A second namespace of the same user, as the path of its file."""
    pid = host.call("hello")["pid"]
    with (
        subprocess.Popen(
            ["nsenter", "-t", str(pid), "-U", "--preserve-credentials", "unshare", "-n", "sh", "-c", "echo; exec sleep 600"],
            stdout=subprocess.PIPE,
        )
        if os.geteuid()
        else subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE) as holder
    ):
        assert holder.stdout is not None
        holder.stdout.readline()
        yield f"/proc/{holder.pid}/ns/net"
        holder.kill()


def links(number: int = 7, index: int = 0, flags: int = DUMP) -> bytes:
    return struct.pack("=IHHIIBBHiII", 32, GETLINK, REQUEST | flags, number, 0, 0, 0, 0, index, 0, 0)


def refused(host: AgentConnection, verb: str, *arguments: Any) -> int | None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the test
        host.call(verb, *arguments)
    return caught.value.errno


def test_it_says_who_it_is(host: AgentConnection) -> None:
    said = host.call("hello")
    assert set(said) == {
        "version", "host", "pid", "python", "uid", "capabilities", "release", "home", "cookie", "clock_ns"
    }  # fmt: skip
    assert (said["host"], said["release"], said["uid"]) == (socket.gethostname(), os.uname().release, 0)
    assert abs(said["clock_ns"] - time.time_ns()) < 60e9


def test_a_namespace_is_entered_for_a_batch_and_left_after_it(host: AgentConnection, other: str) -> None:
    home = host.call("hello")["home"]
    number = host.call("open", other)
    there = host.call("identity", number)
    inside = host.call("batch", number, [["key", OWN], ["tool", ["readlink", "/proc/self/ns/net"], 100, 5]])
    assert inside == [there, [0, f"net:[{there[1]}]\n".encode(), b""]]
    assert there != home
    for _ in range(2 * WORKERS):  # whichever thread answers
        assert host.call("batch", None, [["key", OWN]]) == [home]
    host.call("shut", [number])
    assert refused(host, "identity", number) == errno.EBADF


def test_what_is_no_network_namespace_is_not_opened(host: AgentConnection) -> None:
    assert refused(host, "open", "/proc/self/ns/uts") == errno.EINVAL
    assert refused(host, "open", "/proc/self/status") == errno.EINVAL
    assert refused(host, "open", "/proc/self/ns/nothing") == errno.ENOENT
    assert refused(host, "open", "/dev/null") == errno.EACCES


def test_only_what_it_opened_can_be_shut(host: AgentConnection) -> None:
    host.call("shut", [0, 1, 2, 99])
    assert host.call("batch", None, [["cookie"]]) == [host.call("hello")["cookie"]]
    assert refused(host, "batch", 0, []) == errno.EBADF


def test_netlink_carries_messages_there_and_back(host: AgentConnection) -> None:
    dump, one, two, none = host.call("batch", None, [
        ["netlink", 0, True, links(), 0],
        ["netlink", 0, True, links(8, 1, 0), 1],
        ["netlink", 0, False, links(8, 1, 0) + links(9, 77, 0), 2],
        ["netlink", 99, False, links(), 0],
    ])  # fmt: skip
    types = [struct.unpack_from("=IHHI", data, 0)[1] for data in dump]
    assert (types[0], types[-1]) == (16, 3)  # RTM_NEWLINK, NLMSG_DONE
    assert b"lo\0" in b"".join(dump)
    assert struct.unpack_from("=IHHI", one[0])[3] == 8
    answered = [struct.unpack_from("=IHHI", data)[1::2] for data in two]
    assert answered == [(16, 8), (2, 9)]  # the second is NLMSG_ERROR: there is no link 77
    assert none["errno"] == errno.EPROTONOSUPPORT


def test_files_are_those_of_the_kernel_and_of_run(host: AgentConnection, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    answers = host.call("batch", None, [
        ["file", "/proc/sys/net/ipv4/ip_forward", 100],
        ["file", str(secret), 100],
        ["file", f"/proc/self/root{secret}", 100],
        ["file", "/proc/self/../../etc/passwd", 100],
        ["file", "/proc/kallsyms", 100],
        ["file", "/proc/sys/net", 100],
        ["file", "/dev/zero", 100],
        ["link", "/proc/thread-self"],
        ["names", "/proc/sys/net", 1000],
        ["names", "/proc/sys", 2],
        ["names", "/etc", 1000],
        ["key", "/etc/passwd"],
    ])  # fmt: skip
    assert answers[0] in (b"0\n", b"1\n")
    codes = [each["errno"] if isinstance(each, dict) else each for each in answers[1:7]]
    assert codes == [errno.EACCES] * 3 + [errno.EFBIG, errno.EINVAL, errno.EACCES]
    assert "/task/" in answers[7]
    assert "ipv4" in answers[8]
    assert [each["errno"] for each in answers[9:]] == [errno.EFBIG, errno.EACCES, errno.EACCES]


def test_a_request_that_fails_leaves_the_others(host: AgentConnection) -> None:
    answers = host.call("batch", None, [["nothing"], ["file"], ["cookie"], ["file", 7, 7], ["netlink", "x", 1, b"", 0]])
    assert [each["errno"] for each in answers if isinstance(each, dict)] == [errno.ENOSYS] + [errno.EINVAL] * 3 or answers[3]["errno"]
    assert answers[2] == host.call("hello")["cookie"]


def test_tools_run_side_by_side_and_none_longer_than_it_may(host: AgentConnection) -> None:
    begin = time.monotonic()
    answers = host.call("batch", None, [
        ["tool", ["sleep", "60"], 100, 0.5],
        ["tool", ["sleep", "60"], 100, 0.5],
        ["tool", ["sh", "-c", "echo out; echo err >&2; exit 3"], 100, 5],
        ["tool", ["seq", "1000000"], 1000, 5],
        ["tool", ["seq", "200000"], 2_000_000, 5],
        ["tool", ["no-such-tool"], 100, 5],
        ["tool", ["../bin/sh", "-c", "true"], 100, 5],
        ["tool", ["env"], 1000, 5],
    ])  # fmt: skip
    assert time.monotonic() - begin < 6
    assert answers[:3] == [[None, b"", b""], [None, b"", b""], [3, b"out\n", b"err\n"]]
    assert answers[3]["errno"] == errno.EFBIG
    assert answers[4][1].endswith(b"\n200000\n")
    assert [answers[5]["errno"], answers[6]["errno"]] == [errno.ENOENT] * 2
    assert b"LC_ALL=C" in answers[7][1]


def test_what_is_too_much_together_is_said_in_its_place(host: AgentConnection) -> None:
    most = LARGEST - 100
    answers = host.call("batch", None, [["tool", ["head", "-c", str(most), "/dev/zero"], most, 20]] * 2 + [["cookie"]], timeout=60)
    assert len(answers[0][1]) == most
    assert answers[1]["errno"] == errno.EFBIG


def test_wrong_questions_are_refused_and_the_connection_stays(host: AgentConnection) -> None:
    assert refused(host, "nothing") == errno.ENOSYS
    assert refused(host, "_inside", None) == errno.ENOSYS
    assert refused(host, "open") == errno.EINVAL
    assert refused(host, "open", 7) == errno.EINVAL
    assert refused(host, "batch", None, 7) == errno.EINVAL
    assert refused(host, "batch", "x", []) == errno.EBADF
    assert refused(host, "take", "no such run", 0) == errno.ESRCH
    assert host.lost == ""


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_connection_stays(host: AgentConnection) -> None:
    with pytest.raises(OSError, match="an answer that cannot be sent") as caught:
        host.call("batch", None, [["x"]] * 200_000, timeout=30)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(Malformed):
        host.call("batch", None, [["x"]] * 600_000)
    assert refused(host, {"verb": "batch"}) == errno.EINVAL  # type: ignore[arg-type]
    assert host.lost == ""


def test_namespaces_are_found_by_name_and_by_process(host: AgentConnection, other: str) -> None:
    seen = os.stat(other)  # noqa: PTH116
    key = seen.st_dev, seen.st_ino
    found = {tuple(each[2:4]): each for each in host.call("processes", 10_000)}
    assert key in found
    pid, comm, *_, cgroup = found[key]
    assert (pid, comm) == (int(other.split("/")[2]), "sleep")
    assert cgroup == Path(f"/proc/{pid}/cgroup").read_text()
    assert refused(host, "processes", 1) == errno.EFBIG
    expected = sorted(each.name for each in Path("/run/netns").iterdir()) if Path("/run/netns").is_dir() else []
    assert {each[0] for each in host.call("names")} >= set(expected[:1])


def test_a_unix_socket_is_asked_until_it_closes(host: AgentConnection) -> None:
    if os.geteuid():
        pytest.skip("only root can make a socket in /run")
    path = f"/run/netprobe-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        try:
            server.listen()
            answers = [b"hello ", b"world" * 100]
            threading.Thread(target=serve, args=(server, answers), daemon=True).start()
            assert host.call("unix", path, b"GET", 10_000, 5) == b"GET" + b"".join(answers)
            assert refused(host, "unix", path, b"GET", 10, 5) == errno.EFBIG
            begin = time.monotonic()
            assert refused(host, "unix", path, b"silence", 10, 0.2) == errno.ETIMEDOUT
            assert time.monotonic() - begin < 5
        finally:
            Path(path).unlink()
    assert refused(host, "unix", path, b"GET", 10, 5) == errno.ENOENT
    assert refused(host, "unix", "/tmp", b"GET", 10, 5) == errno.EACCES


def serve(server: socket.socket, answers: list[bytes]) -> None:
    for _ in range(3):
        try:
            asked, _ = server.accept()
        except OSError:  # the test has ended
            return
        said = asked.recv(100)
        if said == b"silence":
            time.sleep(1)
        for piece in [said, *answers]:
            try:
                asked.sendall(piece)
            except OSError:
                break
        asked.close()


def test_a_slow_question_holds_up_no_other(host: AgentConnection) -> None:
    slow = [host.begin("batch", None, [["tool", ["sleep", "5"], 10, 1]]) for _ in range(WORKERS - 1)]
    begin = time.monotonic()
    host.call("batch", None, [["cookie"]])
    host.call("clock")
    assert time.monotonic() - begin < 0.9
    assert [each.result() for each in slow] == [[[None, b"", b""]]] * (WORKERS - 1)


def test_who_does_not_wait_long_enough_is_told_and_the_connection_stays(host: AgentConnection) -> None:
    with pytest.raises(TimeoutError, match="h1 did not answer batch in time"):
        host.call("batch", None, [["tool", ["sleep", "5"], 10, 1]], timeout=0.1)
    assert host.lost == ""
    assert host.call("clock")
