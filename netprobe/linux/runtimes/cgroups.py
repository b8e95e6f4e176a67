"""Which container a process belongs to, read from the names that runtimes give to control groups. Pure text.

Sources: runc and crun (cgroupfs and systemd drivers), moby, libpod, cri-o, kubelet (cm/cgroup_manager_linux.go), lxc
(cgroups/cgfsng.c), systemd-nspawn(1).
"""

from __future__ import annotations

import re

_ID = "([0-9a-f]{64})"
_NAME = r"([^/\n]+?)"
# The innermost group decides: a container that runs containers has theirs below its own.
_GROUPS = (
    ("docker", re.compile(rf"(?:docker-|/docker/){_ID}(?:\.scope)?$")),
    ("podman", re.compile(rf"libpod-(?:payload-)?{_ID}(?:\.scope)?$")),
    ("crio", re.compile(rf"crio-{_ID}(?:\.scope)?$")),
    ("containerd", re.compile(rf"(?:cri-containerd-|nerdctl-){_ID}(?:\.scope)?$")),
    ("containerd", re.compile(rf"/(?:kubepods|pod)[^\n]*/{_ID}$")),
    ("lxc", re.compile(rf"/lxc\.payload\.{_NAME}$|/lxc/{_NAME}$")),
    ("nspawn", re.compile(rf"/systemd-nspawn@{_NAME}\.service$|/machine-{_NAME}\.scope$")),
    ("", re.compile(rf"/{_ID}$")),  # whoever made it: docker --cgroup-parent, for one
)


def container_of(cgroup: str) -> tuple[str, str] | None:
    """(runtime, id) of the container that a /proc/PID/cgroup belongs to; runtime "" when the name does not tell it.

    None for a process of no container, and for conmon, the process beside a container of Podman or CRI-O.
    """
    for line in cgroup.splitlines():
        path = line.split(":", 2)[-1]
        if path.endswith("/supervisor"):  # where systemd-nspawn and conmon put themselves
            continue
        while path.strip("/"):
            found = _named_by(path)
            if found is not None:
                return found
            path = path.rpartition("/")[0]
    return None


def _named_by(path: str) -> tuple[str, str] | None:
    for runtime, pattern in _GROUPS:
        found = pattern.search(path)
        if found is not None:
            name = next(group for group in found.groups() if group is not None)
            return runtime, _unescaped(name) if runtime == "nspawn" else name
    return None


def _unescaped(name: str) -> str:
    r"""A name as systemd-escape(1) wrote it into a unit's: `web\x2d1` is web-1."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), name)
