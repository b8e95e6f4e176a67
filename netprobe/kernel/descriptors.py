"""Descriptors: a path resolved beneath a root directory, and what O_PATH gives, opened where that is safe."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from functools import cache

PATH_MAX, LINKS_MAX = 4096, 40  # include/uapi/linux/limits.h, include/linux/namei.h (MAXSYMLINKS)
OPENAT2 = 437  # the number on every architecture
_NO_MAGICLINKS, _NO_SYMLINKS, _IN_ROOT = 0x02, 0x04, 0x10  # include/uapi/linux/openat2.h
_PROC, _SYSFS = 0x9FA0, 0x62656572  # include/uapi/linux/magic.h
LOOK = os.O_PATH | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# an old kernel, a seccomp filter, a kernel with another struct open_how
_LACKING = (errno.ENOSYS, errno.EPERM, errno.E2BIG)

_libc = ctypes.CDLL(None, use_errno=True)


def beneath(root: int, path: str, links: bool = True) -> int:
    """An O_PATH descriptor of `path` beneath the open directory `root`. Raises OSError."""
    if "\0" in path or len(os.fsencode(path)) >= PATH_MAX:
        raise OSError(errno.ENAMETOOLONG if "\0" not in path else errno.EINVAL, "not a path")
    try:
        return _by_kernel(root, path, links)
    except OSError as error:
        if error.errno not in (*_LACKING, errno.EAGAIN):  # EAGAIN: something was renamed meanwhile
            raise
    return _by_hand(root, path, links)


def _by_kernel(root: int, path: str, links: bool) -> int:
    resolve = _IN_ROOT | _NO_MAGICLINKS | (0 if links else _NO_SYMLINKS)
    how = struct.pack("=QQQ", LOOK, 0, resolve)
    fd = _libc.syscall(
        ctypes.c_long(OPENAT2), root, os.fsencode(path) or b".", how, ctypes.c_size_t(len(how))
    )
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(fd)


def _by_hand(root: int, path: str, links: bool) -> int:
    """The same by steps, each of which follows nothing.

    `..` goes back to where the walk came from, never to where that is now.
    """
    held = [os.dup(root)]
    left = path.split("/")[::-1]
    followed = 0
    try:
        while left:
            name = left.pop()
            if name in ("", "."):
                _must_be_directory(held[-1])
            elif name == "..":
                _must_be_directory(held[-1])
                if len(held) > 1:
                    os.close(held.pop())
            else:
                fd = os.open(name, LOOK | os.O_NOFOLLOW, dir_fd=held[-1])
                if not stat.S_ISLNK(os.fstat(fd).st_mode):
                    held.append(fd)
                    continue
                followed += 1
                target = _target(fd, links and followed <= LINKS_MAX)
                left += target.split("/")[::-1]
                if target.startswith("/"):
                    while len(held) > 1:
                        os.close(held.pop())
        return held.pop()
    finally:
        for fd in held:
            os.close(fd)


def _must_be_directory(fd: int) -> None:
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _target(fd: int, may_follow: bool) -> str:
    """What the symbolic link `fd` says, which is closed. Those of /proc are not followed: most are magic."""
    try:
        if not may_follow or _is_of_proc(fd):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _is_of_proc(fd: int) -> bool:
    return _file_system(fd) in (None, _PROC)


def _file_system(fd: int) -> int | None:
    """The number of the kind of file system that `fd` is on; None when it cannot be told."""
    told = ctypes.create_string_buffer(256)  # struct statfs begins with its f_type
    return None if _libc.fstatfs(fd, told) else int(struct.unpack_from("=I", told.raw)[0])


def content(fd: int, limit: int) -> bytes:
    """All of the regular file that the O_PATH descriptor `fd` stands for.

    Raises OSError, EFBIG beyond `limit` bytes.

    What the kernel makes up looks like a regular file, and to read it can do something: /proc/kmsg gives each
    message once. Such a file has no size, or is in sysfs; it is not opened.
    """
    seen = os.fstat(fd)
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if _file_system(fd) == _SYSFS:
        raise OSError(errno.EINVAL, "a file of the kernel's")
    if seen.st_size == 0:
        return b""
    if seen.st_size > limit:
        raise too_large()
    opened = reopened(fd)
    try:
        return whole(opened, limit)
    finally:
        os.close(opened)


def reopened(fd: int, flags: int = 0) -> int:
    """What the O_PATH descriptor `fd` stands for, opened for reading; the caller closes it.

    Raises OSError.
    """
    return os.open(f"/proc/thread-self/fd/{fd}", READ | flags)


def namespace(fd: int) -> int:
    """The namespace file that the O_PATH descriptor `fd` stands for, opened.

    Raises OSError, EINVAL for another file.

    Files of nsfs, and they alone, are on the device of our own namespace's file (fs/nsfs.c). Nothing else is
    opened: to open a device, even without reading, can do something.
    """
    if os.fstat(fd).st_dev != _device_of_namespaces():
        raise OSError(errno.EINVAL, "not a namespace")
    return reopened(fd)


@cache
def _device_of_namespaces() -> int:
    return os.stat("/proc/thread-self/ns/net").st_dev  # noqa: PTH116 - as the rest of this file


def whole(fd: int, limit: int) -> bytes:
    """All that the open `fd` gives. Raises OSError, EFBIG beyond `limit` bytes."""
    pieces = []
    left = limit + 1
    size = 4096
    while left > 0 and (piece := os.read(fd, min(left, size))):
        pieces.append(piece)
        left -= len(piece)
        size = 1 << 16
    if left <= 0:
        raise too_large()
    return b"".join(pieces)


def too_large() -> OSError:
    """The error for what is longer than a limit."""
    return OSError(errno.EFBIG, "larger than netprobe reads")
