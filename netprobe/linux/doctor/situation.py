"""As whom netprobe runs, and from where: its user, its capabilities, the namespaces it is in, the container
around it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from netprobe.linux import files
from netprobe.linux.names.namespaces import HOST_ROOT, in_a_container_of_the_host
from netprobe.linux.privilege import missing, with_sudo
from netprobe.model.command import Command
from netprobe.model.examination import Finding, State

USER_NAMESPACE, PID_NAMESPACE = 0xEFFFFFFD, 0xEFFFFFFC  # of the machine: include/linux/proc_ns.h
MARKS = {"podman": "/run/.containerenv", "docker": "/.dockerenv"}  # which the engines leave in a container
LAYERED = ("overlay", "fuse-overlayfs", "zfs")  # what their images are mounted as, or a folder of another one
GIVEN = ("--rm", "--pid=host", "--cap-drop=ALL")
IMAGE = "netprobe"
EFFECTS = {
    "SYS_ADMIN": "no other network namespace can be entered",
    "SYS_PTRACE": "namespaces of other processes, and the host's beneath process 1, cannot be opened",
    "NET_RAW": "no probe can be sent or watched; `why` and `ls` work",
    "NET_ADMIN": "rulesets, connection tracking and IPsec policies cannot be read",
}
NEEDED = ("SYS_ADMIN", "NET_RAW")  # without one of these a trace is refused


class Situation(Struct, frozen=True):
    """`lacking` are capabilities; `engine` is the one whose container this is, "" outside of any.

    `of_host`: the processes of the container's host are seen. `closed`: process 1 cannot be looked into.
    """

    user: int = 0
    lacking: tuple[str, ...] = ()
    first_user_namespace: bool = True
    first_pid_namespace: bool = True
    processes: int = 0
    engine: str = ""
    of_host: bool = False
    closed: bool = False


def situation() -> Situation:
    """How it is now. Raises OSError where /proc is not there."""
    of_host, first = in_a_container_of_the_host(), _is("pid", PID_NAMESPACE)
    closed = not _can_look_into_init()
    marked = next((engine for engine, mark in MARKS.items() if files.exists(mark)), "")
    # a machine that was made of an image has the mark as well
    inside = of_host or not first or (closed and is_image(files.kernel("/proc/self/mountinfo")))
    return Situation(
        os.geteuid(),
        missing(),
        _is("user", USER_NAMESPACE),
        first,
        sum(name.isdigit() for name in files.entries("/proc")),
        (marked or ("docker" if of_host else "")) if inside else "",
        of_host,
        closed,
    )


def _is(kind: str, inode: int) -> bool:
    return files.key(f"/proc/self/ns/{kind}")[1] == inode


def _can_look_into_init() -> bool:
    with suppress(OSError):
        return bool(files.key(HOST_ROOT)) and bool(files.key("/proc/1/ns/net"))
    return False


def is_image(mounts: bytes) -> bool:
    """Whether the root directory is one that an engine mounts; proc_pid_mountinfo(5)."""
    for line in filter(None, os.fsdecode(mounts).split("\n")):
        before, _, after = line.partition(" - ")
        _, _, _, folder, place, *_ = before.split(" ")
        if place == "/":
            return folder != "/" or after.split(" ")[0] in LAYERED
    return False


def container_command(engine: str, words: Sequence[str], *more: str) -> Command:
    """The command that starts netprobe in a container with all that it needs, as the README has it."""
    capabilities = (f"--cap-add={name}" for name in EFFECTS)
    return Command.of(engine, "run", *GIVEN, *capabilities, *more, IMAGE, *words)


def privilege(seen: Situation, argv: Sequence[str]) -> Finding:
    """Whether there are the rights to look and to send."""
    who = "root" if seen.user == 0 else f"user {seen.user}"
    if not seen.lacking:
        if seen.first_user_namespace:
            return Finding("privilege", State.OK, f"{who}, with every capability that is used")
        return Finding(
            "privilege",
            State.LIMITED,
            f"{who} of a user namespace",
            "only network namespaces that were made in it can be entered",
            Command.advice("run it outside of this user namespace, as root of the machine"),
        )
    lacks = ", ".join(f"CAP_{name}" for name in seen.lacking)
    state = State.MISSING if set(seen.lacking) & set(NEEDED) else State.LIMITED
    effect = "; ".join(EFFECTS[name] for name in EFFECTS if name in seen.lacking)
    return Finding("privilege", state, f"{who} without {lacks}", effect, way_to_privilege(seen, argv))


def way_to_privilege(seen: Situation, argv: Sequence[str]) -> Command:
    """What has the capabilities that are lacking."""
    if seen.user != 0:
        return Command.of(*with_sudo(argv))
    if seen.engine:
        return container_command(seen.engine, argv[1:])
    if files.exists("/run/systemd/system"):  # sd_booted(3)
        return Command.of("systemd-run", "--pipe", "--wait", *with_sudo(argv)[1:])
    return Command.advice(
        "start it from a root shell that has them: what has given them up cannot get them back"
    )


def processes(seen: Situation, argv: Sequence[str]) -> Finding:
    """Whether the processes of the machine are seen: its namespaces and containers are found by them."""
    subject = "processes"
    if seen.of_host:
        return Finding(
            subject, State.OK, f"{seen.processes} of the container's host; `host` is the host's namespace"
        )
    shut_out = seen.closed and seen.engine and seen.user == 0
    if seen.first_pid_namespace and not shut_out:
        return Finding(subject, State.OK, f"{seen.processes} of the machine")
    effect = "containers and namespaces of others are not found, and `host` is this one's own namespace"
    if seen.first_pid_namespace:
        fact = "process 1 cannot be looked into"
        more = () if "SYS_PTRACE" in seen.lacking else ("--security-opt", "apparmor=unconfined")
        return Finding(subject, State.LIMITED, fact, effect, container_command(seen.engine, argv[1:], *more))
    way = Command.advice("run it in the PID namespace of the machine")
    if seen.engine:
        way = container_command(seen.engine, argv[1:])
    fact = f"only the {seen.processes} of this PID namespace"
    return Finding(subject, State.LIMITED, fact, effect, way)
