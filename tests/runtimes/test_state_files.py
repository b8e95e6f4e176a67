"""Containers from what their runtimes leave in files: Docker, Podman, containerd, LXC, systemd-nspawn and Kubernetes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runtimes.proc_tree import ProcTree

from netprobe.linux.files import Tree
from netprobe.linux.runtimes.census import Census
from netprobe.linux.runtimes.container import Container
from netprobe.linux.runtimes.containerd import Containerd
from netprobe.linux.runtimes.docker_files import DockerFiles
from netprobe.linux.runtimes.lxc import Lxc
from netprobe.linux.runtimes.nspawn import Nspawn
from netprobe.linux.runtimes.podman_files import PodmanFiles, Store
from netprobe.linux.runtimes.pods import Pods
from netprobe.linux.runtimes.tasks import Tasks

A, B, C = "a" * 64, "b" * 64, "c" * 64


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


# Docker


def docker_file(root: Path, identity: str, name: str, network: str = "default", **state: Any) -> None:
    state = {"Running": True, "Pid": 4711, "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z", **state}
    settings = {"Networks": {"bridge": {}} if network == "default" else {}}
    write(
        root / "containers" / identity / "config.v2.json", {"ID": identity, "Name": f"/{name}", "State": state, "NetworkSettings": settings}
    )
    write(root / "containers" / identity / "hostconfig.json", {"NetworkMode": network})


@pytest.fixture
def docker(tmp_path: Path) -> DockerFiles:
    docker_file(tmp_path, A, "c1")
    docker_file(tmp_path, B, "aside", f"container:{A}", Paused=True)
    docker_file(tmp_path, C, "gone", Running=False, Pid=0, ExitCode=137, FinishedAt="2026-01-01T00:01:00Z")
    write(tmp_path / "containers" / ("d" * 64) / "config.v2.json", "half a fil")
    write(tmp_path / "containers" / ("e" * 64) / "config.v2.json", [])
    (tmp_path / "containers" / ("f" * 64)).mkdir()
    return DockerFiles([str(tmp_path / "nowhere"), str(tmp_path)])


def test_dockers_files(docker: DockerFiles) -> None:
    assert docker.named("c1") == [Container("docker", A, "c1", 4711, "running", "default", ("bridge",))]
    assert docker.named(A[:12]) == docker.named(A) == docker.named("c1")
    aside = docker.identified(B)
    assert aside is not None
    assert (aside.state, aside.network) == ("paused", "container:c1")
    gone = docker.named("gone")[0]
    assert (gone.state, gone.pid, gone.exit_code) == ("exited", 0, 137)
    assert [each.name for each in docker.all()] == ["c1", "aside", "gone"]


@pytest.mark.parametrize("name", ["c", "C1", A[:11], "", "/c1", '"', "ö", "\udce9", "a/b", ".."])
def test_what_docker_has_not(docker: DockerFiles, name: str) -> None:
    assert docker.named(name) == []


def test_the_mounts_of_a_container_tell_of_that_container_alone(tmp_path: Path) -> None:
    """They are the container's word, if it may mount: it must not bring along files that describe another one."""
    docker_file(tmp_path, A, "c1")
    docker_file(tmp_path, B, "victim")
    docker_file(tmp_path, C, "c3")
    (tmp_path / "containers" / C / "config.v2.json").write_text((tmp_path / "containers" / B / "config.v2.json").read_text())
    files = DockerFiles([])
    files.apart = {identity: (Tree(), str(tmp_path)) for identity in (A, C)}
    assert [each.name for each in files.all()] == ["c1"]
    assert (files.named("victim"), files.identified(B), files.identified(C)) == ([], None, None)


# Podman


def podman_store(root: Path, *containers: tuple[str, str, int]) -> Store:
    entries = [{"id": identity, "names": [name], "flags": {}} for identity, name, _ in containers]
    write(root / "storage/overlay-containers/containers.json", entries)
    for identity, _, pid in containers:
        write(root / f"run/overlay-containers/{identity}/userdata/pidfile", f"{pid}\n")
    return Store(str(root / "storage"), str(root / "run"))


def podman_database(store: Store, **rows: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with closing(sqlite3.connect(f"{store.storage}/db.sql")) as database, database:
        database.execute("CREATE TABLE ContainerConfig (ID TEXT, Name TEXT, JSON TEXT)")
        database.execute("CREATE TABLE ContainerState (ID TEXT, State INTEGER, JSON TEXT)")
        for name, (settings, state) in rows.items():
            identity = settings["id"]
            database.execute("INSERT INTO ContainerConfig VALUES (?, ?, ?)", (identity, name, json.dumps({"name": name, **settings})))
            database.execute("INSERT INTO ContainerState VALUES (?, ?, ?)", (identity, state["state"], json.dumps(state).encode()))


def test_podmans_files(tmp_path: Path) -> None:
    files = PodmanFiles([podman_store(tmp_path, (A, "c1", 4711), (B, "c2", 4712))])
    assert files.named("c1") == [Container("podman", A, "c1", 4711)]
    assert files.named(B[:12]) == [Container("podman", B, "c2", 4712)]
    assert files.identified(C) is None
    assert [each.name for each in files.all()] == ["c1", "c2"]


def test_podmans_database(tmp_path: Path) -> None:
    store = podman_store(
        tmp_path, (A, "c1", 4711), (B, "aside", 4712), (C, "gone", 4713), ("d" * 64, "lonely", 4714), ("e" * 64, "hosty", 4715)
    )
    own = {"createNetNS": True, "networkMode": "bridge"}
    podman_database(
        store,
        c1=({"id": A, **own, "newNetworks": {"podman": {}}}, {"state": 5, "pid": 99}),
        aside=({"id": B, "netNsCtr": A}, {"state": 3, "pid": 4712}),
        gone=({"id": C, **own}, {"state": 6, "exitCode": 7, "finishedTime": "2026-01-01T00:01:00Z"}),
        lonely=({"id": "d" * 64, "spec": {"linux": {"namespaces": [{"type": "network"}]}}}, {"state": 3}),
        hosty=({"id": "e" * 64, "spec": {"linux": {"namespaces": [{"type": "pid"}]}}}, {"state": 3}),
    )
    found = {each.name: each for each in PodmanFiles([store]).all()}
    assert (found["c1"].pid, found["c1"].state, found["c1"].networks) == (99, "paused", ("podman",))
    assert found["aside"].network == "container:c1"
    assert (found["gone"].state, found["gone"].exit_code, found["gone"].networks) == ("exited", 7, ())
    assert (found["lonely"].network, found["hosty"].network) == ("none", "host")


@pytest.mark.parametrize("content", ["", "no database", "SQLite format 3\0"])
def test_a_database_of_another_make(tmp_path: Path, content: str) -> None:
    store = podman_store(tmp_path, (A, "c1", 4711))
    write(Path(store.storage, "db.sql"), content)
    assert PodmanFiles([store]).named("c1") == [Container("podman", A, "c1", 4711)]


@pytest.mark.parametrize("content", ["", "{}", "[7]", '[{"id": 7}]', '{"id": "x"}'])
def test_a_list_of_another_make(tmp_path: Path, content: str) -> None:
    write(tmp_path / "storage/overlay-containers/containers.json", content)
    assert list(PodmanFiles([Store(str(tmp_path / "storage"), str(tmp_path / "run"))]).all()) == []


# containerd, Kubernetes


def task(state: Path, namespace: str, identity: str, pid: int, **annotations: str) -> None:
    folder = state / "io.containerd.runtime.v2.task" / namespace / identity
    write(folder / "init.pid", str(pid))
    write(folder / "config.json", {"ociVersion": "1.0.2", "annotations": annotations, "linux": {}})


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    state = tmp_path / "run/containerd"
    task(state, "default", "web", 11)
    task(state, "default", A, 12, **{"nerdctl/name": "db"})
    task(state, "moby", B, 13)
    task(state, "k8s.io", C, 14, **sandbox("containerd", "default", "shop"))
    task(state, "k8s.io", "d" * 64, 15, **{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-name": "shop"})
    write(state / "io.containerd.runtime.v2.task/default/going/config.json", {})
    return Tasks(Census(str(ProcTree(tmp_path / "empty").root)), str(tmp_path))


def sandbox(runtime: str, namespace: str, name: str) -> dict[str, str]:
    if runtime == "containerd":
        return {
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.sandbox-namespace": namespace,
            "io.kubernetes.cri.sandbox-name": name,
        }
    return {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.name": name}


def test_containerds_tasks(tasks: Tasks) -> None:
    containerd = Containerd(tasks)
    assert containerd.named("web") == [Container("containerd", "web", "web", 11)]
    assert containerd.named("db") == containerd.named(A[:12]) == [Container("containerd", A, "db", 12)]
    assert [each.pid for each in containerd.named(B[:12])] == [13], "Docker's containers are containerd's as well"
    assert containerd.named("going") == [], "a task without a process is none"
    assert B not in [each.id for each in containerd.all()]


def test_pods(tasks: Tasks, tmp_path: Path) -> None:
    proc = ProcTree(tmp_path / "other")
    bundle = tmp_path / "bundle"
    write(bundle / "config.json", {"annotations": sandbox("crio", "kube-system", "dns")})
    proc.add(20, cmdline=["conmon", "-c", "e" * 64, "-b", str(bundle)])
    proc.add(21, cgroup=f"/kubepods.slice/crio-{'e' * 64}.scope", inner=1)
    (proc.root / "20" / "root").symlink_to("/")
    pods = Pods(tasks, Census(str(proc.root)), str(proc.root))
    assert [(each.text, each.id, each.pid) for each in pods.all()] == [("pod:default/shop", C, 14), ("pod:kube-system/dns", "e" * 64, 21)]
    assert [each.pid for each in pods.named("default/shop")] == [14]
    assert pods.named("shop") == []


# LXC, systemd-nspawn


def test_lxc(tmp_path: Path) -> None:
    proc = ProcTree(tmp_path / "proc_")
    proc.add(30, cgroup="/lxc.payload.web", inner=1)
    proc.add(31, cgroup="/lxc.payload.web/system.slice/nginx.service")
    (tmp_path / "var/lib/lxc/db").mkdir(parents=True)
    lxc = Lxc(Census(str(proc.root)), str(tmp_path))
    assert lxc.sought("web") == [Container("lxc", "web", "web", 30)]
    assert lxc.named("web") == []
    assert lxc.named("db") == [Container("lxc", "db", "db", 0, "stopped")]
    assert lxc.named("nobody") == []
    assert [each.name for each in lxc.all()] == ["web"]


def test_nspawn(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/machines"
    write(folder / "web", "# This is private data.\nNAME=web\nCLASS=container\nLEADER=77\nNETIF=5\n")
    write(folder / "vm", "NAME=vm\nCLASS=vm\nLEADER=78\n")
    write(folder / "odd", "CLASS=container\nLEADER=soon\n")
    (folder / "unit:systemd-nspawn@web.service").symlink_to("web")
    nspawn = Nspawn(str(tmp_path))
    assert nspawn.named("web") == [Container("nspawn", "web", "web", 77)]
    assert [nspawn.named(name) for name in ("vm", "odd", "nobody", "../machines/web", "")] == [[]] * 5
    assert [each.name for each in nspawn.all()] == ["web"]
