"""Named network namespaces inside a private world, as `ip netns` makes them: a file in /run/netns that holds
one open.

`host` is not among those files: it is the namespace in which the lab's own processes sit. Only call this
inside `private.run`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import syscalls
from .private import HOST_FILE, NETNS_FOLDER

HOST = "host"
_HERE = "/proc/thread-self/ns/net"


def path(name: str) -> str:
    """The file behind the namespace `name`."""
    return HOST_FILE if name == HOST else f"{NETNS_FOLDER}/{name}"


def create(name: str) -> None:
    """Make the network namespace `name`, as `ip netns add` does. Raises FileExistsError when there is one."""
    target = path(name)
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        with _way_back():
            syscalls.unshare(syscalls.CLONE_NEWNET)
            syscalls.mount(_HERE, target, flags=syscalls.MS_BIND)
    except OSError:
        os.unlink(target)
        raise


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Run the block inside the namespace `name` and come back: this thread, its new sockets and its new child
    processes.

    Raises FileNotFoundError for a name that does not exist; nothing is created.
    """
    with _way_back():
        fd = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd)
        finally:
            os.close(fd)
        yield


@contextmanager
def _way_back() -> Iterator[None]:
    """Remember the namespace of this thread, and return to it whatever happens."""
    fd = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        syscalls.setns(fd)
        with suppress(OSError):
            os.close(fd)


def write_sysctl(namespace: str, name: str, value: str) -> None:
    """Set `name` ("net.ipv4.ip_forward") in a namespace.

    Interfaces' names may hold dots: write them with slashes, as sysctl(8) does.
    """
    with entered(namespace), open(sysctl_file(name), "w", encoding="ascii") as file:
        file.write(value)


def read_sysctl(namespace: str, name: str) -> str:
    """Read `name` in a namespace back, tabs as single blanks."""
    with entered(namespace), open(sysctl_file(name), encoding="ascii") as file:
        return " ".join(file.read().split())


def sysctl_file(name: str) -> str:
    """The file below /proc/sys of a sysctl written with dots or, where a part holds a dot itself, with
    slashes.
    """
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
