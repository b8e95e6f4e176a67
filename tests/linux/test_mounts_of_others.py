"""Any user may mount something at a path that is no text, or holds what divides lines elsewhere."""

from __future__ import annotations

import pytest

from netprobe.linux import files
from netprobe.linux.doctor import situation
from netprobe.linux.tables import bpf

PATHS = [b"/tmp/a\xe2\x80\xa8b", b"/tmp/\xff", b"/tmp/a\rb", b"/tmp/x\xe2\x80\xa8x\xe3\x80\x80/evil\xe3\x80\x80cgroup2\xe3\x80\x80"]


@pytest.mark.parametrize("path", PATHS)
def test_cgroups_are_found_beside_it(monkeypatch: pytest.MonkeyPatch, path: bytes) -> None:
    mounts = b"u " + path + b" fuse rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
    monkeypatch.setattr(files, "kernel", lambda _: mounts)
    bpf._mount_of_cgroups.cache_clear()
    try:
        assert bpf._mount_of_cgroups() == "/sys/fs/cgroup"
    finally:
        bpf._mount_of_cgroups.cache_clear()


@pytest.mark.parametrize("path", PATHS)
def test_whether_this_is_a_container_is_found_beside_it(path: bytes) -> None:
    mounts = b"1 0 0:1 / " + path + b" rw - fuse u rw\n2 0 0:2 / / rw - overlay overlay rw\n"
    assert situation.is_image(mounts)
    assert not situation.is_image(mounts.replace(b"overlay", b"ext4"))
