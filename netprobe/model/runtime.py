"""The container runtimes, a row each: how people and control groups call their containers, where they keep
what they know. The rest of one is its module in `linux/runtimes`.
"""

from __future__ import annotations

from msgspec import Struct

ID = "[0-9a-f]{64}"  # what OCI runtimes call a container


class RuntimeKind(Struct, frozen=True, gc=False):
    """One runtime. `kind` is the prefix to write before a name, and `bare` whether a name without it may be
    one of its containers'. `module` is its file in `linux/runtimes`.

    `folders` are where it usually keeps what it knows: of one that has containers some of it exists. `groups`
    are regular expressions of the control group of a container, as "GROUP ABOVE/GROUP", with the container's
    id as `(?P<id>...)`; `escaped`: the id in them is as systemd-escape(1) writes it; `beside` is the name of
    a group below it that is not the container's. `group` is what netprobe calls who made such groups, where
    that is no kind of its own; `shares` are kinds whose groups may be of its containers as well.

    `chosen_by` are the variables of the environment that say which engine to ask, `service` the unit of the
    engine; neither has a runtime that is not asked. `start` and `logs` are commands that end in a name,
    `reload` one that makes a container's rules anew: an engine that has it only holds the ports of the host
    that it publishes, so that nobody else takes them, and passes nothing on itself.
    `network` is that of a container that was given none, where `KIND network connect` connects containers;
    `keeps_none`: not those that were made without a network. `screens`: its rules let in only what its
    containers publish, and may keep those of one network apart.
    """

    kind: str
    module: str
    folders: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    bare: bool = True
    group: str = ""
    shares: tuple[str, ...] = ()
    escaped: bool = False
    beside: str = ""
    chosen_by: tuple[str, ...] = ()
    service: str = ""
    start: str = ""
    logs: str = ""
    reload: str = ""
    network: str = ""
    keeps_none: bool = False
    screens: bool = False


# those with the better names first
RUNTIMES: tuple[RuntimeKind, ...] = (
    RuntimeKind(
        "docker", "docker",
        folders=("/var/lib/docker/containers",),
        groups=(rf".*docker-(?P<id>{ID})(?:\.scope)?", rf"docker/(?P<id>{ID})(?:\.scope)?"),
        chosen_by=("DOCKER_HOST", "DOCKER_CONTEXT"), service="docker",
        start="docker start", logs="docker logs", network="bridge", screens=True,
    ),
    RuntimeKind(
        "podman", "podman",
        folders=("/var/lib/containers/storage",),
        groups=(rf".*libpod-(?:payload-)?(?P<id>{ID})(?:\.scope)?",),
        chosen_by=("CONTAINER_HOST",), service="podman.socket",
        start="podman start", logs="podman logs", reload="podman network reload",
        network="podman", keeps_none=True,
    ),
    RuntimeKind(
        "pod", "pods", bare=False,
        group="crio", groups=(rf".*crio-(?P<id>{ID})(?:\.scope)?",), shares=("containerd",),
    ),
    RuntimeKind(
        "containerd", "containerd",
        folders=(
            "/run/containerd/io.containerd.runtime.v2.task",
            "/run/k3s/containerd/io.containerd.runtime.v2.task",
        ),
        groups=(rf".*(?:cri-containerd|nerdctl)-(?P<id>{ID})(?:\.scope)?",),
    ),
    RuntimeKind(
        "lxc", "lxc",
        folders=(
            "/var/lib/lxc",
            "/var/lib/incus/containers",
            "/var/lib/lxd/containers",
            "/var/snap/lxd/common/lxd/containers",
        ),
        groups=(r"[^/]*/lxc\.payload\.(?P<id>.+)", r"lxc/(?P<id>.+)"),
        start="lxc-start",
    ),
    RuntimeKind(
        "nspawn", "nspawn",
        folders=("/run/systemd/machines",),
        groups=(r"[^/]*/systemd-nspawn@(?P<id>.+)\.service", r"[^/]*/machine-(?P<id>.+)\.scope"),
        escaped=True,
        beside="supervisor",  # where systemd-nspawn puts itself, beside its container's /payload
        start="machinectl start",
    ),
)  # fmt: skip


def kinds_of(group: str) -> tuple[str, ...]:
    """The kinds whose container a control group may be of, by who made it; "", which does not tell that
    (`docker run --cgroup-parent`), is an engine's.
    """
    if not group:
        return tuple(each.kind for each in RUNTIMES if each.service)
    return tuple(each.kind for each in RUNTIMES if group in (each.kind, each.group, *each.shares))


BY_KIND = {each.kind: each for each in RUNTIMES}
UNKNOWN = RuntimeKind("", "")  # what a saved run may name
