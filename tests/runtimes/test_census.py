"""Who lives in which container, counted in a /proc of our own; and a real process that is held against the reuse of its number."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from runtimes.proc_tree import ProcTree

from netprobe.errors import CannotLook
from netprobe.linux import netns
from netprobe.linux.runtimes.census import Census, Keeper, keeper_of
from netprobe.linux.runtimes.process import Process, open_network

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def proc(tmp_path: Path) -> ProcTree:
    return ProcTree(tmp_path)


def test_a_container_is_its_first_process(proc: ProcTree) -> None:
    proc.add(500, cgroup=f"/docker/{A}", network="c1", inner=7, started=900)
    proc.add(400, cgroup=f"/docker/{A}", network="c1", inner=1, started=800)
    proc.add(90, cgroup=f"/docker/{A}", network="red", inner=9, started=950)  # numbers begin again at 300
    census = Census(str(proc.root))
    assert [resident.pid for resident in census.residents(A)] == [400, 500, 90]
    assert census.first(A) == 400
    assert census.first(B) == 0


def test_with_the_hosts_pid_namespace_the_oldest_is_the_first(proc: ProcTree) -> None:
    proc.add(500, cgroup=f"/docker/{A}", started=900)
    proc.add(400, cgroup=f"/docker/{A}", started=950)
    assert Census(str(proc.root)).first(A) == 500


def test_who_lives_in_a_namespace(proc: ProcTree) -> None:
    proc.add(400, cgroup=f"/docker/{A}", network="c1", inner=1)
    proc.add(401, cgroup=f"/docker/{B}", network="c1", inner=1)
    proc.add(402, cgroup=f"/docker/{C}", network="c3", inner=1)
    proc.add(403, cgroup="/user.slice", network="c1")  # somebody looks around with nsenter
    assert {(each.pid, each.identity) for each in Census(str(proc.root)).living_in(proc.network("c1"))} == {(400, A), (401, B)}


def test_keepers(proc: ProcTree) -> None:
    proc.add(10, cgroup="/libpod_parent/conmon", cmdline=["/usr/bin/conmon", "--api-version", "1", "-c", A, "-n", "web", "-p", "/run/p"])
    proc.add(
        11, cmdline=["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", B, "-address", "/run/containerd/containerd.sock"]
    )
    proc.add(12, cmdline=["vim", "-c", C])
    census = Census(str(proc.root))
    assert set(census.keepers()) == {A, B}
    web = census.keeper(A)
    assert web is not None
    assert (web.pid, web.program, web.options["n"]) == (10, "conmon", "web")


@pytest.mark.parametrize(
    "cmdline", ["", "\0", "conmon\0-c", "conmon\0-n\0web\0", "containerd-shim\0-namespace\0moby\0", "grep\0conmon\0-c\0x\0", "-c\0conmon\0"]
)
def test_what_is_no_keeper(cmdline: str) -> None:
    assert keeper_of(7, cmdline.split("\0")) is None


def test_a_keepers_options() -> None:
    assert keeper_of(7, ["conmon", "-c", "x", "-s", "-n", "a b", ""]) == ("x", Keeper(7, "conmon", {"c": "x", "s": "-n", "n": "a b"}))


def test_a_census_is_not_taken_twice_in_a_moment(proc: ProcTree) -> None:
    proc.add(400, cgroup=f"/docker/{A}")
    census = Census(str(proc.root))
    assert census.first(A) == 400
    proc.add(401, cgroup=f"/docker/{B}")
    assert census.first(B) == 0


@pytest.mark.parametrize("comm", ["sleep", "a) S 99 (b", ") ) )", "x\ny", ""])
def test_a_command_may_be_called_anything(proc: ProcTree, comm: str) -> None:
    proc.add(40, parent=7, started=1234, comm=comm)
    with Process(40, str(proc.root)) as process:
        assert (process.parent, process.started) == (7, 1234)


@pytest.mark.parametrize(
    ("identity", "process", "named"),
    [
        (A, {"cgroup": f"/docker/{A}"}, True),
        (A, {"cgroup": f"/docker/{B}"}, False),
        (A, {"mountinfo": f"350 342 0:43 /var/lib/docker/containers/{A}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"}, True),
        (A, {"mountinfo": f"350 342 0:43 /var/lib/docker/containers/{A}0/hostname /etc/hostname rw - ext4 /dev/sda rw\n"}, False),
        (A, {"parent": 3}, True),
        (B, {"parent": 3}, False),
        ("c1", {"cgroup": "/default/c1"}, True),
        ("c1", {"cgroup": "/default/c11"}, False),
        ("c1", {"cgroup": "/lxc.payload.c1"}, True),
        ("web-1", {"cgroup": r"/machine.slice/machine-web\x2d1.scope"}, True),
    ],
)
def test_what_the_kernel_shows_of_a_container(proc: ProcTree, identity: str, process: dict[str, str | int], named: bool) -> None:
    proc.add(3, cmdline=["containerd-shim-runc-v2", "-namespace", "moby", "-id", A])
    proc.add(40, **process)  # type: ignore[arg-type]
    with Process(40, str(proc.root)) as held:
        assert held.names(identity, str(proc.root)) is named


def test_a_process_that_has_ended_stays_that_one() -> None:
    child = subprocess.Popen(["sleep", "60"])
    with Process(child.pid) as held:
        assert held.identity() == netns.own_identity()
        child.kill()
        child.wait()
        assert (held.read("cgroup"), held.identity(), held.started) == ("", None, 0)
        with pytest.raises(CannotLook):
            held.network("c1")


def test_a_process_of_another_container_is_refused() -> None:
    with pytest.raises(CannotLook, match=f"process {os.getpid()} is not the one of docker:c1"):
        open_network(os.getpid(), A, "docker:c1")
    with pytest.raises(CannotLook, match="there is no process 4194304"):
        open_network(4194304, A, "docker:c1")
