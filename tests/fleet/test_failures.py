"""The table of failures, for one connection each: bounded in time, said as what it is, and nothing left on the host.

A lost management channel is an error of whoever asks, never an empty answer: what a tap has not said is not known.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fleet.agents import FAST, NAMESPACE, NOBODY, PYTHON, RELAY, SLOW, Wired, cut, is_there, wired, within

from netprobe.fleet.agent import LEASE_S
from netprobe.fleet.connection import SILENCE_S, AgentConnection, ConnectionLost
from netprobe.fleet.pipe import open_pipe, sent
from netprobe.wire.bpf import RET, packed

ALL = packed(((RET, 0, 0, 65535),))
GRACE_S = 2.0  # what is promised beyond the limits, on a machine with other work
TAPS = [[None, ALL, 100, 1 << 20]]


@pytest.fixture
def made() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def host(made: ExitStack, name: str = "h1", rate: str = FAST) -> Wired:
    one = wired(name, rate)
    made.callback(one.close)
    return one


def lost(one: Wired, verb: str, *arguments: object) -> str:
    """Why a question has no answer; asked for within the time that is promised."""
    begin = time.monotonic()
    with pytest.raises(ConnectionLost) as caught:
        one.connection.call(verb, *arguments)
    assert time.monotonic() - begin < SILENCE_S + GRACE_S
    assert caught.value.errno == errno.ENOTCONN
    return caught.value.strerror or ""


def send_to_loopback(one: AgentConnection, count: int = 1) -> None:
    one.call("batch", None, [["tool", ["ip", "link", "set", "lo", "up"], 100, 5]])
    one.call("sender", "run", None, [["socket", socket.AF_INET, socket.SOCK_DGRAM, 17]])
    one.call("fire", "run", [[0, b"x", ["127.0.0.1", 9], 0]] * count)


def test_a_bystander_that_is_cut_off_costs_the_others_nothing(made: ExitStack) -> None:
    bystander, target = host(made, "h1"), host(made, "h2")
    bystander.connection.call("arm", "run", TAPS)
    bystander.cut()
    waiting = bystander.connection.begin("take", "run", 100_000_000)
    begin = time.monotonic()
    target.connection.call("arm", "run", TAPS)
    send_to_loopback(target.connection)
    assert within(2, lambda: bool(target.connection.call("take", "run", 50_000_000)["frames"]))
    target.connection.call("finish", "run")
    assert time.monotonic() - begin < GRACE_S
    with pytest.raises(ConnectionLost, match="the connection to h1 is lost: it was silent for 5 s"):
        waiting.result()
    assert time.monotonic() - begin < SILENCE_S + GRACE_S
    assert target.connection.lost == ""


def test_a_target_that_is_cut_off_between_arm_and_fire_is_lost_and_not_silent(made: ExitStack) -> None:
    source, target = host(made, "h1"), host(made, "h2")
    for each in (source, target):
        each.connection.call("arm", "run", TAPS)
    target.cut()
    send_to_loopback(source.connection)
    assert "h2 is lost: it was silent" in lost(target, "take", "run", 100_000_000)
    assert source.connection.call("finish", "run")["frames"]  # what was seen elsewhere stands


@pytest.mark.thorough
def test_an_agent_that_is_frozen_is_lost_and_leaves_when_it_is_thawed(made: ExitStack) -> None:
    one = host(made)
    one.connection.call("arm", "run", TAPS)
    os.kill(one.agent, signal.SIGSTOP)
    try:
        assert "it was silent for 5 s" in lost(one, "clock")
        one.close()
    finally:
        os.kill(one.agent, signal.SIGCONT)
    assert within(GRACE_S, lambda: not is_there(one.agent))


def test_an_agent_that_is_killed_is_lost_at_once(made: ExitStack) -> None:
    one = host(made)
    waiting = one.connection.begin("take", "none", 0)
    with pytest.raises(OSError, match="no such run"):
        waiting.result()
    one.connection.call("arm", "run", TAPS)
    waiting = one.connection.begin("take", "run", 4_000_000_000)
    os.kill(one.agent, signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(ConnectionLost, match="the connection to h1 is lost"):
        waiting.result()
    assert time.monotonic() - begin < GRACE_S
    assert "h1 is lost" in lost(one, "clock")


@pytest.mark.thorough
def test_over_64_kbit_a_large_answer_is_slow_and_not_lost(made: ExitStack) -> None:
    one = host(made, rate=SLOW)
    begin = time.monotonic()
    [[code, out, _]] = one.connection.call("batch", None, [["tool", ["head", "-c", "60000", "/dev/zero"], 70_000, 5]], timeout=30)
    took = time.monotonic() - begin
    assert (code, len(out)) == (0, 60_000)
    assert took > SILENCE_S  # silent for longer than that, if what comes did not count
    assert one.connection.call("clock")


@pytest.mark.thorough
def test_after_a_loss_one_connects_anew_and_the_old_agent_is_gone(made: ExitStack) -> None:
    first = host(made)
    first.cut()
    lost(first, "clock")
    second = host(made)
    assert second.connection.call("hello")["pid"] == second.agent != first.agent
    first.close()
    assert within(GRACE_S, lambda: not is_there(first.agent))
    assert "h1 is lost" in lost(first, "clock")
    assert second.connection.call("clock")


CONTROLLER = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from fleet.agents import wired
one = wired()
one.connection.call("lease", int(sys.argv[1]))
one.connection.call("arm", "run", {TAPS!r})
slow = one.connection.begin("batch", None, [["tool", ["sleep", "3600"], 10, 60]])
time.sleep(0.3)
print(one.wire, one.agent, flush=True)
time.sleep(3600)
"""


def controller(lease_s: int) -> tuple[subprocess.Popen[str], int, int]:
    """A program that has armed a host and waits for a tool there; the pids of its wire and agent."""
    program = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(lease_s)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    wire, agent = map(int, program.stdout.readline().split())
    return program, wire, agent


def tools_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(each) for each in listed.split()]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_controller_that_is_killed_leaves_nothing(how: signal.Signals) -> None:
    program, wire, agent = controller(10)
    tools = tools_of(agent)
    assert tools
    with program:
        program.send_signal(how)
    assert within(GRACE_S, lambda: not any(map(is_there, (wire, agent, *tools))))


def test_a_controller_that_is_killed_while_the_host_is_cut_off_leaves_nothing() -> None:
    program, wire, agent = controller(2)
    tools = tools_of(agent)
    try:
        cut(wire)
        begin = time.monotonic()
        with program:
            program.kill()
        assert within(2 + GRACE_S, lambda: not any(map(is_there, (agent, *tools))))
        assert time.monotonic() - begin > 1.5  # by its lease
    finally:
        os.kill(wire, signal.SIGKILL)


def test_an_agent_has_a_lease_before_it_is_asked_for_one() -> None:
    assert SILENCE_S < LEASE_S <= 10


def test_a_host_without_root_says_what_it_may_not(made: ExitStack) -> None:
    before = NOBODY if os.geteuid() == 0 else ()
    one = made.enter_context(open_pipe("h1", (*before, *sent("/usr/bin/python3")), timeout=30))
    said = one.call("hello")
    assert said["uid"] != 0
    assert said["capabilities"] == 0
    [armed] = one.call("arm", "run", TAPS)
    assert armed["errno"] == errno.EPERM
    [opened] = one.call("sender", "run", None, [["socket", socket.AF_INET, socket.SOCK_RAW, 1]])
    assert opened["errno"] == errno.EPERM
    number = one.call("open", "/proc/self/ns/net")
    with pytest.raises(PermissionError):
        one.call("batch", number, [["cookie"]])
    dump = struct.pack("=IHHIIBBHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0, 0)
    [links] = one.call("batch", None, [["netlink", 0, True, dump, 0]])
    assert b"lo\0" in b"".join(links)  # what anybody may read is read
    one.call("finish", "run")


@pytest.mark.thorough
def test_a_wire_that_takes_nothing_more_is_lost_and_no_hang(made: ExitStack) -> None:
    one = host(made)
    one.cut()
    begin = time.monotonic()
    for _ in range(3):
        with pytest.raises(ConnectionLost):
            one.connection.call("batch", None, [["nothing", b"x" * (1 << 20)]])
    assert time.monotonic() - begin < SILENCE_S + GRACE_S


def test_closing_is_bounded_however_the_host_is(made: ExitStack) -> None:
    one = host(made)
    one.cut()
    begin = time.monotonic()
    one.close()
    one.close()
    assert time.monotonic() - begin < GRACE_S
    assert within(GRACE_S, lambda: not is_there(one.agent))
    assert not is_there(one.wire)


def test_a_program_that_ends_without_closing_leaves_nothing() -> None:
    scene = CONTROLLER.rpartition("\n")[0].rpartition("\n")[0]
    done = subprocess.run([sys.executable, "-c", scene, "10"], capture_output=True, text=True, timeout=60, check=False)
    wire, agent = map(int, done.stdout.split())
    assert done.stderr == ""
    assert within(GRACE_S, lambda: not is_there(wire) and not is_there(agent))


def test_an_agent_whose_controller_does_not_speak_its_language_ends() -> None:
    with subprocess.Popen((*NAMESPACE, PYTHON, "-IS", str(agent_file())), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"\0\0\0\4what")
        process.stdin.flush()
        assert process.wait(5) == 0


def agent_file() -> Path:
    return Path(__file__).parents[2] / "netprobe/fleet/agent.py"


def test_the_relay_is_a_wire(made: ExitStack) -> None:
    done = subprocess.run([sys.executable, str(RELAY), SLOW, "cat"], input=b"x" * 4000, capture_output=True, timeout=20, check=True)
    assert done.stdout == b"x" * 4000
