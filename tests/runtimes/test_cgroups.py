"""Control groups as runtimes name them, on systems with and without systemd, of version 1 and 2, one in the other."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.linux.runtimes.cgroups import Group, group_of

A, B = "a" * 64, "b" * 64

TABLE = {
    f"/docker/{A}": ("docker", A),
    f"/system.slice/docker-{A}.scope": ("docker", A),
    f"/../../docker/{A}": ("docker", A),
    f"/docker/{A}/init.scope": ("docker", A),
    f"/docker/{A}/docker/{B}": ("docker", A),  # what is below its own group is the container's word
    f"/docker/{A}/lxc.payload.victim": ("docker", A),
    f"/system.slice/docker-{A}.scope/machine.slice/libpod-{B}.scope": ("docker", A),
    f"/libpod_parent/{B}/libpod-{A}": ("podman", A),  # a pod's group
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope": ("docker", A),
    f"/my-parent/{A}": ("", A),
    f"/machine.slice/libpod-{A}.scope": ("podman", A),
    f"/machine.slice/libpod-{A}.scope/container": ("podman", A),
    f"/libpod_parent/libpod-{A}": ("podman", A),
    f"/system.slice/web.service/libpod-payload-{A}": ("podman", A),
    f"/machine.slice/libpod-conmon-{A}.scope": None,
    "/libpod_parent/conmon": None,
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{A}.scope": ("containerd", A),
    f"/kubepods/besteffort/pod12-34/{A}": ("containerd", A),
    f"/kubelet.slice/kubelet-kubepods.slice/crio-{A}.scope": ("crio", A),
    f"/kubepods.slice/crio-conmon-{A}.scope": None,
    f"/system.slice/nerdctl-{A}.scope": ("containerd", A),
    "/lxc.payload.web": ("lxc", "web"),
    "/lxc.payload.web/system.slice/nginx.service": ("lxc", "web"),
    f"/lxc.payload.web/docker/{A}": ("lxc", "web"),
    "/lxc/web": ("lxc", "web"),
    "/lxc/web/init.scope": ("lxc", "web"),
    "/lxc.monitor.web": None,
    "/machine.slice/systemd-nspawn@web.service/payload": ("nspawn", "web"),
    "/machine.slice/systemd-nspawn@web.service/supervisor": None,
    r"/machine.slice/machine-web\x2d1.scope": ("nspawn", "web-1"),
    "/": None,
    "": None,
    "/user.slice/user-1000.slice/session-1.scope": None,
    "/system.slice/docker.service": None,
    f"/docker/{A[:63]}": None,
}


def container_of(cgroup: str) -> tuple[str, str] | None:
    """(runtime, id) of the container that a /proc/PID/cgroup belongs to; None for a process of none."""
    found = group_of(cgroup)
    return (found.runtime, found.identity) if found is not None else None


@pytest.mark.parametrize(("path", "container"), TABLE.items())
def test_which_container(path: str, container: tuple[str, str] | None) -> None:
    assert container_of(f"0::{path}\n") == container


def test_version_1_has_a_line_for_each_controller() -> None:
    assert container_of(f"12:pids:/docker/{A}\n11:cpuset:/docker/{A}\n0::/system.slice/containerd.service\n") == ("docker", A)
    assert container_of(f"9:name=systemd:/\n8:pids:/\n0::/docker/{A}\n") == ("docker", A)
    assert container_of(f"1:name=systemd:/a:b/docker-{A}.scope\n") == ("docker", A)


@pytest.mark.parametrize("step", ["/a", "/pod", "/kubepods", "/docker-", "/lxc.payload", "/lxc", "/docker", f"/x{A}"])
def test_no_path_takes_long(step: str) -> None:
    """A user may make groups as deep as a path is long: 4096 bytes. It took seconds for each of their processes."""
    start = time.process_time()
    for _ in range(100):
        container_of(f"0::{(step * 4096)[:4096]}\n")
    assert time.process_time() - start < 5


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    found = container_of(text)
    assert found is None or found[1]


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_name_that_ends_a_line_elsewhere_ends_none_here(end: str) -> None:
    """The kernel forbids a line feed in a group's name, and nothing else (kernel/cgroup/cgroup.c, cgroup_mkdir)."""
    mine = "/user.slice/user@4711.service"
    assert group_of(f"0::{mine}/x{end}0::/lxc.payload.victim\n") == Group(f"{mine}/x{end}0::/lxc.payload.victim", "lxc", "victim")
    assert group_of(f"0::{mine}/x{end}0::/docker/{A}\n") == Group(f"{mine}/x{end}0::/docker/{A}", "docker", A)


def test_only_nspawns_own_supervisor_is_no_container() -> None:
    assert container_of("0::/machine.slice/machine-web.scope/supervisor\n") is None
    assert container_of(f"0::/machine.slice/libpod-{A}.scope/supervisor\n") == ("podman", A)
    assert container_of("0::/machine.slice/machine-web.scope/payload/supervisor\n") == ("nspawn", "web")
    assert container_of("0::/system.slice/web.service/supervisor\n") is None
