"""Where a file that is mounted in a container lies on its host: /proc/PID/mountinfo read both ways.

Pure text. Source: proc(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo: the directory or file `root` of the file system `device` is seen at `point`."""

    device: str
    root: str
    point: str


def mounts(mountinfo: str) -> list[Mount]:
    """All mounts, in order: of two at one point the later one is seen."""
    fields = [line.split(" ") for line in mountinfo.split("\n")]
    return [Mount(each[2], _plain(each[3]), _plain(each[4])) for each in fields if len(each) > 4]


def _plain(field: str) -> str:
    """A path as it is: mountinfo writes blanks as \\040."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def source_of(inner: list[Mount], point: str, outer: list[Mount]) -> str | None:
    """The path, where the mounts are `outer`, of what is mounted at `point` where they are `inner`; None when
    it is not to be seen.
    """
    mounted = next((mount for mount in reversed(inner) if mount.point == point), None)
    if mounted is None:
        return None
    nearest = max(
        (mount for mount in outer if _holds(mount, mounted)), key=lambda mount: len(mount.root), default=None
    )
    if nearest is None:
        return None
    return f"{nearest.point.rstrip('/')}/{mounted.root[len(nearest.root) :].lstrip('/')}"


def _holds(outer: Mount, inner: Mount) -> bool:
    return outer.device == inner.device and (
        inner.root == outer.root or inner.root.startswith(outer.root.rstrip("/") + "/")
    )
