"""Runtimes without an API of their own here: a real containerd, and processes in the control groups of LXC and systemd-nspawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from engines.docker import DockerLab
from runtimes.engine_world import inode, netprobe, resolve

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CTR = ["ctr", "--address", "/run/docker/containerd/containerd.sock"]
SANDBOX = "f" * 64
SHOP = {
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-namespace": "default",
    "io.kubernetes.cri.sandbox-name": "shop",
}
FOLDERS = "mkdir -p /run/web/bin /run/web/proc && cp /usr/bin/busybox /run/web/bin/ && ln -sf busybox /run/web/bin/sleep"


def bundle(cgroup: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """An OCI runtime configuration: a process in namespaces of its own."""
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000"], "env": ["PATH=/bin"], "cwd": "/"},
        "root": {"path": "/run/web"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "annotations": annotations or {},
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")], "cgroupsPath": cgroup},
    }


@pytest.fixture(scope="module")
def host(docker_lab: Callable[..., DockerLab]) -> Iterator[DockerLab]:
    """A machine with containerd (Docker's) and two tasks of others than Docker."""
    lab = docker_lab("bookworm", "--live-restore")
    lab.machine.inside(["sh", "-c", FOLDERS])
    tasks = {"default": ("web", bundle("/default/web")), "k8s.io": (SANDBOX, bundle(f"/kubepods/besteffort/pod1/{SANDBOX}", SHOP))}
    for namespace, (identity, settings) in tasks.items():
        file = f"/run/{namespace}.json"
        lab.machine.inside(["sh", "-c", 'cat >"$0"', file], input=json.dumps(settings))
        lab.machine.inside([*CTR, "--namespace", namespace, "run", "--detach", "--config", file, identity])
    yield lab
    for namespace, (identity, _) in tasks.items():
        lab.machine.inside([*CTR, "--namespace", namespace, "task", "delete", "--force", identity], check=False)
        lab.machine.inside([*CTR, "--namespace", namespace, "container", "delete", identity], check=False)


def task_pid(host: DockerLab, namespace: str, identity: str) -> int:
    listed = host.machine.inside([*CTR, "--namespace", namespace, "task", "list"]).stdout.splitlines()
    return next(int(line.split()[1]) for line in listed if line.startswith(identity))


def test_a_task_of_containerd(host: DockerLab) -> None:
    found = resolve(host, "web", "containerd:web", "containerd:nobody")
    its = inode(host, task_pid(host, "default", "web"))
    assert [found[name].get("inode") for name in ("web", "containerd:web")] == [its, its]
    assert found["containerd:nobody"]["code"] == 2


def test_a_pod_is_its_sandbox(host: DockerLab) -> None:
    found = resolve(host, "pod:default/shop", SANDBOX[:12], f"containerd:{SANDBOX}", "pod:default/other", "shop")
    its = inode(host, task_pid(host, "k8s.io", SANDBOX))
    assert [found[name].get("inode") for name in ("pod:default/shop", SANDBOX[:12], f"containerd:{SANDBOX}")] == [its] * 3
    assert found["pod:default/shop"]["namespace"] == "pod:default/shop"
    assert [found[name]["code"] for name in ("pod:default/other", "shop")] == [2, 2]


def test_ls_has_them(host: DockerLab) -> None:
    kinds = {space["name"]: space["kind"] for space in netprobe(host, "ls").report["spaces"]}
    assert (kinds["web"], kinds["pod:default/shop"]) == ("containerd", "pod")


@pytest.mark.parametrize(
    ("kind", "cgroup", "registered"),
    [
        ("lxc", "lxc.payload.guest", ""),
        ("nspawn", "machine.slice/systemd-nspawn@guest.service/payload", "NAME=guest\nCLASS=container\nLEADER=%d\n"),
    ],
)
def test_by_control_group(host: DockerLab, kind: str, cgroup: str, registered: str) -> None:
    enter = f"mkdir -p /sys/fs/cgroup/{cgroup} && echo $$ >/sys/fs/cgroup/{cgroup}/cgroup.procs && exec unshare --net sleep 300"
    with host.popen(["sh", "-c", enter]) as process:
        pid = first_of(host, cgroup)
        if registered:
            host.run(["sh", "-c", f"mkdir -p /run/systemd/machines && printf '{registered % pid}' >/run/systemd/machines/guest"])
        try:
            found = resolve(host, "guest", f"{kind}:guest")
            assert {each.get("inode") for each in found.values()} == {inode(host, pid)}, found
            assert {each["namespace"] for each in found.values()} == {"guest"}
        finally:
            host.run(["sh", "-c", f"rm -rf /run/systemd/machines; kill {pid}"])
            process.wait()


def first_of(host: DockerLab, cgroup: str) -> int:
    """The process in a control group, once it is there and has left the host's network."""
    wait = f'until p=$(cat /sys/fs/cgroup/{cgroup}/cgroup.procs 2>/dev/null) && [ -n "$p" ] && [ "$(readlink /proc/$p/ns/net)" != "$0" ]'
    home = host.run(["readlink", "/proc/1/ns/net"]).stdout.strip()
    return int(host.run(["sh", "-c", f"{wait}; do sleep 0.05; done; echo $p", home]).stdout)
