"""The networks of engines, from canned answers and files: which interface of the host stands for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runtimes.canned_engine import ID, canned

from netprobe.linux.files import Tree
from netprobe.linux.runtimes.client import Client
from netprobe.linux.runtimes.networks import PODMAN_DEFAULT, podman_networks
from netprobe.linux.runtimes.sockets import Sockets
from netprobe.model.engines import EngineNetwork

DOCKER = [
    {"Name": "bridge", "Id": ID, "Driver": "bridge", "Options": {"com.docker.network.bridge.name": "docker0"}},
    {"Name": "front", "Id": ID, "Driver": "bridge", "Options": {}},
    {"Name": "lan", "Id": ID, "Driver": "macvlan", "Options": {"parent": "eth0.5"}},
    {"Name": "alone", "Id": ID, "Driver": "ipvlan", "Options": None},
    {"Name": "host", "Id": ID, "Driver": "host"},
    {"Name": "bad", "Id": "../../x", "Driver": "bridge", "Options": {}},
]
PODMAN = [{"name": "back", "network_interface": "podman1", "driver": "bridge"}, {"name": "lan", "driver": "macvlan"}]


def networks(path: str, kind: str = "docker") -> list[EngineNetwork]:
    return list(Client(kind, Sockets((path,)), []).networks())


def test_docker(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/networks": DOCKER}) as engine:
        assert networks(engine.path) == [
            EngineNetwork("docker", "bridge", "docker0"), EngineNetwork("docker", "front", f"br-{ID[:12]}"),
            EngineNetwork("docker", "lan", "eth0.5"),
        ]  # fmt: skip


def test_podman_that_listens_at_either_address(tmp_path: Path) -> None:
    answers = {"/networks": [], "/v4.0.0/libpod/networks/json": PODMAN}
    with canned(tmp_path / "s", answers, server="Libpod/5.4.0 (linux)") as engine:
        assert networks(engine.path) == networks(engine.path, "podman") == [EngineNetwork("podman", "back", "podman1")]


@pytest.mark.parametrize("answer", [{"message": "no"}, [{"Name": 7}], ["x"], "x"])
def test_an_answer_that_makes_no_sense(tmp_path: Path, answer: object) -> None:
    with canned(tmp_path / "s", {"/networks": answer}) as engine:
        assert networks(engine.path) == []


def test_nobody_listens(tmp_path: Path) -> None:
    assert networks(str(tmp_path / "none")) == []


def test_podmans_files(tmp_path: Path) -> None:
    assert list(podman_networks(Tree(str(tmp_path)))) == []
    (tmp_path / "var/lib/containers/storage").mkdir(parents=True)
    assert list(podman_networks(Tree(str(tmp_path)))) == [PODMAN_DEFAULT]
    folder = tmp_path / "etc/containers/networks"
    folder.mkdir(parents=True)
    (folder / "back.json").write_text(json.dumps(PODMAN[0]))
    (folder / "lan.json").write_text(json.dumps(PODMAN[1]))
    (folder / "bad.json").write_text("{")
    (folder / "link.json").symlink_to("/nonexistent")
    assert list(podman_networks(Tree(str(tmp_path)))) == [PODMAN_DEFAULT, EngineNetwork("podman", "back", "podman1")]
