"""What a real engine has to do with a loss: its containers without a way out, apart, or stopped; the fix is executed as it is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines.docker import DockerLab
from engines.podman import PodmanLab

pytestmark = [pytest.mark.engine, pytest.mark.thorough]

CONTAINERS = {
    "here": ("--cap-add=NET_RAW",),
    "inner": ("--cap-add=NET_RAW", "--network", "inside"),
    "other": ("--cap-add=NET_RAW", "--network", "beside"),
    "none": ("--cap-add=NET_RAW", "--network", "none"),
    "left": ("--cap-add=NET_RAW",),
}


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def docker(request: pytest.FixtureRequest, docker_lab: Callable[[str], DockerLab]) -> Iterator[DockerLab]:
    lab = docker_lab(request.param)
    lab.client("network", "create", "--internal", "inside")
    lab.client("network", "create", "beside")
    for name, options in CONTAINERS.items():
        lab.container(name, *options)
    lab.client("network", "disconnect", "bridge", "left")
    yield lab
    lab.remove(*CONTAINERS)
    lab.client("network", "rm", "inside", "beside")


@pytest.mark.parametrize(
    ("source", "destination", "code", "words"),
    [
        ("inner", "8.8.8.8", "no-route filtered-by-rule", ["docker network connect bridge inner"]),
        ("here", "other", "filtered-by-rule", ["docker network connect beside here"]),
        ("none", "8.8.8.8", "link-missing", ["docker network disconnect none none", "docker network connect bridge none"]),
        ("left", "8.8.8.8", "link-missing", ["docker network connect bridge left"]),
    ],
)
def test_a_container_is_connected(docker: DockerLab, tmp_path: Path, source: str, destination: str, code: str, words: list[str]) -> None:
    """Docker 20.10 gives a default route even where no packet may leave."""
    address = destination
    if destination == "other":
        address = docker.client("inspect", "--format", "{{.NetworkSettings.Networks.beside.IPAddress}}", destination)
    ping = ["exec", source, "ping", "-c1", "-W2", address]
    assert "1 packets received" not in docker.client(*ping, check=False)
    cause = asked(docker, tmp_path, source, destination)
    assert cause["code"] in code.split()
    assert [line.partition("#")[0].strip() for line in cause["fix"]] == words
    for line in words:
        docker.client(*line.split()[1:])
    assert "1 packets received" in docker.client(*ping)


def test_a_container_is_started(docker: DockerLab, tmp_path: Path) -> None:
    docker.container("served", "--publish", "8080:80", command=["httpd", "-f", "-p", "80"])
    try:
        docker.client("kill", "served")
        cause = asked(docker, tmp_path, "internet", "198.51.100.2:8080", "-p", "tcp")
        assert (cause["code"], cause["fix"]) == ("port-closed", ["docker start served"])
        docker.client("start", "served")
        assert docker.run([*NETPROBE, "ping", "internet", "198.51.100.2:8080", "-p", "tcp"], cwd=tmp_path, check=False).returncode == 0
    finally:
        docker.remove("served")


def test_a_container_that_publishes_is_connected_again(docker: DockerLab, tmp_path: Path) -> None:
    docker.container("served", "--publish", "8080:80", command=["httpd", "-f", "-p", "80"])
    try:
        docker.client("network", "disconnect", "bridge", "served")
        cause = asked(docker, tmp_path, "internet", "198.51.100.2:8080", "-p", "tcp")
        assert (cause["code"], cause["fix"]) == ("port-closed", ["docker network connect bridge served"])
        docker.client("network", "connect", "bridge", "served")
        assert docker.run([*NETPROBE, "ping", "internet", "198.51.100.2:8080", "-p", "tcp"], cwd=tmp_path, check=False).returncode == 0
    finally:
        docker.remove("served")


def test_a_port_that_podman_only_holds(podman_lab: Callable[..., PodmanLab], tmp_path: Path) -> None:
    """The rules of netavark were flushed, as a firewall that is loaded anew does it: the kernel takes connections that nobody serves."""
    podman = podman_lab()
    podman.container("served", "--publish", "8080:80", command=["httpd", "-f", "-p", "80"])
    question = [*NETPROBE, "trace", "internet", "198.51.100.2:8080", "-o", "json", "-w", str(tmp_path / "run.pcapng")]
    fetch = ["ip", "netns", "exec", "internet", "curl", "-sm2", "-o", "/dev/null", "-w", "%{http_code}", "http://198.51.100.2:8080/"]
    try:
        assert "only holds" not in " ".join(json.loads(podman.run(question).stdout)["notes"])
        assert podman.run(fetch, check=False).stdout == "404"  # the server has no page
        podman.run(["nft", "flush", "ruleset"])
        assert podman.run(fetch, check=False).stdout == "000"
        said = " ".join(json.loads(podman.run(question).stdout)["notes"])
        assert "podman only holds tcp/8080 for served" in said
        assert "podman network reload served" in said
        podman.client("network", "reload", "served")
        assert "only holds" not in " ".join(json.loads(podman.run(question).stdout)["notes"])
        assert podman.run(fetch, check=False).stdout == "404"
    finally:
        podman.remove("served")


NETPROBE = (sys.executable, "-m", "netprobe")


def asked(docker: DockerLab, folder: Path, *words: str) -> dict[str, list[str]]:
    """The first cause, with its code and its fix; every run begins without a memory."""
    done = docker.run([*NETPROBE, "trace", *words, "-o", "json", "-w", str(folder / "run.pcapng")], check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return dict(json.loads(done.stdout)["causes"][0])


def test_a_cable_that_somebody_deleted_is_made_anew(docker: DockerLab, tmp_path: Path) -> None:
    """Of who has no address any more the engine tells which one it gave."""
    docker.container("cut", "--cap-add=NET_RAW")
    try:
        address = docker.client("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "cut")
        pid = docker.client("inspect", "--format", "{{.State.Pid}}", "cut")
        docker.run(["nsenter", "-t", pid, "-n", "ip", "link", "del", "eth0"])
        cause = asked(docker, tmp_path, "here", "cut")
        anew = [f"docker network {verb} bridge cut" for verb in ("disconnect", "connect")]
        assert (cause["code"], cause["fix"]) == ("link-missing", anew)
        for line in cause["fix"]:
            docker.client(*line.split()[1:])
        assert "1 packets received" in docker.client("exec", "here", "ping", "-c1", "-W2", address)
    finally:
        docker.remove("cut")
