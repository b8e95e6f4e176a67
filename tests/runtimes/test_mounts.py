"""Where a file mounted in a container lies on its host, from two processes' mountinfo."""

from __future__ import annotations

import pytest

from netprobe.linux.runtimes.mounts import Mount, mounts, source_of

HOST = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 8:2 /@data /srv rw,relatime - btrfs /dev/sdb rw
31 21 0:43 / /tmp/state rw - tmpfs tmpfs rw
32 21 0:43 /state/docker /var/lib/docker rw - tmpfs tmpfs rw
"""


def container(device: str, root: str, point: str = "/etc/hostname") -> str:
    return f"351 342 {device} {root} {point} rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("device", "root", "path"),
    [
        ("8:1", "/var/lib/docker/containers/x/hostname", "/var/lib/docker/containers/x/hostname"),
        ("8:2", "/@data/docker/containers/x/hostname", "/srv/docker/containers/x/hostname"),
        ("0:43", "/state/docker/containers/x/hostname", "/var/lib/docker/containers/x/hostname"),
        ("0:43", "/state/dockerish/x", "/tmp/state/state/dockerish/x"),
        ("8:2", "/@database/x", None),
        ("9:9", "/x", None),
    ],
)
def test_the_longest_mount_that_holds_it(device: str, root: str, path: str | None) -> None:
    assert source_of(mounts(container(device, root)), "/etc/hostname", mounts(HOST)) == path


def test_of_two_mounts_at_one_point_the_later_is_seen() -> None:
    inner = mounts(container("8:1", "/old") + container("8:1", "/new"))
    assert source_of(inner, "/etc/hostname", mounts(HOST)) == "/new"
    assert source_of(inner, "/etc/hosts", mounts(HOST)) is None


def test_blanks_are_written_in_octal() -> None:
    assert mounts(container("8:1", r"/my\040files\134", "/etc/a")) == [Mount("8:1", "/my files\\", "/etc/a")]


@pytest.mark.parametrize("text", ["", "\n", "1 2 3\n", "garbage"])
def test_what_is_no_mount(text: str) -> None:
    assert mounts(text) == []
