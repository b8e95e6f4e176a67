"""Which container a process belongs to, read from the names that runtimes give to control groups. Pure text.

The outermost group decides: what is below a container's own group that container may have made, under any
name. Below the group of a user's service manager (user@UID.service, delegated by systemd), or one whose
directory belongs to a user, every name is that user's word. A name may hold anything but a slash and a line
feed: other characters that end lines elsewhere end none here.

Sources: runc and crun (cgroupfs and systemd drivers), moby, libpod, cri-o, kubelet
(cm/cgroup_manager_linux.go), lxc (cgroups/cgfsng.c), systemd-nspawn(1), systemd's CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import re

from msgspec import Struct

from netprobe.model.runtime import BY_KIND, ID, RUNTIMES

_WHOLE = re.compile(ID)
_DELEGATED = re.compile(r"/user@(\d{1,10})\.service(?:/|$)")


# the id's group in the one pattern of all rows is called after the row: docker0, docker1, podman0
_MAKERS = {f"{row.kind}{n}": row for row in RUNTIMES for n in range(len(row.groups))}
_GROUPS = re.compile(
    "|".join(
        pattern.replace("?P<id>", f"?P<{row.kind}{n}>", 1)
        for row in RUNTIMES
        for n, pattern in enumerate(row.groups)
    ),
    re.DOTALL,
)


class Group(Struct, frozen=True):
    """A container's group: its path, the runtime ("" when the name does not tell it), and the container's id.

    `hierarchy` is how /proc/PID/cgroup calls the tree that it is in: "" for version 2, else controllers or
    `name=systemd`.
    """

    path: str
    runtime: str
    identity: str
    hierarchy: str = ""


def group_of(cgroup: str, home: str = "") -> Group | None:
    """The group of the container that a /proc/PID/cgroup belongs to.

    `home` is the path of the group of the container that the asking program is in: those made in there are
    told apart.
    """
    for hierarchy, path in lines_of(cgroup):
        found = _outermost(path, len(home)) if home and path.startswith(home + "/") else None
        if found is None:
            found = _outermost(path, 0)
        if found is not None and not _is_beside(path, *found[:2]):
            return Group(*found, hierarchy)
    return None


def lines_of(cgroup: str) -> list[tuple[str, str]]:
    """(hierarchy, path) of each line of a /proc/PID/cgroup: cgroups(7)."""
    fields = [line.split(":", 2) for line in cgroup.split("\n")]
    return [(each[1], each[2]) for each in fields if len(each) == 3]


def owner_of(path: str) -> int:
    """The number of the user who may make groups at a path; 0: only root."""
    found = _DELEGATED.search(path)
    return int(found[1]) if found is not None else 0


def _outermost(path: str, start: int) -> tuple[str, str, str] | None:
    """(path, runtime, id) of the first group on the way down `path`, after `start` characters of it, that is
    a container's.
    """
    end, above, in_pods = start, "", False
    for step in path[start:].split("/")[1:]:
        end += 1 + len(step)
        found = _named_by(step, above, in_pods)
        if found is not None:
            return path[:end], *found
        above, in_pods = step, in_pods or step.startswith(("kubepods", "pod"))
    return None


def _named_by(step: str, above: str, in_pods: bool) -> tuple[str, str] | None:
    """(runtime, id) of the container whose group is called `step` in the group `above`; `in_pods`: below the
    kubelet's groups.
    """
    found = _GROUPS.fullmatch(f"{above}/{step}")
    if found is not None and found.lastgroup is not None:
        maker, name = _MAKERS[found.lastgroup], found[found.lastgroup]
        return maker.group or maker.kind, _unescaped(name) if maker.escaped else name
    if _WHOLE.fullmatch(step) and above != "libpod_parent":  # there a pod of Podman's
        return "containerd" if in_pods else "", step  # "": whoever made it, docker --cgroup-parent, for one
    return None


def _is_beside(path: str, group: str, runtime: str) -> bool:
    """Whether a path is that of a group below a container's, which its runtime has for itself."""
    row = BY_KIND.get(runtime)
    return row is not None and bool(row.beside) and path == f"{group}/{row.beside}"


def _unescaped(name: str) -> str:
    r"""A name as systemd-escape(1) wrote it into a unit's: `web\x2d1` is web-1."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), name)
