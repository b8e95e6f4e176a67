"""Network namespaces as open files, and the only setns of the program.

A socket keeps the namespace in which it was born, so the pattern is always: enter, open, leave. setns acts on
one thread.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from netprobe.errors import CannotLook, NetprobeError, NotPermitted, cannot_look
from netprobe.kernel.elsewhere import Elsewhere, Place, at, current

from . import files

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
NS_GET_NSTYPE = 0xB703  # ioctl of include/uapi/linux/nsfs.h: which kind of namespace is this file?
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, Linux 5.14
OWN = "/proc/thread-self/ns/net"  # not /proc/self: that is the main thread's

STALE = (
    "A file in /run/netns whose namespace is gone, or that was never finished, is removed by: ip netns delete"
    " NAME"
)

Identity = tuple[int, int]

_libc = ctypes.CDLL(None, use_errno=True)  # os.setns exists from Python 3.12 on


def open_namespace(path: str, name: str | None = None, *, dir_fd: int | None = None) -> int:
    """An open descriptor of the network namespace at `path`; the caller closes it.

    `name` is how errors call it.

    Raises NotPermitted, or CannotLook when the file is missing, stale (its namespace is gone) or not a
    namespace at all.
    """
    return _opened(lambda: files.namespace(path, dir_fd), name or path)


def open_beneath(root: str, path: str, name: str) -> int:
    """An open descriptor of the namespace at `path` below the directory `root`, no symbolic link of `path`
    followed.

    For files of another mount namespace: a link there could lead to any file of ours. Raises as
    `open_namespace`.
    """
    return _opened(lambda: files.Tree(root, foreign=True).namespace(path), name)


def open_all_beneath(places: Sequence[tuple[str, str, str]]) -> list[int | NetprobeError]:
    """The same for many (root, path, name), which costs less than one by one: a descriptor or the error for
    each.
    """
    results: list[int | NetprobeError] = []
    for found, (_, _, name) in zip(
        files.namespaces_beneath([(root, path) for root, path, _ in places]), places, strict=True
    ):
        try:
            results.append(_opened(partial(_or_raised, found), name))
        except NetprobeError as error:
            results.append(error)
    return results


def _or_raised(found: int | OSError) -> int:
    if isinstance(found, OSError):
        raise found
    return found


def _opened(look: Callable[[], int], called: str) -> int:
    """The descriptor that `look` opens, of a network namespace. Raises as `open_namespace`."""
    try:
        fd = look()
    except PermissionError as error:
        raise NotPermitted(
            f"not permitted to open the network namespace {called}: {error.strerror}"
        ) from error
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise CannotLook(f"{called} is not a network namespace", STALE) from None
        raise cannot_look(f"cannot open the network namespace {called}", error) from error
    if not _is_network_namespace(fd):
        os.close(fd)
        raise CannotLook(f"{called} is not a network namespace", STALE)
    return fd


def _is_network_namespace(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET
    except OSError:
        return False


@contextmanager
def inside(place: Place | str) -> Iterator[None]:
    """Run the block with this thread in the network namespace `place` (a descriptor or a path), and come
    back. In one of another host the thread stays where it is, and what it asks is asked there.

    Raises NotPermitted or CannotLook when it cannot be entered; the block then does not run. It never runs
    elsewhere: where the thread is gets checked after entering.
    """
    if isinstance(place, Elsewhere):
        with at(place):
            yield
        return
    if current() is not None:  # from another host back to this one
        with at(None), inside(place):
            yield
        return
    there = place if isinstance(place, int) else open_namespace(place)
    home = -1
    try:
        if identity(there) == own_identity():
            yield
            return
        home = open_namespace(OWN)
        # one that we could not come back to (a user namespace's process in its parent's network) refuses us
        # here
        _enter(home)
        try:
            _enter(there)
            _verify(there)
            yield
        finally:
            _set(home)
    finally:
        if home >= 0:
            os.close(home)
        if not isinstance(place, int):
            os.close(there)


def _set(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _enter(fd: int) -> None:
    try:
        _set(fd)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise NotPermitted("entering another network namespace needs CAP_SYS_ADMIN") from error
        raise cannot_look("cannot enter the network namespace", error) from error


def _verify(fd: int) -> None:
    if identity(fd) != own_identity():
        raise CannotLook("setns reported success, but the thread is still in another network namespace")


def identity(place: Place) -> Identity:
    """(device, inode) of an open namespace: unique on its host while the descriptor is held; inodes are
    reused at once afterwards.
    """
    return place.identity if isinstance(place, Elsewhere) else identity_of(os.fstat(place))


def close(place: Place) -> None:
    """Let go of an open namespace."""
    if isinstance(place, Elsewhere):
        place.close()
    else:
        os.close(place)


def again(place: Place) -> Place:
    """The same namespace held once more; the caller closes it."""
    return place.again() if isinstance(place, Elsewhere) else os.dup(place)


def here(place: Place, what: str) -> int:
    """The descriptor of a namespace of this machine, for `what` is done by this kernel alone.

    Raises CannotLook for one of another host.
    """
    if isinstance(place, Elsewhere):
        raise CannotLook(f"{what} is not done on another host")
    return place


def number(place: Place) -> int:
    """How the kernel that it belongs to is told of an open namespace: the number of its descriptor."""
    return place.number if isinstance(place, Elsewhere) else place


def identity_of(stat: os.stat_result) -> Identity:
    """The identity in the answer of a stat(2) of a namespace file."""
    return stat.st_dev, stat.st_ino


def own_identity() -> Identity:
    """The identity of the namespace this thread is in."""
    return files.key(OWN)


def inode(place: Place) -> int:
    """The inode number that `ls -l /proc/PID/ns/net` shows."""
    return identity(place)[1]


def cookie() -> int:
    """SO_NETNS_COOKIE of the namespace this thread is in, never reused while the kernel runs; 0 where it is
    not offered.
    """
    if (there := current()) is not None:
        return there.cookie()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
        except OSError:
            return 0
