"""The engines themselves: they run containers that reach each other, and nothing is left when they go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.machine import Machine
from engines.packages import Unavailable, root_of
from engines.podman import PodmanLab

pytestmark = pytest.mark.engine

SMALL = ("busybox-static", "dash", "bash", "coreutils")


def this_machine() -> list[str]:
    """What an engine's network could change on this machine."""
    return [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in (["ip", "-o", "link"], ["ip", "route"])
    ]


def left_of(folder: Path) -> list[str]:
    """What is left of the machine whose folder this was: mounts, control groups, the folder."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder.name in line]
    return [*mounts, *map(str, Path("/sys/fs/cgroup").rglob(folder.name)), *map(str, folder.parent.glob(folder.name))]


@pytest.fixture(params=[("docker", "bookworm"), ("docker", "sid"), ("podman", "trixie")], ids=" ".join)
def engine(request: pytest.FixtureRequest, docker_lab: Callable[[str], DockerLab], podman_lab: Callable[[str], PodmanLab]) -> Engine:
    name, suite = request.param
    return docker_lab(suite) if name == "docker" else podman_lab(suite)


def test_two_containers_reach_each_other_and_the_internet(engine: Engine) -> None:
    engine.container("first", "--cap-add=NET_RAW")  # Podman gives it to nobody who does not ask
    engine.container("second")
    try:
        address = engine.client("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "second")
        assert "1 packets received" in engine.client("exec", "first", "ping", "-c1", "-W2", address)
        assert "Received 1 response" in engine.client("exec", "first", "arping", "-c1", "-w2", "-I", "eth0", address)
        assert "1 packets received" in engine.client("exec", "first", "ping", "-c1", "-W2", "8.8.8.8")
    finally:
        engine.remove("first", "second")


def test_the_host_of_an_engine_sees_its_containers_and_the_files_of_this_machine(engine: Engine) -> None:
    pid = engine.container("seen")
    try:
        seen = engine.run(["readlink", f"/proc/{pid}/ns/net"]).stdout
        assert seen.startswith("net:[")
        assert seen != engine.run(["readlink", "/proc/1/ns/net"]).stdout
        assert engine.run(["pwd"]).stdout.strip() == str(Path.cwd())
        socket = next(iter(engine.environment.values())).removeprefix("unix://")
        assert engine.run(["test", "-S", socket], check=False).returncode == 0
    finally:
        engine.remove("seen")


@pytest.fixture
def small_root() -> Path:
    try:
        Machine(root_of("bookworm", *SMALL)).down()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return root_of("bookworm", *SMALL)


def test_nothing_is_left_of_a_machine(small_root: Path) -> None:
    before = this_machine()
    machine = Machine(small_root)
    machine.start("exec sleep 1000")
    assert "198.51.100.2" in machine.run(["ip", "address", "show", "eth0"]).stdout
    assert machine.run(["ip", "netns"]).stdout.split()[0] == "internet"
    assert "8.8.8.8" in machine.run(["ip", "-n", "internet", "address"]).stdout
    machine.down()
    assert left_of(machine.folder) == []
    assert this_machine() == before


def test_nothing_is_left_when_the_tests_are_killed(small_root: Path) -> None:
    before = this_machine()
    program = "import pathlib, sys, time; from engines.machine import Machine; machine = Machine(pathlib.Path(sys.argv[1]))"
    program += "; print(machine.pid, machine.folder, flush=True); time.sleep(100)"
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", program, str(small_root)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": tests}
    ) as victim:
        assert victim.stdout is not None
        pid, folder = victim.stdout.readline().split()
        victim.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() and not left_of(Path(folder)):
            break
        time.sleep(0.05)
    assert left_of(Path(folder)) == []
    assert this_machine() == before
    assert not Path(f"/proc/{pid}").exists()
