"""The Dockerfile, built offline by a real engine, and netprobe run in it with the capabilities that the README names, and no others."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.archive import packed
from engines.docker import DockerLab
from engines.packages import Unavailable
from engines.python_image import fill_base_image, fill_build_context

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PROJECT = Path(__file__).parents[2]


def documented_options() -> list[str]:
    """The options of the README's `docker run`."""
    readme = (PROJECT / "README.md").read_text().replace("\\\n", " ")
    found = re.search(r"^ *docker run (.*) netprobe trace ", readme, re.MULTILINE)
    assert found, "the README shows no `docker run ... netprobe trace`"
    return shlex.split(found[1])


@pytest.fixture(scope="module")
def lab(docker_lab: Callable[[str], DockerLab]) -> Iterator[DockerLab]:
    """A Docker with the project's image, and two containers."""
    lab = docker_lab("bookworm")
    try:
        with packed(fill_base_image) as base, packed(lambda archive: fill_build_context(archive, PROJECT)) as context:
            lab.import_image(base, "python:3.11-slim", "ENV=PATH=/usr/sbin:/usr/bin")
            offline = "PIP_ARGS=--no-index --find-links /source/wheels"
            lab.docker("build", "--tag", "netprobe", "--build-arg", offline, "-", stdin=context, timeout=300)
    except Unavailable as reason:
        pytest.skip(f"no stand-in for the base image: {reason}")
    lab.container("c1")
    lab.container("c2")
    yield lab
    lab.remove("c1", "c2")


def test_every_capability_is_documented_once() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert [f"--cap-add={name}" for name in table] == [option for option in documented_options() if option.startswith("--cap-add")]


def in_image(lab: DockerLab, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", *documented_options(), "netprobe", *arguments]
    return lab.machine.inside(command, check=False)


def test_the_entry_point_is_netprobe(lab: DockerLab) -> None:
    assert "Usage: netprobe" in lab.docker("run", "--rm", "netprobe")
    assert lab.docker("run", "--rm", "netprobe", "--version").endswith(
        lab.docker("run", "--rm", "--entrypoint=python3", "netprobe", "-c", VERSION)
    )


VERSION = "import sys; sys.path[:0] = ['/opt/netprobe/lib/python3.11/site-packages']; import netprobe; print(netprobe.__version__)"


def test_a_trace_from_a_container_to_the_internet(lab: DockerLab) -> None:
    result = in_image(lab, "trace", "-o", "json", "c1", "8.8.8.8")
    report = json.loads(result.stdout or "{}")
    assert (result.returncode, report.get("verdict")) == (0, "reachable"), result.stderr + result.stdout
    seen = [hop["interface"] for hop in report["path"]["request"] if hop["observed"]]
    assert {"eth0", "docker0"} <= set(seen)
    assert any(change["to"] == "198.51.100.2" for hop in report["path"]["request"] for change in hop["changes"])


def test_arp_between_two_containers(lab: DockerLab) -> None:
    result = in_image(lab, "arping", "c1", "c2")
    assert result.returncode == 0, result.stderr + result.stdout
    assert lab.docker("exec", "c2", "cat", "/sys/class/net/eth0/address") in result.stdout


def test_entered_as_the_tutorial_does(lab: DockerLab) -> None:
    standing = ["--entrypoint=nsenter", "netprobe", "-t", "1", "-n"]
    command = ["docker", "run", *documented_options(), *standing, "netprobe", "trace", "-o", "json", "host", "8.8.8.8"]
    result = lab.machine.inside(command, check=False)
    assert json.loads(result.stdout or "{}").get("verdict") == "reachable", result.stderr + result.stdout


@pytest.mark.parametrize(("capability", "source"), [("SYS_ADMIN", "c1"), ("SYS_PTRACE", "pid:1"), ("NET_RAW", "c1")])
def test_without_a_capability_it_says_so_and_gives_up(lab: DockerLab, capability: str, source: str) -> None:
    result = trace_with(lab, [option for option in documented_options() if option != f"--cap-add={capability}"], source)
    assert result.returncode == 3, result.stderr + result.stdout
    assert capability in result.stderr


def test_without_net_admin_it_works_and_says_what_it_could_not_read(lab: DockerLab) -> None:
    result = trace_with(lab, [option for option in documented_options() if option != "--cap-add=NET_ADMIN"])
    report = json.loads(result.stdout)
    assert report["received"] == 1, result.stderr + result.stdout
    assert report["blind"]


def trace_with(lab: DockerLab, options: list[str], source: str = "c1") -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", *options, "netprobe", "trace", "-o", "json", source, "8.8.8.8"]
    return lab.machine.inside(command, check=False)


def examined(lab: DockerLab, options: list[str]) -> dict[str, dict[str, Any]]:
    result = lab.machine.inside(["docker", "run", *options, "netprobe", "doctor", "-o", "json"], check=False)
    return {each["subject"]: each for each in json.loads(result.stdout)["findings"]}


def test_the_doctor_finds_nothing_amiss_with_what_the_readme_gives(lab: DockerLab) -> None:
    found = examined(lab, documented_options())
    assert {name: found[name]["state"] for name in ("privilege", "processes", "docker", "tools")} == dict.fromkeys(
        ("privilege", "processes", "docker", "tools"), "ok"
    ), found


@pytest.mark.parametrize(("lacking", "subject"), [("--pid=host", "processes"), ("--cap-add=NET_ADMIN", "privilege")])
def test_what_the_doctor_says_helps(lab: DockerLab, lacking: str, subject: str) -> None:
    found = examined(lab, [option for option in documented_options() if option != lacking])[subject]
    assert found["state"] == "limited"
    docker, run, *options = shlex.split(found["help"][0])
    assert (docker, run) == ("docker", "run")
    assert examined(lab, options[: options.index("netprobe")])[subject]["state"] == "ok"
