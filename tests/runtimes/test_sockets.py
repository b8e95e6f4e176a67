"""Which sockets are asked: what the environment, docker's contexts and the usual places say."""

from __future__ import annotations

import json
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from netprobe.linux.runtimes.sockets import Sockets, docker_sockets, podman_sockets


def listen(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return str(path)


def context(folder: Path, name: str, host: str, current: bool = True) -> None:
    meta = folder / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name} if current else {"auths": {}}))


def test_docker_host() -> None:
    assert docker_sockets({"DOCKER_HOST": "unix:///tmp/d.sock"}) == Sockets(("/tmp/d.sock",))


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:2376", "ssh://me@there", "/run/docker.sock", "npipe:////./pipe/docker"])
def test_an_engine_somewhere_else(address: str) -> None:
    found = docker_sockets({"DOCKER_HOST": address})
    assert found.paths == ()
    assert found.remark == f"DOCKER_HOST is {address}: only an engine of this machine, at a unix:// socket, can be asked"


def test_contexts(tmp_path: Path) -> None:
    context(tmp_path, "rootless", "unix:///run/user/1000/docker.sock")
    home = {"DOCKER_CONFIG": str(tmp_path)}
    assert docker_sockets(home).paths == ("/run/user/1000/docker.sock",)
    assert docker_sockets({**home, "DOCKER_HOST": "unix:///tmp/d.sock"}).paths == ("/tmp/d.sock",)
    assert "docker context nobody is not known" in docker_sockets({**home, "DOCKER_CONTEXT": "nobody"}).remark
    assert docker_sockets({**home, "DOCKER_CONTEXT": "default"}).remark == ""


def test_a_context_in_the_home_folder(tmp_path: Path) -> None:
    context(tmp_path / ".docker", "far", "tcp://10.0.0.5:2376")
    assert "docker context far is tcp://10.0.0.5:2376" in docker_sockets({"HOME": str(tmp_path)}).remark


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"currentContext": 7}'])
def test_a_configuration_that_makes_no_sense(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert docker_sockets({"DOCKER_CONFIG": str(tmp_path)}).remark == ""


def test_the_usual_places(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/1000"}
    root = str(tmp_path)
    assert docker_sockets(environment, root) == Sockets()
    rootful = listen(tmp_path / "run/docker.sock")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    rootless = listen(tmp_path / "run/user/1000/docker.sock")
    podman = listen(tmp_path / "run/podman/podman.sock")
    assert docker_sockets(environment, root).paths == (rootful, rootless)
    assert podman_sockets(environment, root).paths == (podman,)
    assert podman_sockets({"CONTAINER_HOST": "unix:///tmp/p.sock"}).paths == ("/tmp/p.sock",)
    assert "CONTAINER_HOST is ssh://core@vm" in podman_sockets({"CONTAINER_HOST": "ssh://core@vm"}).remark


def test_under_sudo_the_callers_own_engine_counts(tmp_path: Path) -> None:
    rootless = listen(tmp_path / "run/user/1234/podman/podman.sock")
    assert podman_sockets({"SUDO_UID": "1234"}, str(tmp_path)).paths == (rootless,)
