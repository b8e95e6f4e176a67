"""The table of failures once more, over a real ssh and sshd: what mitogen, ssh and sshd add is bounded, too, and leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import sshd
from fleet.agents import SLOW, cut, is_there, within

from netprobe.fleet.agent import LEASE_S
from netprobe.fleet.connection import SILENCE_S, ConnectionLost
from netprobe.fleet.over_ssh import open_ssh

pytest.importorskip("mitogen")
if os.geteuid() != 0 or not sshd.SSHD or not shutil.which("ssh"):
    pytest.skip("root, ssh and sshd are needed to be both ends", allow_module_level=True)

GRACE_S = 2.0


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> sshd.Hosts:
    return sshd.made(tmp_path_factory.mktemp("ssh"))


def below(pid: int) -> dict[int, str]:
    """The processes below one, and what they are called."""
    rows = [
        row.split(None, 2)
        for row in subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for child, above, args in rows:
            if int(above) == parent and not args.startswith("ps -ww"):
                found[int(child)] = args
                waiting.append(int(child))
    return found


def wire_of(processes: dict[int, str]) -> int:
    [wire] = [pid for pid, args in processes.items() if "relay.py" in args]
    return wire


def freeze(_wire: int, agent: int) -> None:
    os.kill(agent, signal.SIGSTOP)


def kill(_wire: int, agent: int) -> None:
    os.kill(agent, signal.SIGKILL)


def cut_off(wire: int, _agent: int) -> None:
    cut(wire)


@pytest.mark.thorough
@pytest.mark.parametrize(("harm", "limit_s"), [(cut_off, SILENCE_S), (freeze, SILENCE_S), (kill, 0.5)])
def test_a_host_is_lost_in_time_and_another_is_not(hosts: sshd.Hosts, harm: Callable[[int, int], None], limit_s: float) -> None:
    before = below(os.getpid())
    with open_ssh("h2", hosts.to("h2"), 30) as other:
        mine = below(os.getpid())
        with open_ssh("h1", hosts.to(), 30) as host:
            processes = {pid: args for pid, args in below(os.getpid()).items() if pid not in mine}
            agent = int(host.call("hello")["pid"])
            host.call("arm", "run", [[None, b"\6\0\0\0\0\0\0\0", 10, 1000]])
            waiting = host.begin("take", "run", 4_000_000_000)
            begin = time.monotonic()
            wire = wire_of(processes)
            harm(wire, agent)
            with pytest.raises(ConnectionLost, match="the connection to h1 is lost"):
                waiting.result()
            assert time.monotonic() - begin < limit_s + GRACE_S
            assert other.call("clock")
        if harm is freeze:
            os.kill(agent, signal.SIGCONT)
        if harm is cut_off:
            os.kill(wire, signal.SIGKILL)
        assert within(GRACE_S, lambda: not any(map(is_there, processes)))
        assert other.call("clock")
    assert within(GRACE_S, lambda: set(below(os.getpid())) <= set(before))


@pytest.mark.thorough
def test_over_64_kbit_one_connects_and_asks(hosts: sshd.Hosts) -> None:
    with open_ssh("h1", hosts.to(rate=SLOW), 30) as host:
        [[code, out, _]] = host.call("batch", None, [["tool", ["head", "-c", "40000", "/dev/urandom"], 50_000, 5]], timeout=30)
        assert (code, len(out)) == (0, 40_000)
        assert host.lost == ""


@pytest.mark.thorough
def test_after_a_loss_one_connects_anew(hosts: sshd.Hosts) -> None:
    pids = []
    for _ in range(3):
        with open_ssh("h1", hosts.to(), 30) as host:
            pids.append(int(host.call("hello")["pid"]))
            os.kill(pids[-1], signal.SIGKILL)
            assert within(GRACE_S, lambda host=host: bool(host.lost))  # type: ignore[misc]
    assert len(set(pids)) == 3


CONTROLLER = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from fleet import sshd
from netprobe.fleet.over_ssh import open_ssh
one = open_ssh("h1", sshd.Hosts(Path(sys.argv[1])).to(), 30)
one.call("arm", "run", [[None, bytes(8), 10, 1000], [None, b"\\6" + bytes(7), 10, 1000]])
slow = one.begin("batch", None, [["tool", ["sleep", "3600"], 10, 60]])
time.sleep(0.3)
print(one.call("hello")["pid"], flush=True)
time.sleep(3600)
"""


def controller(hosts: sshd.Hosts) -> tuple[subprocess.Popen[str], dict[int, str], int]:
    """A program with an armed host, the processes below it - also the host's -, and the agent's pid."""
    program = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(hosts.folder)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    agent = int(program.stdout.readline())
    processes = below(program.pid)
    assert any("sleep 3600" in args for args in processes.values())
    assert agent in processes
    return program, processes, agent


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_controller_that_is_killed_leaves_nothing(hosts: sshd.Hosts, how: signal.Signals) -> None:
    program, processes, _ = controller(hosts)
    with program:
        program.send_signal(how)
    assert within(2 * GRACE_S, lambda: not any(map(is_there, processes))), {pid: args for pid, args in processes.items() if is_there(pid)}


@pytest.mark.thorough
def test_a_controller_that_is_killed_while_the_host_is_cut_off_leaves_no_agent(hosts: sshd.Hosts) -> None:
    program, processes, agent = controller(hosts)
    tools = [pid for pid, args in processes.items() if "sleep 3600" in args]
    wire = wire_of(processes)
    cut(wire)
    try:
        with program:
            program.kill()
        assert within(LEASE_S + GRACE_S, lambda: not any(map(is_there, (agent, *tools))))
    finally:
        os.kill(wire, signal.SIGKILL)
    assert within(GRACE_S, lambda: not any(map(is_there, processes)))


CONNECTING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from fleet import sshd
from netprobe.fleet.over_ssh import open_all
hosts = sshd.Hosts(Path(sys.argv[1]))
open_all({{"h1": hosts.to("h1"), "h2": hosts.to("h2", rate="1")}}, 30)
"""


def test_ctrl_c_while_one_connects_ends_at_once_and_leaves_nothing(hosts: sshd.Hosts) -> None:
    with subprocess.Popen([sys.executable, "-c", CONNECTING, str(hosts.folder)], stderr=subprocess.PIPE, text=True) as program:
        assert within(20, lambda: any("mitogen:netprobe" in args for args in below(program.pid).values()))
        processes = below(program.pid)
        program.send_signal(signal.SIGINT)
        begin = time.monotonic()
        program.wait(40)
        assert time.monotonic() - begin < SILENCE_S + GRACE_S
        assert program.stderr is not None
        assert program.stderr.read().rstrip().endswith("KeyboardInterrupt")
        for wire in (pid for pid, args in processes.items() if "relay.py 1 " in args and is_there(pid)):
            os.kill(wire, signal.SIGKILL)  # of what is on its way it has minutes to deliver
    assert within(GRACE_S, lambda: not any(map(is_there, processes))), {pid: args for pid, args in processes.items() if is_there(pid)}
