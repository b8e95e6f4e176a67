"""From a name to an open namespace without an engine: a canned one names a real process, and the kernel has the last word."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runtimes.canned_engine import ID, OTHER, canned, described

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.linux import netns
from netprobe.linux.names.containers import Containers

# a process whose parent looks like the shim of container ID
SHIM = ["containerd-shim-runc-v2", "-c", "sleep 60 & echo $!; wait", "-id", ID]


@pytest.fixture
def process() -> Iterator[int]:
    """The first process of container ID, as far as the kernel can tell."""
    with subprocess.Popen(SHIM, executable="/bin/bash", stdout=subprocess.PIPE, text=True) as shim:
        assert shim.stdout is not None
        pid = int(shim.stdout.readline())
        yield pid
        subprocess.run(["kill", str(pid)], check=False)


def answering(folder: Path, **entry: Any) -> tuple[dict[str, Any], str]:
    """The answers of an engine that has one container, and the environment that names it."""
    answer = described(**entry)
    return {f"/containers/{answer['Name'].lstrip('/')}/json": answer}, f"unix://{folder}/docker.sock"


def test_a_container_is_opened_by_its_process(tmp_path: Path, process: int) -> None:
    answers, address = answering(tmp_path, pid=process)
    with canned(tmp_path / "docker.sock", answers):
        found = Containers(str(tmp_path), {"DOCKER_HOST": address}).find("docker", "c1")
    assert [each.text for each in found] == ["docker:c1"]
    fd = found[0].open()
    try:
        assert netns.identity(fd) == netns.own_identity() == found[0].identity()
    finally:
        os.close(fd)


def test_the_engines_word_about_a_process_is_not_taken(tmp_path: Path) -> None:
    answers, address = answering(tmp_path, pid=os.getpid())
    with canned(tmp_path / "docker.sock", answers):
        found = Containers(str(tmp_path), {"DOCKER_HOST": address}).find("docker", "c1")[0]
    assert found.identity() is None
    with pytest.raises(CannotLook, match="is not the one of docker:c1") as caught:
        found.open()
    assert "--pid=host" in caught.value.hint


def test_a_container_that_does_not_run(tmp_path: Path) -> None:
    answers, address = answering(tmp_path, pid=0, Status="exited", ExitCode=3)
    with canned(tmp_path / "docker.sock", answers):
        found = Containers(str(tmp_path), {"DOCKER_HOST": address}).find("docker", "c1")[0]
    assert (found.alive, found.identity()) == (False, None)
    with pytest.raises(WrongQuestion, match=r"^c1 is stopped \(exited with 3\)$"):
        found.open()


def test_an_engine_of_another_machine_is_heard_of_once(tmp_path: Path) -> None:
    containers = Containers(str(tmp_path), {"DOCKER_HOST": "ssh://me@there"})
    assert containers.heard() == ()
    assert not containers.find("docker", "c1")
    assert containers.heard() == ("DOCKER_HOST is ssh://me@there: only an engine of this machine, at a unix:// socket, can be asked",)
    assert containers.heard() == ()


def test_a_namespaces_name_asks_no_engine(tmp_path: Path) -> None:
    answers, _ = answering(tmp_path)
    (tmp_path / "run").mkdir()
    with canned(tmp_path / "run" / "docker.sock", answers) as engine:
        containers = Containers(str(tmp_path), {})
        assert [source.remembered("c1") for source in containers.sources] == [()] * 6
        assert engine.asked == []
        assert containers.find("docker", "c1") != ()
        assert engine.asked != []


def test_a_namespaces_name_asks_the_engine_that_was_named(tmp_path: Path) -> None:
    answers, address = answering(tmp_path)
    with canned(tmp_path / "docker.sock", answers):
        found = Containers(str(tmp_path), {"DOCKER_HOST": address}).remembered("docker", "c1")
    assert [each.text for each in found] == ["docker:c1"]


def test_containers_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    short = OTHER[:12]
    answers = {
        f"/containers/{short}/json": described(short),
        f"/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{short}%22%5D%7D": [{"Id": OTHER}],
        f"/containers/{OTHER}/json": described("c2", OTHER),
        f"/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{OTHER}%22%5D%7D": [{"Id": OTHER}],
    }
    with canned(tmp_path / "docker.sock", answers):
        found = Containers(str(tmp_path), {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}).find("docker", short)
    assert [each.precise for each in found] == [f"docker:{ID[:12]}", f"docker:{short}"]


LOADED = """
import os, sys
from netprobe.linux.machine import Machine
with Machine() as machine:
    machine.resolve(f"pid:{os.getpid()}")
    machine.resolve("host")
print([name for name in sys.modules if name.startswith("netprobe.linux.runtimes")])
"""


def test_questions_about_namespaces_load_no_runtime() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
