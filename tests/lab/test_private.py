"""A private world touches nothing outside and leaves nothing behind.

The outside is itself a lab here, so that other work on the machine cannot disturb the comparison.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from identities import Identity

from netprobe.errors import CannotLook, NotPermitted
from netprobe.lab import namespaces, private, syscalls
from netprobe.lab.build import build
from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import TUTORIAL

pytestmark = pytest.mark.lab

_STATE = """
ls -l /run/netns; ip netns list
for name in host $(ls /run/netns); do
    enter=; [ $name = host ] || enter="ip netns exec $name"
    for what in "-d link" "addr" "route show table all" "-6 route show table all" "rule" "-6 rule" "neigh show nud permanent"; do
        $enter ip -o $what | sed 's/ \\(qdisc\\|state\\|lladdr\\) [^ ]*//g; s/[0-9]*sec//g; s/gc_timer *[0-9.]*//'
    done
    $enter nft list ruleset; $enter bridge fdb show; $enter cat /proc/sys/net/ipv4/ip_forward
done
ls -A /run /run/lab
"""


def build_and_break() -> int:
    """What a demo does: a whole lab inside, changed in many places."""

    def work() -> int:
        build(TUTORIAL)
        namespaces.create("blue")
        subprocess.run(["ip", "link", "del", "br0"], check=True)
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        namespaces.write_sysctl("host", "net.ipv4.ip_forward", "0")
        return 17

    return private.run(work)


def test_a_lab_leaves_its_surroundings_as_they_were(lab: Lab) -> None:
    before = lab.run(["sh", "-c", _STATE], check=True).stdout
    assert lab.call(build_and_break) == 17
    assert lab.run(["sh", "-c", _STATE], check=True).stdout == before


def test_the_world_has_processes_and_run_of_its_own(lab: Lab) -> None:
    assert lab.run(["sh", "-c", "echo /proc/[0-9]*"]).stdout.startswith("/proc/1 ")
    assert sorted(lab.run(["ls", "/run/netns"]).stdout.split()) == ["c1", "c2", "internet", "red"]
    here = lab.run(["stat", "-Lc", "%i", "/proc/1/ns/net", "/proc/self/ns/net", private.HOST_FILE], check=True).stdout.split()
    assert len(set(here)) == 1, "process 1, a program, and the name `host` are in one namespace"
    assert here[0] != str(Path("/proc/self/ns/net").stat().st_ino)


def descendants(pid: int) -> dict[int, str]:
    """All processes below `pid`, as the machine counts, with their start times (a number may be used again)."""
    parents, started = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)], started[int(entry.name)] = int(fields[1]), fields[19]
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: started[child] for child in found if child in started}


def still_there(processes: dict[int, str]) -> set[int]:
    alive = set()
    for pid, started in processes.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[19] == started and fields[0] not in "ZX":
            alive.add(pid)
    return alive


def wait_until_gone(processes: dict[int, str]) -> None:
    end = time.monotonic() + 10
    while left := still_there(processes):
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.02)


@pytest.mark.parametrize("end", ["kill -9", "close"])
def test_nothing_outlives_the_lab(fresh_lab: Lab, end: str) -> None:
    """Not the services, and not a program that ran away into a session of its own; and namespaces live by processes here."""
    fresh_lab.start(["sh", "-c", "setsid sleep 1000 & exec sleep 1000"])
    fresh_lab.run(["sh", "-c", "setsid sh -c 'ip netns exec red sleep 1000' >/dev/null 2>&1 &"])
    running = descendants(fresh_lab.pid)
    assert len(running) >= 7, "keeper, door, init, work, services and the programs"
    if end == "close":
        fresh_lab.close()
    else:
        os.kill(fresh_lab.pid, signal.SIGKILL)
    wait_until_gone(running)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_death_of_any_link_of_the_chain_ends_all(fresh_lab: Lab, depth: int) -> None:
    running = descendants(fresh_lab.pid)
    chain = [fresh_lab.pid]
    for _ in range(depth):
        chain.append(min(child for child in descendants(chain[-1]) if child != chain[-1]))
    os.kill(chain[-1], signal.SIGKILL)
    wait_until_gone({pid: started for pid, started in running.items() if pid != fresh_lab.pid})


_SLOW = """
import sys, time
from netprobe.lab import private
def work():
    print("inside", flush=True)
    time.sleep(1000)
    return 0
try:
    private.run(work)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_whatever_ends_the_caller_ends_the_world(user: Identity, number: int, code: int) -> None:
    with user.start([sys.executable, "-c", _SLOW]) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "inside\n"
        running = descendants(caller.pid)
        assert len(running) >= 4
        os.kill(caller.pid, number)
        assert caller.wait(10) == code
    wait_until_gone(running)


def leave_with(code: int) -> int:
    return private.run(lambda: code)


def raise_inside(error: Exception) -> int:
    def work() -> int:
        raise error

    return private.run(work)


def die_inside(number: int) -> int:
    def work() -> int:
        os.kill(os.getpid(), number)
        return 0

    return private.run(work)


def test_the_result_comes_out(lab: Lab) -> None:
    assert lab.call(leave_with, 0) == 0
    assert lab.call(leave_with, 41) == 41
    assert lab.call(die_inside, signal.SIGTERM) == 128 + signal.SIGTERM


def test_errors_come_out_as_they_are(lab: Lab) -> None:
    with pytest.raises(CannotLook, match="no table") as raised:
        lab.call(raise_inside, CannotLook("no table", "  a hint"))
    assert raised.value.hint == "  a hint"
    with pytest.raises(ZeroDivisionError):
        lab.call(raise_inside, ZeroDivisionError("by nothing"))


def test_sys_exit_is_an_exit_code(lab: Lab) -> None:
    assert lab.call(exit_inside, 5) == 5


def exit_inside(code: int) -> int:
    def work() -> int:
        raise SystemExit(code)

    return private.run(work)


def forbid_namespaces(kind: str) -> None:
    """In a rootless lab this limit is the lab's own, user_namespaces(7)."""
    Path(f"/proc/sys/user/max_{kind}_namespaces").write_text("0")


@pytest.mark.parametrize(("kind", "rootless"), [("user", True), ("net", None), ("pid", None), ("mnt", False)])
def test_a_refusal_says_what_to_do(fresh_lab: Lab, privilege: str, kind: str, rootless: bool | None) -> None:
    if privilege == "root":
        pytest.skip("the limit would be the machine's")
    fresh_lab.call(forbid_namespaces, kind)
    with pytest.raises(NotPermitted) as raised:
        fresh_lab.call(private.run, int, rootless)
    assert raised.value.exit_code == 3
    assert "sudo netprobe demo" in raised.value.hint
    assert "unprivileged_userns" in raised.value.hint


class Stubborn(Exception):
    """It pickles, and does not come back."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def test_an_exception_that_cannot_travel_sends_its_text(lab: Lab) -> None:
    with pytest.raises(RuntimeError, match="Stubborn: onetwo"):
        lab.call(raise_stubborn)


def raise_stubborn() -> None:
    raise Stubborn("one", "two")


def build_with_a_masked_proc() -> int:
    """Container engines cover parts of /proc; the kernel then lets no user namespace mount a new one."""
    syscalls.mount("none", "/proc/sys/fs", "tmpfs")

    def work() -> int:
        build(TUTORIAL)
        return subprocess.run(["ip", "netns", "exec", "red", "ping", "-c1", "-W2", "8.8.8.8"], stdout=subprocess.DEVNULL).returncode

    return private.run(work, True)


def test_a_masked_proc_is_no_obstacle(fresh_lab: Lab) -> None:
    assert fresh_lab.call(build_with_a_masked_proc) == 0


def test_a_lab_in_a_lab(lab: Lab) -> None:
    """Rootless, too: user namespaces nest."""
    assert lab.call(private.run, int, True) == 0
